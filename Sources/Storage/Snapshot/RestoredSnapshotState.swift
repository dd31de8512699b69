// SPDX-License-Identifier: Apache-2.0
//  The state of one operator in a snapshot, put together from all its files.

import Synchronization
import ThalwegBase

/// What a snapshot holds of one operator. Shared by the operator's subtasks; each call opens the files for itself.
public final class RestoredSnapshotState: RestoredState {
    /// One file, with the places of the operator's states in its table.
    private struct File: Sendable {
        let path: String
        let footer: SegmentFooter
        let states: [String: Int]
        let sequence: Int64
        let keyGroups: Range<Int>?

        /// Whether what its statistics say is not the whole story.
        var isLayer: Bool { sequence > 0 || keyGroups != nil }
    }

    public let operatorName: String
    public let parallelism: Int
    public let states: [StateDescriptor]
    private let files: [File]
    private let fileSystem: any FileSystem
    private let reads: Guarded<Int64>
    public let segments: RestoredSegments?

    init(
        of known: SnapshotMetadata.Operator, files listed: [(path: String, file: SegmentFile)],
        root: String, isUserOwned: Bool, fileSystem: any FileSystem
    ) throws {
        operatorName = known.name
        parallelism = known.parallelism
        self.fileSystem = fileSystem
        var states: [String: StateDescriptor] = [:]
        var files: [File] = []
        var bytesRead: Int64 = 0
        var segments = RestoredSegments(root: root, isUserOwned: isUserOwned, files: [])
        for (path, file) in listed {
            let reader = try Snapshot.open(path, file, fileSystem)
            bytesRead += reader.bytesRead
            var indices: [String: Int] = [:]
            for (index, state) in reader.footer.states.enumerated() where state.operatorName == known.name {
                indices[state.name] = index
                // A job whose types have changed builds on no layers of other ones, but writes its state anew.
                if let other = states[state.name], other.form != state.form {
                    throw Snapshot.damage(
                        path, "state '\(state.name)' of '\(known.name)' is \(state.form) here, \(other.form) elsewhere")
                }
                if states[state.name] == nil { states[state.name] = state.ofAllFiles }
            }
            segments.files.append(.init(file: file, states: reader.footer.states, path: path))
            files.append(
                File(
                    path: path, footer: reader.footer, states: indices, sequence: file.sequence,
                    keyGroups: file.keyGroups))
        }
        self.states = states.values.sorted { $0.name < $1.name }
        self.files = files
        self.segments = segments
        reads = Guarded(bytesRead)
    }

    /// Whether a state has entries. Where files lie in layers, that takes a look at them.
    public func hasEntries(of state: String) throws -> Bool {
        let holders = files.filter { file in
            file.states[state].map { file.footer.statistics[$0].entries > 0 } ?? false
        }
        return holders.contains { $0.isLayer } ? try cursor(of: state).next() : !holders.isEmpty
    }

    /// The bytes that were read from files.
    public var bytesRead: Int64 { reads.withLock { $0 } }

    /// The entries of a state. Where files lie in layers, all of them are read for it.
    public func entryCount(of state: String) throws -> Int {
        if files.contains(where: { $0.isLayer && $0.states[state] != nil }) {
            let entries = try cursor(of: state)
            var count = 0
            while try entries.next() { count += 1 }
            return count
        }
        return files.reduce(0) { sum, file in
            sum + (file.states[state].map { Int(clamping: file.footer.statistics[$0].entries) } ?? 0)
        }
    }

    /// How many entries of a state there are at most, without a look at them; exactly so many, unless files lie in
    /// layers.
    public func entryBound(of state: String) -> (most: Int, isExact: Bool) {
        let holders = files.compactMap { file in file.states[state].map { (file, file.footer.statistics[$0]) } }
        let most = holders.reduce(0) { $0 + Int(clamping: $1.1.entries &- min($1.1.entries, $1.1.tombstones)) }
        return (most, most == 0 || !holders.contains { $0.0.isLayer })
    }

    public func entries(
        of state: String, keyGroups: Range<Int>?,
        _ body: (_ key: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer) throws -> Void
    ) throws {
        guard let descriptor = states.first(where: { $0.name == state }) else { return }
        let groups = descriptor.kind.isKeyed ? keyGroups : nil
        if let groups, groups.isEmpty { return }
        let bounds = KeyBounds().clipped(to: groups)
        let layers = try layers(of: descriptor, from: bounds.from, to: bounds.to)
        defer {
            let count = layers.reduce(0) { $0 + $1.cursor.reader.bytesRead }
            reads.withLock { $0 += count }
        }
        var merge = LayeredEntries(layers, allowsCopies: descriptor.kind == .broadcast)
        try merge.forEach(body)
    }

    func statistics(of state: String) -> [SegmentFooter.Statistics] {
        files.compactMap { file in file.states[state].map { file.footer.statistics[$0] } }
    }

    func layers(of state: StateDescriptor, from: [UInt8]?, to: [UInt8]?) throws -> [EntryLayer<SegmentCursor>] {
        try files.compactMap { file in
            guard let index = file.states[state.name] else { return nil }
            let bounds = KeyBounds(from: from, to: to).clipped(to: state.kind.isKeyed ? file.keyGroups : nil)
            guard bounds.mayMeet(file.footer.statistics[index]) else { return nil }
            let reader = SegmentReader(try fileSystem.open(file.path), footer: file.footer)
            let cursor = reader.cursor(
                state: index, from: bounds.from, to: bounds.to, isLayer: file.sequence > 0)
            return EntryLayer(cursor: cursor, sequence: file.sequence)
        }
    }
}
