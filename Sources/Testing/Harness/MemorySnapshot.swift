// SPDX-License-Identifier: Apache-2.0
//  A snapshot of one operator in memory.

import Thalweg

/// What the subtasks of one operator have frozen, written out and ready to restore from.
///
///     let before = try OperatorHarness(...)
///     ...
///     let after = try OperatorHarness(restoring: before.snapshot(), ...)
public struct MemorySnapshot: RestoredState {
    /// A state with its entries in ascending order of their keys.
    public struct Section: Hashable, Sendable {
        public let descriptor: StateDescriptor
        public let entries: [Entry]
    }

    public struct Entry: Hashable, Sendable {
        public let key: [UInt8]
        public let value: [UInt8]

        public init(key: [UInt8], value: [UInt8]) {
            self.key = key
            self.value = value
        }
    }

    public let sections: [Section]
    public let parallelism: Int

    public var states: [StateDescriptor] { sections.map(\.descriptor) }

    /// Writes the parts, on the calling thread.
    ///
    /// - Throws: `ThalwegError(.bug)` when a part breaks the order of its keys, when two subtasks wrote the same key,
    ///   or when they disagree about a state.
    public init(parts: [StatePart], parallelism: Int) throws {
        self.parallelism = parallelism
        var names: [String] = []
        var found: [String: (descriptor: StateDescriptor, entries: [Entry])] = [:]
        for part in parts {
            let list = EntryList(part.descriptor.name)
            try part.write(to: list)
            if found[part.descriptor.name] == nil { names.append(part.descriptor.name) }
            let known = found[part.descriptor.name] ?? (part.descriptor, [])
            guard known.descriptor == part.descriptor else {
                throw ThalwegError(.bug, "subtasks describe a state differently", detail: part.descriptor.name)
            }
            found[part.descriptor.name] = (known.descriptor, known.entries + list.entries)
        }
        sections = try names.compactMap { found[$0] }.map { state in
            let entries = state.entries.sorted { $0.key.lexicographicallyPrecedes($1.key) }
            for (left, right) in zip(entries, entries.dropFirst()) where left.key == right.key {
                throw ThalwegError(.bug, "two subtasks wrote the same key", detail: state.descriptor.name)
            }
            return Section(descriptor: state.descriptor, entries: entries)
        }
    }

    /// Writes what the subtasks of one operator have frozen, and releases it.
    public init(_ snapshots: [OperatorSnapshot]) throws {
        try self.init(parts: snapshots.flatMap(\.parts), parallelism: snapshots.count)
        for snapshot in snapshots { for release in snapshot.releases { release() } }
    }

    /// What several subtasks have stored, each in a snapshot of its own, in order of the subtasks.
    public init(of subtasks: [MemorySnapshot]) {
        parallelism = subtasks.count
        var names: [String] = []
        var found: [String: Section] = [:]
        for section in subtasks.flatMap(\.sections) {
            if found[section.descriptor.name] == nil { names.append(section.descriptor.name) }
            let known = found[section.descriptor.name]?.entries ?? []
            found[section.descriptor.name] = Section(
                descriptor: section.descriptor,
                entries: (known + section.entries).sorted { $0.key.lexicographicallyPrecedes($1.key) })
        }
        sections = names.compactMap { found[$0] }
    }

    /// The number of entries of a state.
    public func count(of state: String) -> Int { entries(of: state).count }

    /// The entries of a state; none when the snapshot does not have it.
    public func entries(of state: String) -> [Entry] {
        sections.first { $0.descriptor.name == state }?.entries ?? []
    }

    public func entries(
        of state: String, keyGroups: Range<Int>?,
        _ body: (_ key: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer) throws -> Void
    ) throws {
        for entry in entries(of: state) {
            if let keyGroups {
                guard entry.key.count >= 2, keyGroups.contains(Int(entry.key[0]) << 8 | Int(entry.key[1])) else {
                    continue
                }
            }
            try entry.key.withUnsafeBytes { key in try entry.value.withUnsafeBytes { try body(key, $0) } }
        }
    }
}

/// Keeps entries and checks their order.
private final class EntryList: EntryWriter {
    private let name: String
    private(set) var entries: [MemorySnapshot.Entry] = []

    init(_ name: String) { self.name = name }

    func add(
        _ kind: EntryKind, key: UnsafeRawBufferPointer, value: UnsafeRawBufferPointer, rowBytes: Int
    ) throws {
        guard kind == .put else {
            throw ThalwegError(.bug, "a whole state has a tombstone", detail: "state \(name), entry \(entries.count)")
        }
        let entry = MemorySnapshot.Entry(key: Array(key), value: Array(value))
        if let last = entries.last, !last.key.lexicographicallyPrecedes(entry.key) {
            throw ThalwegError(
                .bug, "a state's entries are not in ascending order", detail: "state \(name), entry \(entries.count)")
        }
        entries.append(entry)
    }
}
