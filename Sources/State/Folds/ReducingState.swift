// SPDX-License-Identifier: Apache-2.0
//  One value per key into which all that is added is folded.

import ThalwegBase

/// Keyed state of one value made of all that has been added, pairwise.
///
///     @State var total = ReducingState<Int64> { $0 + $1 }
///
///     total.add(order.cents)
///
/// In snapshots it stands as a `ValueState` does, so the one can become the other. The way in which values are folded
/// is part of the program, not of the snapshot.
public final class ReducingState<Value: Codable & Sendable>: BindableState {
    @usableFromInline let folded: ValueState<Value>
    @usableFromInline let combine: (Value, Value) -> Value

    /// - Parameters:
    ///   - ttl: how long a value lives after something was added; nil: until it is removed.
    ///   - combine: makes one value of what there was and what is added.
    @inlinable
    public init(ttl: StateTTL? = nil, _ combine: @escaping (_ old: Value, _ new: Value) -> Value) {
        folded = ValueState(ttl: ttl)
        self.combine = combine
    }

    public func bind(_ name: String, to store: AnyKeyedStore) throws(ThalwegError) { try folded.bind(name, to: store) }

    /// What has been added under the current key since it was last cleared; nil when nothing was.
    @inlinable public var value: Value? { folded.value }

    /// Folds a value into that of the current key.
    @inlinable
    public func add(_ value: Value) { fold(value, &folded.value) }

    @inlinable @inline(__always)
    func fold(_ value: Value, _ old: inout Value?) { old = old.map { combine($0, value) } ?? value }

    /// Forgets what has been added under the current key.
    @inlinable
    public func clear() { folded.clear() }

    /// Calls `body` with each value that has expired and its key, as ``ValueState/onExpired(_:)`` does.
    @inlinable
    public func onExpired<Key: Hashable & Codable & Sendable>(_ body: @escaping (Key, Value) -> Void) {
        folded.onExpired(body)
    }
}
