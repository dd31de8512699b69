// SPDX-License-Identifier: Apache-2.0
//  How far event time had come, in snapshots.

import ThalwegBase
import ThalwegData
import ThalwegOperator
import ThalwegState
import ThalwegStorage

/// The event time of a keyed operator in snapshots: state `$time`, one element for each subtask.
///
/// When parallelism changes, a subtask may get key groups from subtasks that had come differently far. It goes on from
/// the least of their times, so that no record is late that was not late before. For the key groups that were further,
/// ``ahead`` remembers how far: what has fired there does not fire again, and what was late stays late, until the
/// operator's own time has caught up.
public final class StoredTime {
    static let name = WantedState.timeName

    struct Element: Codable, Sendable {
        var time: Int64
        /// The times of the subtask's key groups, if some are ahead of `time`; else empty.
        var keyGroups: [Int64] = []
    }

    private let operatorName: String
    private let subtask: Int
    private let parallelism: Int
    private let maxParallelism: Int
    private let codec: RecordCodec<Element>
    private let schema: RecordSchema
    /// The key groups whose time is ahead of the operator's; nil when none is.
    public private(set) var ahead: KeyGroupTimes?

    public init(_ context: OperatorContext) throws {
        let type = try RecordType<Element>.learn()
        codec = RecordCodec(type)
        schema = type.schema
        operatorName = context.name
        subtask = context.subtask
        parallelism = context.parallelism
        maxParallelism = context.maxParallelism
    }

    /// The key groups of this subtask.
    var keyGroups: Range<Int> {
        KeyGroup.range(subtask: subtask, maxParallelism: maxParallelism, parallelism: parallelism)
    }

    /// The key groups ahead of `time`; forgotten when there are none left.
    @inlinable @inline(__always)
    func ahead(of time: Int64) -> KeyGroupTimes? { ahead == nil ? nil : stillAhead(of: time) }

    @usableFromInline @inline(never)
    func stillAhead(of time: Int64) -> KeyGroupTimes? {
        if let times = ahead, times.latest <= time { ahead = nil }
        return ahead
    }

    /// Stores the operator's event time.
    public func add(_ time: Int64, to snapshot: inout OperatorSnapshot) throws {
        let element = Element(time: time, keyGroups: stillAhead(of: time)?.times ?? [])
        let bytes = try codec.encode(element)
        let subtask = UInt32(truncatingIfNeeded: subtask)
        let descriptor = StateDescriptor(operatorName: operatorName, name: Self.name, kind: .split, value: schema)
        snapshot.add(
            StatePart(descriptor) { writer in
                try withUnsafeBytes(of: (subtask.bigEndian, UInt32(0))) { key in
                    try bytes.withUnsafeBytes { try writer.add(key: key, value: $0) }
                }
            })
    }

    func declare(_ states: inout StateDeclarations) throws {
        states.add(try WantedState(Self.name, kind: .split, elements: Element.self))
    }

    /// The event time to go on from; nil when the snapshot knows none.
    public func restore(from state: any RestoredState) throws -> Int64? {
        guard state.hasState(Self.name) else { return nil }
        let owners = try state.elements(of: Self.name, as: Element.self)
        var times = Array(repeating: Int64.min, count: keyGroups.count)
        var least: Int64?
        for (owner, elements) in owners.enumerated() {
            let owned = KeyGroup.range(
                subtask: owner, maxParallelism: maxParallelism, parallelism: state.parallelism)
            guard let element = elements.first else { continue }
            for group in owned.clamped(to: keyGroups) {
                let place = group - owned.lowerBound
                let time = place < element.keyGroups.count ? element.keyGroups[place] : element.time
                times[group - keyGroups.lowerBound] = max(time, element.time)
                least = min(least ?? .max, max(time, element.time))
            }
        }
        guard let least else { return nil }
        ahead = KeyGroupTimes(times, from: keyGroups.lowerBound, maxParallelism: maxParallelism)
        _ = stillAhead(of: least)
        return least
    }

    /// What the entries of this subtask are read with.
    func source(_ state: any RestoredState) -> KeyedRestore {
        KeyedRestore(
            operatorName: operatorName, state: state, keyGroups: keyGroups, maxParallelism: maxParallelism)
    }
}

/// How far event time had come in each key group of a subtask.
public final class KeyGroupTimes {
    let times: [Int64]
    @usableFromInline let latest: Int64
    private let first: Int
    private let maxParallelism: Int

    init(_ times: [Int64], from first: Int, maxParallelism: Int) {
        self.times = times
        self.first = first
        self.maxParallelism = maxParallelism
        latest = times.max() ?? .min
    }

    /// The time of the key group of a hash.
    @usableFromInline
    func time(hash: UInt64) -> Int64 { times[KeyGroup.of(hash: hash, maxParallelism: maxParallelism) - first] }
}
