// SPDX-License-Identifier: Apache-2.0
//  The entries of a sorted map, or of a stretch of it, one after another.

import ThalwegBase
import ThalwegData

/// Entries of a ``SortedMapState`` in ascending or descending order of their user keys (FLIP-50).
///
/// They are those of the moment when the sequence was asked for: the map may be changed while a loop over them goes on,
/// and the loop does not see it. They are read one by one, so a loop that ends early costs only what it has read:
///
///     for (time, order) in orders.entries(to: now).prefix(10) { orders[time] = nil }
///
/// With a time to live, an entry is read when the loop comes to it. A sequence belongs to the call of the function in
/// which it was asked for: do not keep it.
public struct SortedEntries<UserKey: Codable & Sendable, Value: Codable & Sendable>: Sequence {
    public typealias Element = (key: UserKey, value: Value)

    @usableFromInline let tree: SortedTree<UserKey, Value>
    @usableFromInline let lower: SortedCut<UserKey>
    @usableFromInline let upper: SortedCut<UserKey>
    @usableFromInline let order: KeyComparator<UserKey>
    /// The state, if its entries expire, and the slot.
    @usableFromInline let expiring: SortedMapState<UserKey, Value>?
    @usableFromInline let slot: Int
    /// The map, if it is too large for memory.
    @usableFromInline let wide: WideView<UserKey, Value>?
    @usableFromInline var isDescending = false

    @inlinable
    init(_ state: SortedMapState<UserKey, Value>, from lower: SortedCut<UserKey>, to upper: SortedCut<UserKey>) {
        slot = state.store.slot
        tree = state.column.address(slot).pointee
        self.lower = lower
        self.upper = upper
        // Set by `bind` before the first record.
        order = state.order.unsafelyUnwrapped
        expiring = state.isExpiring ? state : nil
        wide = state.hasWide ? state.wideMap(slot)?.view() : nil
    }

    /// The same entries in the opposite order.
    @inlinable
    public func reversed() -> SortedEntries {
        var other = self
        other.isDescending.toggle()
        return other
    }

    /// The first of the entries; nil when there are none.
    @inlinable public var first: Element? {
        var iterator = makeIterator()
        return iterator.next()
    }

    @inlinable
    public func makeIterator() -> Iterator { Iterator(self) }

    public struct Iterator: IteratorProtocol {
        @usableFromInline var cursor: SortedCursor<UserKey, Value>
        @usableFromInline let expiring: SortedMapState<UserKey, Value>?
        @usableFromInline let slot: Int
        @usableFromInline let wide: WideEntries<UserKey, Value>?

        @inlinable
        init(_ entries: SortedEntries) {
            cursor = SortedCursor(
                entries.tree, from: entries.lower, to: entries.upper, isDescending: entries.isDescending,
                entries.order)
            expiring = entries.expiring
            slot = entries.slot
            wide = entries.wide?.entries(
                from: entries.lower, to: entries.upper, isDescending: entries.isDescending)
        }

        @inlinable
        public mutating func next() -> Element? {
            if let wide { return wide.next() }
            while let place = cursor.next() {
                let (key, value) = (place.key, place.value.pointee)
                guard let expiring else { return (key, value) }
                if let value = expiring.read(key, value, stamp: place.stamp.pointee, slot: slot) { return (key, value) }
            }
            return nil
        }
    }
}
