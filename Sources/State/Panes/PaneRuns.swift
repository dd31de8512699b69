// SPDX-License-Identifier: Apache-2.0
//  Panes of one operator that memory has no room for, in files.

import Glibc
import ThalwegBase
import ThalwegData
import ThalwegStorage

/// One file with panes.
public final class PaneRun: Sendable {
    /// The starts of its panes, ascending.
    public let starts: [Int64]
    let layer: RowLayer
    let run: Run

    init(_ starts: [Int64], _ layer: RowLayer, _ run: Run) {
        self.starts = starts
        self.layer = layer
        self.run = run
    }

    /// Whether other panes than this are in it.
    public func isShared(beside start: Int64) -> Bool { starts.count > 1 || starts[0] != start }

    func has(_ start: Int64) -> Bool {
        guard starts.count > 1 else { return starts[0] == start }
        return starts.contains(start)
    }
}

/// The panes of one operator's subtask that rest in files (FLIP-50).
///
/// The entry of a key and pane in the newest file counts, as everywhere: what is written over an older one holds all of
/// it. A file has several neighbouring panes, or one; only a pane with files of its own has several. So a file goes
/// as a whole when its last pane has closed. Used by one task.
public final class PaneRuns {
    private let owner: RowOwner
    private let place: RowPlace
    private let state: StateDescriptor
    /// The oldest first.
    private var runs: [PaneRun] = []
    private var lastSequence: Int64 = 0
    /// Files of one pane that are being made one.
    private var merging: (work: RowMerging, runs: [PaneRun])?
    /// With so many files in all merging is thought of again.
    private var mergeAt = 2
    /// The pane that was asked for last, and its files, open.
    private var lookups: (start: Int64, runs: RunLookups)?
    private let found = RowBuffer()

    /// - Parameter state: as every snapshot describes it.
    public init(_ owner: RowOwner, _ state: StateDescriptor, in place: RowPlace) {
        self.owner = owner
        self.state = state
        self.place = place
    }

    public var budgetBytes: Int { place.budgetBytes }
    public var isEmpty: Bool { runs.isEmpty }

    /// The start that a stored key ends with.
    public static func start(of key: UnsafeRawBufferPointer) throws -> Int64 {
        var reader = ByteReader(UnsafeRawBufferPointer(rebasing: key.suffix(8)))
        return try reader.readOrdered()
    }

    /// Whether a stored key is that of a row: what comes before the start.
    public static func isKey(_ key: UnsafeRawBufferPointer, of row: [UInt8]) -> Bool {
        guard key.count == row.count + 8, let base = key.baseAddress else { return false }
        return row.withUnsafeBytes { row in row.baseAddress.map { memcmp(base, $0, row.count) == 0 } ?? true }
    }

    /// The starts of all panes in files, in no order.
    public var starts: [Int64] { runs.flatMap(\.starts) }

    /// The files that have a pane, the oldest first.
    public func runs(of start: Int64) -> [PaneRun] { runs.filter { $0.has(start) } }

    /// The files with panes that start from one moment to before another.
    public func runs(from start: Int64, to end: Int64) -> [PaneRun] {
        runs.filter { $0.starts[0] < end && $0.starts[$0.starts.count - 1] >= start }
    }

    // MARK: Reading

    /// The entries of files, in order of key and pane. In memory: a block of each.
    public func entries(of runs: [PaneRun]) throws -> RunEntries {
        try Self.entries(runs.map(\.run), owner.operatorName, state.name)
    }

    private static func entries(_ runs: [Run], _ operatorName: String, _ state: String) throws -> RunEntries {
        let lookups = RunLookups(operatorName: operatorName, states: [state], blockBytesMax: 0, filterBytesMax: 0)
        try lookups.use(RunSet(runs))
        return lookups.entries(0)
    }

    /// Calls `body` with what files have of a key in a pane, if they have any.
    ///
    /// - Parameter key: as stored, with the start at its end.
    public func find(
        _ key: UnsafeRawBufferPointer, of start: Int64, _ body: (UnsafeRawBufferPointer) throws -> Void
    ) throws {
        if lookups?.start != start {
            let opened = RunLookups(
                operatorName: owner.operatorName, states: [state.name],
                blockBytesMax: Int(Double(budgetBytes) * RowTier.blockShare),
                filterBytesMax: Int(Double(budgetBytes) * RowTier.filterShare))
            try opened.use(RunSet(runs(of: start).map(\.run)))
            lookups = (start, opened)
        }
        if let lookups, try lookups.runs.find(0, row: key, into: found) { try body(found.value(0)) }
    }

    /// What files have below panes in memory; nil when they have nothing.
    ///
    /// - Parameter merge: appends the value made of what rests and of what is in memory.
    public func below(
        _ starts: [Int64],
        merge: @escaping @Sendable (UnsafeRawBufferPointer, UnsafeRawPointer, inout ByteWriter) throws -> Void
    ) -> PanesBelow? {
        let below = runs.filter { run in starts.contains(where: run.has) }
        guard !below.isEmpty else { return nil }
        let (operatorName, name) = (owner.operatorName, state.name)
        return PanesBelow(
            open: { try Self.entries(below.map(\.run), operatorName, name) }, merge: merge)
    }

    // MARK: Writing

    /// Writes panes, over what older files have of them.
    ///
    /// - Parameters:
    ///   - part: their entries, complete.
    ///   - starts: the panes, ascending: several only if no file has any of them.
    ///   - count: how many entries there are.
    public func write(_ part: StatePart, starts: [Int64], count: Int) throws {
        let path = place.names.next("\(owner.operatorName)-\(owner.subtask)")
        let lease = place.leases.take(path)
        let store = place.store
        let layer = RowLayer(
            sequence: nextSequence(checkpoint: 0), rowCount: count, states: [state.name],
            sync: { try store.syncRun(path) })
        guard
            let run = try store.writeRun(
                path, operators: [owner.operatorName], subtask: owner.subtask, sequence: layer.sequence,
                parts: [part], filteredRows: nil)
        else { return }
        layer.written(HeldSegment(run.file, lease), run: run)
        runs.append(PaneRun(starts, layer, run))
        lookups = nil
        place.metrics.evicted.add(count)
        place.metrics.spilledRows.add(count)
        place.metrics.spilledBytes.add(Int(run.byteCount))
    }

    private func nextSequence(checkpoint: Int64) -> Int64 {
        lastSequence = max(lastSequence + 1, checkpoint << 20)
        return lastSequence
    }

    /// Forgets a file: nobody needs it, or its panes are in memory.
    public func remove(_ run: PaneRun) {
        runs.removeAll { $0 === run }
        lookups = nil
    }

    /// Forgets the files whose panes all start at or before a moment.
    public func removeAll(upTo start: Int64) {
        if runs.isEmpty { return }
        runs.removeAll { $0.starts[$0.starts.count - 1] <= start }
        lookups = nil
    }

    public func note(loaded count: Int) { place.metrics.loaded.add(count) }

    // MARK: Merging

    /// Takes over files that have become one, and sees to it that no pane has too many.
    public func tend() throws {
        if let merging {
            do {
                guard let merged = try merging.work.result(in: place) else { return }
                self.merging = nil
                try replace(merging.runs, with: merged)
            } catch {
                // The files are as they were; more of them must come before it is tried again.
                self.merging = nil
                mergeAt = runs.count + 4
                if (error as? ThalwegError)?.kind == .corrupt { throw error }
            }
        }
        guard runs.count >= mergeAt else { return }
        var byStart: [Int64: [PaneRun]] = [:]
        for run in runs where run.starts.count == 1 { byStart[run.starts[0], default: []].append(run) }
        for own in byStart.sorted(by: { $0.key < $1.key }).map(\.value) where own.count > 1 {
            let newestFirst = Array(own.reversed())
            guard let range = RunPolicy().merge(newestFirst.map(\.run.byteCount)) else { continue }
            let chosen = Array(newestFirst[range].reversed())
            mergeAt = 2
            let work = try RowMerging(
                chosen.map(\.layer), newestFirst[range].map(\.run), isOldest: chosen[0] === own[0], owner, in: place,
                filterBytesMax: 0)
            merging = (work, chosen)
            return work.begin()
        }
        mergeAt = runs.count + 1
    }

    private func replace(_ merged: [PaneRun], with layer: RowLayer) throws {
        // The pane may have closed since.
        guard let first = merged.first, let index = runs.firstIndex(where: { $0 === first }) else { return }
        if let file = try layer.file() {
            runs[index] = PaneRun(first.starts, layer, try layer.run ?? place.store.run(file.file))
        }
        runs.removeAll { run in merged.contains { $0 === run } }
        lookups = nil
        place.metrics.merged.add(1)
    }

    // MARK: Snapshots

    /// A snapshot of all panes: those in files are listed, those in memory are written.
    public func freeze(_ part: StatePart, checkpoint: Int64, isSelfContained: Bool) -> RowSnapshot {
        let layer = RowLayer(sequence: nextSequence(checkpoint: checkpoint), rowCount: 0, states: [state.name])
        return RowSnapshot(
            added: [NewLayer(parts: [part], layer: layer)], base: runs.map(\.layer), isSelfContained: isSelfContained,
            isLookedInto: false)
    }

    /// Goes on from the files of a snapshot of this store, those with known panes.
    ///
    /// - Returns: what the others hold, which replaces what is in files; nil when all must be read and no file is
    ///   taken over.
    public func adopt(from source: KeyedRestore) throws -> RunEntries? {
        guard let segments = source.state.segments, segments.root == place.store.root, !segments.isUserOwned,
            segments.isInPlace
        else { return nil }
        var adopted: [PaneRun] = []
        var others: [Run] = []
        for file in segments.files {
            guard
                let held = file.states.first(where: {
                    $0.operatorName == owner.operatorName && $0.name == state.name
                })
            else { continue }
            let groups = (file.file.keyGroups ?? 0..<owner.maxParallelism).clamped(to: owner.keyGroups)
            if groups.isEmpty { continue }
            var clipped = file.file
            clipped.keyGroups = groups
            let run = try place.store.run(clipped)
            // Only a copy that was changed has tombstones: they say something of files that are to be left alone.
            guard held.ofAllFiles == state, run.footer.tombstones == 0 else { return nil }
            if let starts = held.paneStarts, file.states.count == 1 {
                let layer = RowLayer(
                    sequence: clipped.sequence, rowCount: Int(clamping: clipped.entries), states: [state.name])
                layer.written(HeldSegment(clipped, place.leases.take(clipped.path)))
                adopted.append(PaneRun(starts, layer, run))
            } else {
                others.append(run)
            }
            lastSequence = max(lastSequence, clipped.sequence)
        }
        // It may lie there under another name, which whoever reads the entries one by one knows.
        if adopted.isEmpty && others.isEmpty { return nil }
        runs = adopted.sorted { ($0.layer.sequence, $0.run.path) < ($1.layer.sequence, $1.run.path) }
        return try Self.entries(others, owner.operatorName, state.name)
    }
}

/// What files have of panes whose newer part is in memory.
public struct PanesBelow: Sendable {
    let open: @Sendable () throws -> RunEntries
    let merge: @Sendable (UnsafeRawBufferPointer, UnsafeRawPointer, inout ByteWriter) throws -> Void
}
