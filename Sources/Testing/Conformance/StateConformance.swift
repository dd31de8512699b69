// SPDX-License-Identifier: Apache-2.0
//  Tries backends of keyed state against a naive twin.

import Thalweg

/// Leads keyed state through seeded lives: batches of keys, timers, checkpoints that come through or fail, savepoints,
/// crashes, restores into other backends and other numbers of subtasks. Whatever a backend does with rows, they are
/// those of a naive twin.
///
///     @Test(arguments: 0..<24) func rowsAreThoseOfATwin(seed: UInt64) throws {
///         try StateConformance([.tiered, .memory]).check(seed: seed)
///     }
public struct StateConformance: Sendable {
    /// The backends: each life begins with one of them, and goes on after a crash with another.
    public let backends: [StateBackend]
    /// The directory for what backends keep on a disk of this machine.
    public var directory = "/tmp"
    /// The steps of a life.
    public var steps = 400

    public init(_ backends: [StateBackend]) { self.backends = backends }

    /// Leads one life.
    ///
    /// - Parameter budgetBytes: the memory of rows; by default one of several follows from the seed.
    /// - Returns: what happened to rows.
    /// - Throws: `ThalwegError(.job)` that says what was broken, under which seed and at which step; what a backend
    ///   throws.
    @discardableResult
    public func check(seed: UInt64, budgetBytes: Int? = nil) throws -> RowMetrics {
        let budget = budgetBytes ?? [2_000, 8_000, 60_000, 10_000_000][Int(seed % 4)]
        var life = try StateLife(self, budgetBytes: budget, seed: seed)
        defer { life.end() }
        for step in 0..<steps { try life.step(step) }
        try life.finish()
        return life.metrics
    }
}

/// What one key holds.
struct StateRow: Equatable {
    var value: String?
    var list: [Int] = []
    var map: [Int: String] = [:]
    var sorted: [Int: Int] = [:]
    var count: Int?
    var timers: Set<Int64> = []
    var wakes: Set<Int64> = []

    var isEmpty: Bool { self == StateRow() }

    var withoutTimers: StateRow {
        var row = self
        (row.timers, row.wakes) = ([], [])
        return row
    }
}

/// A keyed store of one subtask, with a state of each kind.
final class StateFixture {
    static let maxParallelism = 16
    static let name = "fixture"

    let store: KeyedStore<Int>
    let value = ValueState<String>()
    let list = ListState<Int>()
    let map = MapState<Int, String>()
    let sorted = SortedMapState<Int, Int>()
    let count = ReducingState<Int> { $0 + $1 }
    let timers = TimerQueue()
    let wakes = TimerQueue()
    let keyGroups: Range<Int>

    /// - Parameter place: where rows rest; nil: they stay in memory.
    init(_ disk: CheckpointStore, _ leases: RunLeases, _ place: RowPlace?, subtask: Int, of parallelism: Int) throws {
        store = try KeyedStore(.learn())
        keyGroups = KeyGroup.range(subtask: subtask, maxParallelism: Self.maxParallelism, parallelism: parallelism)
        let owner = RowOwner(
            operatorName: Self.name, subtask: subtask, keyGroups: keyGroups, maxParallelism: Self.maxParallelism)
        store.keepLayers(RowLayers(owner, root: disk.root, leases: leases))
        if let place { try store.rest(in: place) }
        try store.register(TimerQueue.eventName, timers)
        try store.register(TimerQueue.processingName, wakes)
        try value.bind("value", to: store)
        try list.bind("list", to: store)
        try map.bind("map", to: store)
        try sorted.bind("sorted", to: store)
        try count.bind("count", to: store)
    }

    /// Calls `body` with the contents of all keys of the subtask below a number.
    func readAll(_ limit: Int, _ body: (Int, StateRow) throws -> Void) throws {
        let own = (0..<limit).filter {
            keyGroups.contains(KeyGroup.of(hash: store.hasher.hash($0), maxParallelism: Self.maxParallelism))
        }
        for start in stride(from: 0, to: own.count, by: 16) {
            try process(Array(own[start..<min(start + 16, own.count)])) { try body($0, current) }
        }
    }

    /// Calls `body` with each key, its slot being the current one.
    func process(_ keys: [Int], _ body: (Int) throws -> Void) throws {
        var slots = Array(repeating: Int32(0), count: keys.count)
        store.resolve(keys, hashes: keys.map { store.hasher.hash($0) }, count: keys.count, into: &slots)
        try store.noteResolved(slots, count: keys.count)
        for (slot, key) in zip(slots, keys) {
            store.slot = Int(slot)
            try body(key)
        }
        for slot in slots { store.releaseIfEmpty(Int(slot)) }
        store.releaseUnused()
        try store.makeRoom()
    }

    /// What the states have for the current key.
    var current: StateRow {
        var row = StateRow(value: value.value, list: list.values, count: count.value)
        map.forEach { row.map[$0] = $1 }
        for (key, value) in sorted.entries { row.sorted[key] = value }
        return row
    }

    /// Makes the states of the current key what a row has; timers are only added.
    ///
    /// - Parameter keepsSorted: whether the sorted map stays as it is.
    func set(_ row: StateRow, timers times: Set<Int64>, wakes moments: Set<Int64>, keepsSorted: Bool = false) {
        value.value = row.value
        list.clear()
        for element in row.list { list.append(element) }
        map.clear()
        for (key, value) in row.map.sorted(by: { $0.key < $1.key }) { map[key] = value }
        if !keepsSorted {
            sorted.clear()
            for (key, value) in row.sorted { sorted[key] = value }
        }
        count.clear()
        if let total = row.count { count.add(total) }
        for time in times { timers.register(time: time, slot: store.slot) }
        for time in moments { wakes.register(time: time, slot: store.slot) }
    }

    /// The timers that are due, in the order in which they fire.
    func fire(_ domain: StateTTL.Domain, upTo limit: Int64) throws -> [(key: Int, time: Int64)] {
        let queue = domain == .eventTime ? timers : wakes
        var fired: [(key: Int, time: Int64)] = []
        var (end, isMore) = (limit, store.nextTimeAtRest(domain) <= limit)
        repeat {
            if isMore { (end, isMore) = try store.wake(domain, upTo: limit) }
            var slots: [Int] = []
            while let timer = queue.popDue(end) {
                store.select(Int(timer.slot))
                fired.append((store.currentKey, timer.time))
                slots.append(Int(timer.slot))
            }
            for slot in slots { store.releaseIfEmpty(slot) }
            try store.makeRoom()
        } while isMore
        return fired
    }

    func restore(_ snapshot: Snapshot) throws {
        guard let state = try snapshot.restoredState(of: Self.name) else { return }
        try store.restore(
            from: KeyedRestore(
                operatorName: Self.name, state: state, keyGroups: keyGroups, maxParallelism: Self.maxParallelism))
    }

    /// Writes a snapshot as a checkpoint would.
    ///
    /// - Returns: its files; nil when it could not be written.
    func write(
        _ snapshot: RowSnapshot, checkpoint: Int64, to disk: CheckpointStore, _ leases: RunLeases, succeeds: Bool
    ) throws -> [SegmentFile]? {
        guard succeeds, snapshot.base.allSatisfy({ (try? $0.file()) != nil }) else {
            for added in snapshot.added { added.layer.failed() }
            return nil
        }
        var files: [SegmentFile] = []
        for layer in snapshot.base {
            guard let file = try layer.file() else { continue }
            try layer.sync()
            files.append(snapshot.isSelfContained ? try disk.copy(file.file, into: checkpoint) : file.file)
        }
        for (index, added) in snapshot.added.enumerated() {
            var file = try disk.writeSegment(
                checkpoint: checkpoint, name: "rows\(index)", operators: [Self.name], subtask: 0, parts: added.parts,
                isCancelled: { false })
            file?.sequence = added.layer.sequence
            added.layer.written(file.map { HeldSegment($0, leases.take($0.path)) })
            if let file { files.append(file) }
        }
        return files
    }
}
