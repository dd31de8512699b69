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
    /// What the entries that ``next()`` gives have in common.
    private let condition: StateExpression?

    init(
        _ state: RestoredSnapshotState, _ layout: EntryLayout, _ spans: [(from: [UInt8]?, to: [UInt8]?)],
        condition: StateExpression?
    ) {
        self.state = state
        self.layout = layout
        self.spans = spans[...]
        self.condition = condition
    }

    /// The next entry; nil at the end.
    ///
    /// - Throws: kind `corrupt` when the file, or the entry, is damaged.
    public func next() throws -> SavepointEntry? {
        while try step() {
            guard let entry = try current() else { return nil }
            if let wanted = try matching(entry) { return wanted }
        }
        return nil
    }

    /// The entry if the condition holds for it; of a list, with the values for which it does.
    private func matching(_ entry: SavepointEntry) throws -> SavepointEntry? {
        guard let condition else { return entry }
        let place = entry.place.map(\.value)
        guard layout.descriptor.kind == .list, case .array(let values)? = entry.value else {
            let row = entry.value.map { place + [$0] } ?? place
            return try condition.value(of: row) == .bool(true) ? entry : nil
        }
        let kept = try values.indices.filter { try condition.value(of: place + [values[$0]]) == .bool(true) }
        guard !kept.isEmpty else { return nil }
        var entry = entry
        entry.value = .array(kept.map { values[$0] })
        if !entry.stamps.isEmpty { entry.stamps = kept.map { entry.stamps[$0] } }
        return entry
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
    /// - Parameters:
    ///   - filter: which keys are looked at; only their blocks are read.
    ///   - condition: an expression that holds for what is wanted, such as `value.price > 100`; of a list it is asked
    ///     for each value. See ``StateExpression``.
    /// - Throws: kind `input` when there is no such state, when it has no keys to choose by, or when the condition is
    ///   none.
    public func entries(
        of name: String, in operatorName: String, where filter: EntryFilter = .all, matching condition: String? = nil
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
        guard condition == nil || descriptor.kind != .inFlight else { throw unkeyed(descriptor) }
        let expression = try condition.map {
            try StateExpression($0, over: layout.expressionNames, as: .scalar(.bool))
        }
        return SavepointEntries(restored, layout, spans, condition: expression)
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
