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
    }

    private struct Reads: Sendable {
        var asked: Set<String> = []
        var bytes: Int64 = 0
    }

    public let operatorName: String
    public let parallelism: Int
    public let states: [StateDescriptor]
    private let files: [File]
    private let fileSystem: any FileSystem
    private let reads: Guarded<Reads>

    init(
        of known: SnapshotMetadata.Operator, files listed: [(path: String, file: SegmentFile)],
        fileSystem: any FileSystem
    ) throws {
        operatorName = known.name
        parallelism = known.parallelism
        self.fileSystem = fileSystem
        var states: [String: StateDescriptor] = [:]
        var files: [File] = []
        var bytesRead: Int64 = 0
        for (path, file) in listed {
            let reader = try Snapshot.open(path, file, fileSystem)
            bytesRead += reader.bytesRead
            var indices: [String: Int] = [:]
            for (index, state) in reader.footer.states.enumerated() where state.operatorName == known.name {
                indices[state.name] = index
                if let other = states[state.name], other.kind != state.kind {
                    throw Snapshot.damage(
                        path, "state '\(state.name)' is \(state.kind.rawValue) here, \(other.kind.rawValue) elsewhere")
                }
                if states[state.name] == nil { states[state.name] = state }
            }
            files.append(File(path: path, footer: reader.footer, states: indices))
        }
        self.states = states.values.sorted { $0.name < $1.name }
        self.files = files
        reads = Guarded(Reads(bytes: bytesRead))
    }

    /// States with entries that nobody has asked for.
    public var unreadStates: [StateDescriptor] {
        let asked = reads.withLock { $0.asked }
        return states.filter { state in
            !asked.contains(state.name)
                && files.contains { file in
                    file.states[state.name].map { file.footer.statistics[$0].entries > 0 } ?? false
                }
        }
    }

    /// The bytes that were read from files.
    public var bytesRead: Int64 { reads.withLock { $0.bytes } }

    /// The entries of a state in all files.
    public func entryCount(of state: String) -> Int {
        files.reduce(0) { sum, file in
            sum + (file.states[state].map { Int(clamping: file.footer.statistics[$0].entries) } ?? 0)
        }
    }

    public func entries(
        of state: String, keyGroups: Range<Int>?,
        _ body: (_ key: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer) throws -> Void
    ) throws {
        reads.withLock { _ = $0.asked.insert(state) }
        guard let descriptor = states.first(where: { $0.name == state }) else { return }
        let groups = descriptor.kind.isKeyed ? keyGroups : nil
        let from = groups.map { Self.prefix($0.lowerBound) }
        let to = groups.flatMap { $0.upperBound > Int(UInt16.max) ? nil : Self.prefix($0.upperBound) }
        if let groups, groups.isEmpty { return }
        let cursors = try cursors(of: state, from: from, to: to)
        defer {
            let count = cursors.reduce(0) { $0 + $1.reader.bytesRead }
            reads.withLock { $0.bytes += count }
        }
        var merge = EntryMerge(cursors, allowsCopies: descriptor.kind == .broadcast)
        try merge.forEach(body)
    }

    func statistics(of state: String) -> [SegmentFooter.Statistics] {
        files.compactMap { file in file.states[state].map { file.footer.statistics[$0] } }
    }

    func cursors(of state: String, from: [UInt8]?, to: [UInt8]?) throws -> [SegmentCursor] {
        try files.compactMap { file in
            guard let index = file.states[state], Self.mayHold(file.footer.statistics[index], from, to) else {
                return nil
            }
            let reader = SegmentReader(try fileSystem.open(file.path), footer: file.footer)
            return reader.cursor(state: index, from: from, to: to)
        }
    }

    private static func prefix(_ keyGroup: Int) -> [UInt8] {
        [UInt8(truncatingIfNeeded: keyGroup >> 8), UInt8(truncatingIfNeeded: keyGroup)]
    }

    private static func mayHold(_ state: SegmentFooter.Statistics, _ from: [UInt8]?, _ to: [UInt8]?) -> Bool {
        guard state.entries > 0 else { return false }
        if let from, compare(state.lastKey, from) < 0 { return false }
        if let to, compare(state.firstKey, to) >= 0 { return false }
        return true
    }
}
