// SPDX-License-Identifier: Apache-2.0
//  The keyed state of one operator in one subtask: keys, slots and the columns hung on them.

import ThalwegBase
import ThalwegData
import ThalwegStorage

/// The part of a keyed store that does not depend on the key's type: what state handles bind to.
open class AnyKeyedStore {
    // Used by one task alone; behind inlined accessors so that the attribute holds in other modules.
    @exclusivity(unchecked) @usableFromInline final var storedSlot = 0
    @exclusivity(unchecked) @usableFromInline final var storedMayBeEmpty = false
    /// Which pages of slots are shared with a snapshot.
    @exclusivity(unchecked) @usableFromInline final var sharing = PageSharing()
    final let freezing = PageFreezing()
    /// What rests of the rows, for checkpoints that hold only what has changed; nil: each holds all.
    public final private(set) var layers: RowLayers?
    @exclusivity(unchecked) @usableFromInline final var storedIsLayered = false
    @exclusivity(unchecked) @usableFromInline final var storedIsTiered = false
    /// Which rows stay in memory; nil: all do.
    final var tier: RowTier?
    /// Rows of which parts rest while others are in memory: a state has more for their keys than memory is to have.
    final var wideRows = SlotBits()
    /// Whether a state may have become so large for some key.
    final var mayHaveLarge = false
    /// Whether entries of such rows have been removed that may have been the last, and whether that is to be found out
    /// now: when a snapshot was taken, or changes were written.
    final var mayHaveEmptied = false
    final var testsEmptied = false
    /// What went wrong in the middle of a call.
    final var failure: (any Error)?
    /// Says what rows at rest need to hold no more, as of now; asked when files are made one.
    public final var mergeFilter: (() -> MergeFilter)?
    /// What time it is for state that expires; set before such a state is bound.
    public final var time: StateTime?
    /// The states with a time to live.
    final private(set) var expiring: [(name: String, column: any ExpiringColumn, expiry: StateExpiry)] = []
    @exclusivity(unchecked) @usableFromInline final var storedHasExpiry = false
    /// Whether a state has a time to live.
    @inlinable public final var hasExpiry: Bool { storedHasExpiry }

    /// The slot whose key is being processed; every state handle of the operator reads it.
    @inlinable public final var slot: Int {
        get { storedSlot }
        set { storedSlot = newValue }
    }
    /// Makes a slot the current one outside of a batch, as for a timer: its state may be changed afterwards.
    @inlinable @inline(__always)
    public final func select(_ slot: Int) {
        if sharing.left > 0 { thaw(slot) }
        if storedIsLayered { noteChanged(slot) }
        storedSlot = slot
    }

    /// Makes a slot writable that may be nobody's, and changes no row.
    public final func open(_ slot: Int) { if sharing.left > 0 { thaw(slot) } }

    /// Whether a batch that was resolved is to be noted.
    @inlinable public final var isLayered: Bool { storedIsLayered }
    /// Whether rows leave memory when it has no room for them.
    @inlinable public final var isTiered: Bool { storedIsTiered }

    /// Has snapshots hold only the rows that have changed since the one before. Before the first record.
    public final func keepLayers(_ layers: RowLayers) {
        self.layers = layers
        storedIsLayered = true
    }

    @usableFromInline @inline(never)
    final func noteChanged(_ slot: Int) {
        layers?.changed.insert(slot)
        tier?.shelf?.changed.insert(slot)
    }

    /// Makes the state of a slot writable.
    @usableFromInline @inline(never)
    final func thaw(_ slot: Int) {
        let page = slot >> 10
        guard sharing.end(page) != nil else { return }
        for (_, column) in columns { column.thaw(page: page) }
    }

    /// Makes the state of the slots of a batch writable.
    @usableFromInline @inline(never)
    final func thaw(_ slots: UnsafePointer<Int32>, count: Int) {
        for index in 0..<count where sharing.left > 0 { thaw(Int(slots[index])) }
    }

    /// Set by a handle that removed something: the slot may have become empty.
    @inlinable public final var mayBeEmpty: Bool {
        get { storedMayBeEmpty }
        set { storedMayBeEmpty = newValue }
    }
    /// The states by declared name, in order of declaration.
    public final private(set) var columns: [(name: String, column: any KeyedColumn)] = []
    @exclusivity(unchecked) private final var checks: [(Int) -> Bool] = []

    public init() {}

    /// What snapshots say of states beside their types, such as the windows they are kept for, by their names.
    public final var properties: [String: [String: String]] = [:]

    /// Hangs a state on this store.
    ///
    /// - Throws: `ThalwegError(.job)` when the name is taken.
    public final func register(_ name: String, _ column: any KeyedColumn) throws(ThalwegError) {
        if columns.contains(where: { $0.name == name }) {
            throw ThalwegError(
                .job, "two states have the same name", detail: "\"\(name)\"", hint: "give each state its own name")
        }
        columns.append((name, column))
        if let bytes = tier?.extentBytes { column.limitExtents(to: bytes) }
        checks.append(column.emptyCheck ?? { column.isEmpty($0) })
    }

    /// Notes a state with a time to live.
    final func expire(_ name: String, _ column: any ExpiringColumn, _ expiry: StateExpiry) {
        expiring.append((name, column, expiry))
        storedHasExpiry = true
    }

    // MARK: Snapshots

    /// Shares every state with a snapshot and says how they are written, at a cost of a few bytes for each page.
    ///
    /// The state as it is now stays readable until the parts are given up; call ``release()`` once, then or later.
    public final func freeze(operatorName: String, maxParallelism: Int) -> [StatePart] {
        freeze(operatorName: operatorName, maxParallelism: maxParallelism, changed: nil)
    }

    /// - Parameters:
    ///   - changed: the slots of the rows that are wanted, together with the keys that are gone; nil: all rows.
    ///   - isOverNotes: whether rows from a shelf are written below, with states that layers may not have.
    final func freeze(
        operatorName: String, maxParallelism: Int, changed: SlotBits?, isOverNotes: Bool = false
    ) -> [StatePart] {
        let lease = freezing.begin()
        let keys = freezeKeys(operatorName: operatorName, maxParallelism: maxParallelism, lease, changed)
        sharing.begin(lease, pages: slotPages)
        return isOverNotes ? parts(columns, keys) : parts(told(changed), keys)
    }

    /// Says how rows are written that are written before anything changes: nothing is shared, nothing to be released.
    ///
    /// - Parameter names: of the states that are wanted; nil: all.
    final func peek(
        operatorName: String, maxParallelism: Int, changed: SlotBits, only names: Set<String>? = nil
    ) -> [StatePart] {
        let keys = peekKeys(operatorName: operatorName, maxParallelism: maxParallelism, changed: changed)
        return parts(told(changed).filter { names?.contains($0.name) ?? true }, keys)
    }

    /// The same with the keys, and a part of each state whatever it holds.
    final func peekAll(
        operatorName: String, maxParallelism: Int, changed: SlotBits
    ) -> (keys: FrozenKeys, parts: [StatePart]) {
        let keys = peekKeys(operatorName: operatorName, maxParallelism: maxParallelism, changed: changed)
        return (keys, parts(columns, keys))
    }

    private func peekKeys(operatorName: String, maxParallelism: Int, changed: SlotBits) -> FrozenKeys {
        let lease = PageLease(isMomentary: true)
        let keys = freezeKeys(operatorName: operatorName, maxParallelism: maxParallelism, lease, changed)
        sharing.begin(lease, pages: slotPages)
        return keys
    }

    /// That there is nothing is said where older layers may have something.
    private func told(_ changed: SlotBits?) -> [(name: String, column: any KeyedColumn)] {
        changed == nil ? columns : columns.filter { !$0.column.isVacant || layers?.rests($0.name) ?? true }
    }

    private func parts(_ columns: [(name: String, column: any KeyedColumn)], _ keys: FrozenKeys) -> [StatePart] {
        columns.flatMap { $0.column.freeze($0.name, keys) }
    }

    /// Freezes the rows at a barrier, as a layer over those of earlier checkpoints.
    ///
    /// - Parameters:
    ///   - checkpoint: its number.
    ///   - isSelfContained: whether the snapshot is to hold all rows and to leave the next one as it would be without
    ///     it: a savepoint, which the user may delete (FLIP-47).
    /// - Returns: nil for a store without layers. Call ``releaseRows(_:)`` once, then or later.
    /// - Throws: what the store says in which rows rest.
    public func freezeRows(
        operatorName: String, maxParallelism: Int, checkpoint: Int64, isSelfContained: Bool
    ) throws -> RowSnapshot? { nil }

    /// What snapshots under way hold is the next one's as well. Before the last one: should one of them fail, it is
    /// not to fail with it, since there is no next one.
    public func takeBackRows() {}

    /// The snapshot has been written or given up.
    public func releaseRows(_ snapshot: RowSnapshot) {}

    /// A snapshot is done. Pages are shared no more when no other is under way.
    public final func release() {
        guard freezing.end() else { return }
        sharing.end()
        unfreezeKeys()
        for (_, column) in columns { column.unfreeze() }
    }

    /// Takes over what a snapshot has of the states hung on this store, which is empty.
    ///
    /// Rows that may rest stay where they are until they are asked for, if that is in layers; else they pass through
    /// memory, which need not have room for all.
    public final func restore(from source: KeyedRestore) throws {
        let isAdopted = try adopt(from: source)
        if isAdopted && isTiered && tier?.shelf == nil { return }
        tier?.shelf?.isRestoring = isAdopted
        defer { tier?.shelf?.isRestoring = false }
        for form in forms(operatorName: source.operatorName) {
            guard let stored = try source.stored(form.descriptor) else { continue }
            let load = try form.loader(stored)
            try source.entries(of: stored) { group, key, value in
                try load(try slot(of: &key, in: group, source), &key, value)
            }
        }
        if isAdopted { layers?.settle() }
    }

    /// Goes on from the layers of a snapshot; false when they cannot serve.
    private func adopt(from source: KeyedRestore) throws -> Bool {
        guard let layers, let segments = source.state.segments else { return false }
        let forms = forms(operatorName: source.operatorName)
        for form in forms { _ = try source.stored(form.descriptor) }
        guard try layers.adopt(segments, forms.map(\.descriptor), take: tier?.takeIn(segments)) else { return false }
        guard let tier, tier.shelf == nil else { return true }
        try tier.begin(with: layers.chain, forms.map(\.descriptor), of: layers.owner)
        layers.becomePartial(SlotBits())
        return true
    }

    /// The states as they stand in snapshots.
    func forms(operatorName: String) -> [StoredForm] {
        guard let keySchema else { return [] }
        let owner = StateOwner(operatorName: operatorName, key: keySchema, properties: properties)
        return columns.flatMap { $0.column.forms($0.name, owner) }
    }

    /// Declares the states hung on this store.
    public func declare(_ states: inout StateDeclarations) throws {
        preconditionFailure("a store without keys is never declared")
    }

    /// The number of pages of slots.
    var slotPages: Int { 0 }

    func freezeKeys(
        operatorName: String, maxParallelism: Int, _ lease: PageLease, _ changed: SlotBits?
    ) -> FrozenKeys {
        preconditionFailure("a store without keys is never frozen")
    }

    func unfreezeKeys() {}

    /// The schema of the keys; nil when there are none.
    var keySchema: RecordSchema? { nil }

    /// Reads a key and gives its slot, made when it is new and ready for every state.
    public func slot(of reader: inout ByteReader, in group: Int, _ source: KeyedRestore) throws -> Int {
        preconditionFailure("a store without keys is never restored")
    }

    /// Whether no state holds anything for the slot.
    ///
    /// The function's own states come after the timers; they are asked first, as they are likely to hold something.
    public final func isEmpty(_ slot: Int) -> Bool {
        var index = checks.count
        while index > 0 {
            index -= 1
            if !checks[index](slot) { return false }
        }
        return true
    }
}

/// Keys of one operator in one subtask, resolved to slots a batch at a time; all states of the operator are columns
/// addressed by slot, so that a record costs one probe however many states there are.
public final class KeyedStore<Key: Hashable & Codable & Sendable>: AnyKeyedStore {
    public let table = KeyTable<Key>()
    public let hasher: KeyHasher<Key>
    let encoder: KeyEncoder<Key>
    let schema: RecordSchema
    private let type: RecordType<Key>
    @exclusivity(unchecked) @usableFromInline var fresh: [Int32] = []
    @exclusivity(unchecked) @usableFromInline var reserved = 0
    @exclusivity(unchecked) @usableFromInline var memories: [SlotMemory] = []
    /// Keys that layers may have and that are gone.
    @exclusivity(unchecked) var gone = KeyTable<Key>()
    /// Snapshots that are being written.
    var flights: [RowFlight<Key>] = []

    /// The number of keys below which state is taken to lie in the cache.
    @inlinable static var prefetchKeysMin: Int { 4096 }

    public init(_ type: RecordType<Key>) {
        hasher = KeyHasher(type)
        encoder = KeyEncoder(type)
        schema = type.schema
        self.type = type
        super.init()
    }

    /// The key being processed.
    @inlinable public var currentKey: Key { table.key(at: slot) }

    /// Resolves the keys of a batch to slots. New keys get a slot even if the function then stores nothing: call
    /// ``releaseUnused()`` after the batch.
    @inlinable @inline(__always)
    public func resolve(
        _ keys: UnsafePointer<Key>, hashes: UnsafePointer<UInt64>, count: Int, into slots: UnsafeMutablePointer<Int32>
    ) {
        table.resolve(keys, hashes: hashes, count: count, into: slots) { fresh.append(Int32(truncatingIfNeeded: $0)) }
        if table.slotLimit > reserved { widen() }
        if sharing.left > 0 { thaw(slots, count: count) }
        if table.slotLimit > Self.prefetchKeysMin {
            for memory in memories { memory.prefetch(slots, count: count) }
        }
    }

    /// Gives back the slots of keys that came with this batch and for which nothing was stored.
    @inlinable
    public func releaseUnused() {
        if fresh.isEmpty { return }
        releaseEmptyFresh()
    }

    @usableFromInline
    func releaseEmptyFresh() {
        for slot in fresh where table.isUsed(Int(slot)) && isEmpty(Int(slot)) { remove(slot: Int(slot)) }
        fresh.removeAll(keepingCapacity: true)
    }

    /// Gives back the current slot if every state of its key was cleared.
    @inlinable
    public func releaseIfEmpty(_ slot: Int) {
        mayBeEmpty = false
        if table.isUsed(slot) && isEmpty(slot) { remove(slot: slot) }
    }

    /// Gives back a slot for whose key nothing is stored any more.
    @inlinable
    public func remove(slot: Int) {
        if storedIsLayered { noteGone(slot) }
        table.remove(slot: slot)
    }

    // MARK: Snapshots

    override var slotPages: Int { (table.slotLimit + Pages<Key>.pageSize - 1) >> Pages<Key>.pageBits }

    override func freezeKeys(
        operatorName: String, maxParallelism: Int, _ lease: PageLease, _ changed: SlotBits?
    ) -> FrozenKeys {
        let owner = StateOwner(operatorName: operatorName, key: schema, properties: properties)
        let gone = changed == nil ? nil : FrozenHashes(gone.freeze(under: lease))
        return table.freeze(
            under: lease, owner: owner, maxParallelism: maxParallelism, encoder: encoder, changed: changed, gone: gone)
    }

    override func unfreezeKeys() { table.unfreeze() }

    public override func declare(_ states: inout StateDeclarations) throws {
        for form in forms(operatorName: states.operatorName) { try states.add(try form.wanted(), keyedBy: type) }
    }

    public override func freezeRows(
        operatorName: String, maxParallelism: Int, checkpoint: Int64, isSelfContained: Bool
    ) throws -> RowSnapshot? {
        try layers.map { layers in
            try freezeRows(
                in: layers, operatorName: operatorName, maxParallelism: maxParallelism, checkpoint: checkpoint,
                isSelfContained: isSelfContained)
        }
    }

    public override func takeBackRows() { takeBackFlights() }

    public override func releaseRows(_ snapshot: RowSnapshot) {
        release()
        land(snapshot)
    }

    override var keySchema: RecordSchema? { schema }

    public override func slot(of reader: inout ByteReader, in group: Int, _ source: KeyedRestore) throws -> Int {
        let key = try encoder.decode(&reader)
        let hash = hasher.hash(key)
        guard KeyGroup.of(hash: hash, maxParallelism: source.maxParallelism) == group else {
            throw source.misplaced(group)
        }
        if let shelf = tier?.shelf { return try slot(of: key, hash: hash, restoringTo: shelf) }
        let slot = table.findOrInsert(key, hash: hash).slot
        if table.slotLimit > reserved { widen() }
        if storedIsLayered { noteChanged(slot) }
        return slot
    }

    @usableFromInline
    func widen() {
        // Memory that is counted is not taken long before it is needed.
        reserved = table.slotLimit + (tier == nil ? max(1024, table.slotLimit / 8) : RowMemory.spareSlots)
        for (_, column) in columns { column.reserve(reserved) }
        memories = columns.compactMap(\.column.slotMemory)
    }
}
