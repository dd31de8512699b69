// SPDX-License-Identifier: Apache-2.0
//  The large maps of one state.

import ThalwegBase
import ThalwegData
import ThalwegStorage

/// A state whose large values rest entry by entry.
protocol WideColumn: KeyedColumn {
    /// The slots whose values do.
    var wideSlots: SlotBits { get }
    /// About how many bytes of memory their changes take.
    var wideByteCount: Int { get }
    /// The slots that have become too large for a row, once.
    func takeLargeSlots() -> [Int]
    /// From now on the entries of a slot rest one by one. Nothing happens if they are too few.
    func makeWide(_ slot: Int) throws
    /// What has changed is part of a snapshot.
    func seal(_ snapshot: Int64)
    /// The snapshot has been written, or will never be.
    func land(_ snapshot: Int64, isWritten: Bool)
    /// All changes have been written.
    func rested()
    /// The slots that hold nothing any more, as far as entries have been removed of which it is not known.
    func takeEmptiedSlots() -> [Int]
}

/// The maps by their slots, and what they share.
@usableFromInline
final class WideMaps<UserKey: Codable & Sendable, Value: Codable & Sendable> {
    // unowned(unsafe): the operator holds both the store and the states.
    unowned(unsafe) let store: AnyKeyedStore
    @usableFromInline let order: KeyComparator<UserKey>
    @usableFromInline let keyEncoder: KeyEncoder<UserKey>
    @usableFromInline let codec: RecordCodec<Value>
    let userKeys: StoredKey<UserKey>
    let stored: StoredType<Value>
    @usableFromInline let rest: RestingEntries
    var maps: [Int: WideMap<UserKey, Value>] = [:]
    var slots = SlotBits()
    /// About how many bytes an entry takes in memory.
    private(set) var bytesPerEntry = WideMaps.inlineBytes
    @usableFromInline var changeCount = 0

    init(
        _ store: AnyKeyedStore, _ order: KeyComparator<UserKey>, _ userKeys: StoredKey<UserKey>,
        _ stored: StoredType<Value>, _ rest: RestingEntries
    ) {
        self.store = store
        self.order = order
        self.userKeys = userKeys
        keyEncoder = userKeys.encoder
        codec = stored.codec
        self.stored = stored
        self.rest = rest
    }

    var byteCount: Int { changeCount * bytesPerEntry }

    /// An access cannot throw: the task hears of it before the batch ends.
    @inlinable
    func orFail<Result>(_ body: () throws -> Result) -> Result? {
        do {
            return try body()
        } catch {
            fail(error)
            return nil
        }
    }

    @usableFromInline
    func fail(_ error: any Error) { store.fail(error) }

    func add(_ map: WideMap<UserKey, Value>, _ slot: Int) {
        maps[slot] = map
        slots.insert(slot)
        changeCount += map.changeCount
        store.wideRows.insert(slot)
    }

    func remove(_ slot: Int) {
        guard let map = maps.removeValue(forKey: slot) else { return }
        slots.remove(slot)
        changeCount -= map.changeCount
        store.updateWideRows()
    }

    /// A call may change more than there is memory for.
    @usableFromInline
    func makeRoom(after map: WideMap<UserKey, Value>) {
        measure(map.levels[0].changes) { $0 }
        _ = orFail { try store.wideStore?.restWideRows(isInCall: true) }
    }

    func recount() { changeCount = maps.values.reduce(0) { $0 + $1.changeCount } }

    /// Learns from a tree how much its entries take.
    func measure<Payload>(_ tree: SortedTree<UserKey, Payload>, _ value: (Payload) -> Value?) {
        bytesPerEntry = max(bytesPerEntry, Self.bytesPerEntry(tree, userKeys, stored, value))
    }

    /// Learns from entries at rest how much they take.
    func measure(_ map: WideMap<UserKey, Value>) {
        if Self.isPlain { return }
        var bytes = ByteWriter()
        var count = 0
        let entries = map.view().entries(from: .start, to: .end, isDescending: false)
        while count < 64, let (key, value) = entries.next() {
            add(key, value, to: &bytes)
            count += 1
        }
        bytesPerEntry = max(bytesPerEntry, Self.inlineBytes + 3 * bytes.count / max(1, count))
    }

    private func add(_ key: UserKey, _ value: Value, to bytes: inout ByteWriter) {
        try? userKeys.encoder.encode(key, into: &bytes)
        try? stored.encode(value, into: &bytes)
    }

    /// Whether an entry has all that it takes in itself.
    static var isPlain: Bool { _isPOD(UserKey.self) && _isPOD(Value.self) }

    /// Keys and values as they lie, in nodes that are two thirds full.
    static var inlineBytes: Int { (MemoryLayout<UserKey>.stride + MemoryLayout<Value?>.stride) * 3 / 2 }

    /// About what an entry takes: what it refers to by a sample.
    static func bytesPerEntry<Payload>(
        _ tree: SortedTree<UserKey, Payload>, _ userKeys: StoredKey<UserKey>, _ stored: StoredType<Value>,
        _ value: (Payload) -> Value?
    ) -> Int {
        if isPlain { return inlineBytes }
        var bytes = ByteWriter()
        var count = 0
        tree.forEachLeaf { leaf in
            for index in 0..<leaf.count {
                guard let value = value(leaf.payloads[index]) else { continue }
                try? userKeys.encoder.encode(leaf.keys[index], into: &bytes)
                try? stored.encode(value, into: &bytes)
                count += 1
            }
            return count < 256
        }
        return inlineBytes + 3 * bytes.count / max(1, count)
    }
}
