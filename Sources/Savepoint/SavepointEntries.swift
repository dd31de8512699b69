// SPDX-License-Identifier: Apache-2.0
//  The entries of a state, read one after another.

import ThalwegBase
import ThalwegData
import ThalwegStorage

/// Which entries of a state are wanted.
public enum EntryFilter: Sendable {
    case all
    /// Those of one key; reads the blocks of that key.
    case key(DynamicValue)
    /// Those of keys from the first to before the second; nil is no bound.
    case keys(from: DynamicValue?, to: DynamicValue?)
    /// Those of keyed state in these key groups.
    case keyGroups(Range<Int>)
}

/// Walks over entries in the order in which they are stored: by key group, then by key. In memory: a block of each
/// file. Used by one thread at a time.
public final class SavepointEntries {
    private let state: RestoredSnapshotState
    let layout: EntryLayout
    /// Where to look, still to come.
    private var spans: ArraySlice<(from: [UInt8]?, to: [UInt8]?)>
    private var cursor: SnapshotEntries?

    init(_ state: RestoredSnapshotState, _ layout: EntryLayout, _ spans: [(from: [UInt8]?, to: [UInt8]?)]) {
        self.state = state
        self.layout = layout
        self.spans = spans[...]
    }

    /// The next entry; nil at the end.
    ///
    /// - Throws: kind `corrupt` when the file, or the entry, is damaged.
    public func next() throws -> SavepointEntry? {
        try step() ? try current() : nil
    }

    /// The entry at which ``step()`` has arrived.
    func current() throws -> SavepointEntry? { try cursor.map { try layout.entry($0.key, $0.value) } }

    /// Calls `body` with every entry that is left.
    public func forEach(_ body: (SavepointEntry) throws -> Void) throws {
        while let entry = try next() { try body(entry) }
    }

    /// The bytes of the entry at which ``step()`` has arrived.
    var bytes: (key: UnsafeRawBufferPointer, value: UnsafeRawBufferPointer)? { cursor.map { ($0.key, $0.value) } }

    func step() throws -> Bool {
        while true {
            if let cursor {
                if try cursor.next() { return true }
                self.cursor = nil
            }
            guard let span = spans.popFirst() else { return false }
            cursor = try state.cursor(of: layout.descriptor.name, from: span.from, to: span.to)
        }
    }
}

extension SavepointReader {
    /// The entries of a state, in the order in which they are stored.
    ///
    /// - Throws: kind `input` when there is no such state, or when it has no keys to choose by.
    public func entries(
        of name: String, in operatorName: String, where filter: EntryFilter = .all
    ) throws -> SavepointEntries {
        let descriptor = try state(name, in: operatorName).descriptor
        guard let restored = states[operatorName] else {
            throw ThalwegError(.bug, "an operator of a snapshot was not opened", detail: operatorName)
        }
        let layout = try EntryLayout(descriptor)
        var spans: [(from: [UInt8]?, to: [UInt8]?)] = [(nil, nil)]
        switch filter {
        case .all: break
        case .keyGroups(let groups):
            guard descriptor.kind.isKeyed else { throw unkeyed(descriptor) }
            let groups = groups.clamped(to: 0..<maxParallelism)
            spans = groups.isEmpty ? [] : [(Self.prefix(groups.lowerBound), Self.prefix(groups.upperBound))]
        case .key(let key):
            let bytes = try keyBytes(key, layout)
            let end = Self.successor(bytes)
            guard descriptor.kind.isKeyed else {
                spans = [(bytes, end)]
                break
            }
            let prefix = Self.prefix(try keyGroup(of: key, layout)) ?? []
            spans = [(prefix + bytes, Self.successor(prefix + bytes))]
        case .keys(let from, let to):
            let (from, to) = (try from.map { try keyBytes($0, layout) }, try to.map { try keyBytes($0, layout) })
            if !descriptor.kind.isKeyed {
                spans = [(from, to)]
            } else {
                spans = (0..<maxParallelism).map { group in
                    let prefix = Self.prefix(group) ?? []
                    return (prefix + (from ?? []), to.map { prefix + $0 } ?? Self.prefix(group + 1))
                }
            }
        }
        return SavepointEntries(restored, layout, spans)
    }

    private func keyGroup(of key: DynamicValue, _ layout: EntryLayout) throws -> Int {
        let place = [DynamicValue.Field(layout.key?.name ?? "id", key)]
        return try layout.keyGroup(of: place, maxParallelism: maxParallelism) ?? 0
    }

    private func keyBytes(_ key: DynamicValue, _ layout: EntryLayout) throws -> [UInt8] {
        guard let part = layout.key ?? (layout.descriptor.kind == .keyedList ? layout.parts.first : nil) else {
            throw unkeyed(layout.descriptor)
        }
        return try part.codec.encodeKey(key)
    }

    private func unkeyed(_ state: StateDescriptor) -> ThalwegError {
        ThalwegError(
            .input, "a state has no keys to choose by",
            detail: "state \"\(state.name)\" of \"\(state.operatorName)\" is of kind \(state.kind.rawValue)",
            hint: "read all of it")
    }

    /// The schema of the keys by which entries of a state are chosen.
    public func keySchema(of name: String, in operatorName: String) throws -> RecordSchema {
        let layout = try EntryLayout(try state(name, in: operatorName).descriptor)
        guard let part = layout.key ?? (layout.descriptor.kind == .keyedList ? layout.parts.first : nil) else {
            throw unkeyed(layout.descriptor)
        }
        return part.codec.schema
    }

    /// What keys of a key group begin with; nil for what comes after the last.
    static func prefix(_ keyGroup: Int) -> [UInt8]? {
        guard keyGroup < keyGroupsMax else { return nil }
        return [UInt8(truncatingIfNeeded: keyGroup >> 8), UInt8(truncatingIfNeeded: keyGroup)]
    }

    /// The first bytes after all that begin with `bytes`; nil when there are none.
    static func successor(_ bytes: [UInt8]) -> [UInt8]? {
        var bytes = bytes
        while let last = bytes.popLast() {
            if last < .max { return bytes + [last + 1] }
        }
        return nil
    }
}
