// SPDX-License-Identifier: Apache-2.0
//  Makes one run of several that lie side by side, piece by piece.

import ThalwegBase

/// Merges runs into one: of each key what the newest says (FLIP-50 s4, d3).
///
/// Calls: ``step(bytesMax:)`` until it says that there is no more, or ``cancel()``; then ``result`` is the new run.
/// After an error or a cancel no file is left. In memory: a block of each run, and the index of the new one. Used by
/// one thread at a time; the runs may be read by others meanwhile.
public final class RunMerge {
    /// Whether an entry of a state stays: what has expired does not.
    public typealias Filter = (_ key: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer) -> Bool

    private let target: RunTarget
    private let fileSystem: any FileSystem
    private let output: LateOutput
    private let sources: [(run: Run, reader: SegmentReader)]
    private let states: [StateDescriptor]
    private let keyGroups: Range<Int>?
    private let isOldest: Bool
    private let filter: (StateDescriptor) -> Filter?
    private let writer: SegmentWriter
    private let rowFilter: RowFilter?
    private var nextState = 0
    private var entries: LayeredEntries<SegmentCursor>?
    private var keeps: Filter?
    private var isOver = false

    /// The new run when all is done; nil before, and when nothing was left to write.
    public private(set) var result: Run?

    /// - Parameters:
    ///   - runs: newest first; none that is not among them lies between them.
    ///   - isOldest: whether nothing lies below them: then tombstones have done their work.
    ///   - keyGroups: only entries of these stay.
    ///   - isWanted: which states are merged; the others are left out.
    ///   - filter: of a state, what stays; what does not is as if it had been removed.
    ///   - isCancelled: asked once a block of the new run.
    /// - Throws: kind `input` or `retry` when a file cannot be opened; no file is left then.
    public init(
        _ runs: [Run], isOldest: Bool, to target: RunTarget, fileSystem: any FileSystem,
        keyGroups: Range<Int>? = nil, isWanted: (StateDescriptor) -> Bool = { _ in true },
        filter: @escaping (StateDescriptor) -> Filter? = { _ in nil },
        isCancelled: @escaping () -> Bool = { false }
    ) throws {
        self.target = target
        self.fileSystem = fileSystem
        self.isOldest = isOldest
        self.keyGroups = keyGroups
        self.filter = filter
        sources = try runs.map { ($0, try $0.reader()) }
        states = Self.states(of: runs).filter(isWanted)
        output = LateOutput(target.path, fileSystem)
        rowFilter = target.makeFilter()
        writer = try SegmentWriter(
            output, states: states, options: target.options, noting: rowFilter, isCancelled: isCancelled)
    }

    deinit { if !isOver { cancel() } }

    /// The states of all runs in order, each as the newest describes it.
    private static func states(of runs: [Run]) -> [StateDescriptor] {
        var found: [StateDescriptor] = []
        for state in runs.flatMap(\.footer.states)
        where !found.contains(where: { $0.operatorName == state.operatorName && $0.name == state.name }) {
            found.append(state)
        }
        return found.sorted { ($0.operatorName, $0.name) < ($1.operatorName, $1.name) }
    }

    /// Merges on.
    ///
    /// - Parameter bytesMax: about how many bytes of keys and values are written; one entry at least.
    /// - Returns: whether there is more to do.
    /// - Throws: a `ThalwegError` when a run is damaged or the disk fails, `CancellationError` when it was cancelled:
    ///   it is over then, and no file is left.
    public func step(bytesMax: Int = .max) throws -> Bool {
        guard !isOver else { return false }
        do {
            var bytes = 0
            repeat {
                guard let cursor = try nextEntry() else {
                    try finish()
                    return false
                }
                bytes += cursor.key.count + cursor.value.count + 1
                try take(cursor)
            } while bytes < bytesMax
            return true
        } catch {
            cancel()
            throw error
        }
    }

    /// Gives up: no file is left. Does nothing when it is over.
    public func cancel() {
        guard !isOver else { return }
        isOver = true
        output.close()
        if output.isThere { fileSystem.remove(target.path) }
    }

    private func nextEntry() throws -> SegmentCursor? {
        while true {
            if let cursor = try entries?.next() { return cursor }
            guard nextState < states.count else { return nil }
            let state = states[nextState]
            try writer.begin(state: nextState)
            nextState += 1
            keeps = filter(state)
            entries = LayeredEntries(
                sources.compactMap { run, reader in layer(of: state, run, reader) },
                outcome: isOldest ? .state : .layer)
        }
    }

    private func layer(of state: StateDescriptor, _ run: Run, _ reader: SegmentReader) -> EntryLayer<SegmentCursor>? {
        guard let index = run.index(of: state.name, operatorName: state.operatorName) else { return nil }
        var bounds = KeyBounds()
        if state.kind.isKeyed { bounds = bounds.clipped(to: run.file.keyGroups).clipped(to: keyGroups) }
        guard bounds.mayMeet(run.footer.statistics[index]) else { return nil }
        return EntryLayer(
            cursor: reader.cursor(state: index, from: bounds.from, to: bounds.to, isLayer: true),
            sequence: run.sequence)
    }

    private func take(_ entry: SegmentCursor) throws {
        if entry.kind != .put || keeps?(entry.key, entry.value) ?? true {
            try writer.add(entry.kind, key: entry.key, value: entry.value, rowBytes: entry.rowBytes)
        } else if !isOldest {
            // What older runs have of the key must not come back.
            try writer.addTombstone(key: entry.key, rowBytes: entry.rowBytes)
        }
    }

    private func finish() throws {
        let written = try writer.finishUnlessEmpty()
        if target.isDurable { try output.sync() }
        output.close()
        isOver = true
        result = written.map { Run($0, writer, target, rowFilter, fileSystem) }
    }
}
