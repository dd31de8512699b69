// SPDX-License-Identifier: Apache-2.0
//  Makes changed copies of snapshots.

import ThalwegBase
import ThalwegData
import ThalwegStorage

/// A copy of a snapshot with changes (FLIP-43). The snapshot itself is only read.
///
///     var writer = SavepointWriter(try SavepointReader("checkpoints/chk-7"))
///     try writer.rename(operator: "prices", to: "offers")
///     try writer.write(to: "repaired")
///
/// A job starts from the copy as from any snapshot: `--from repaired`. Files are taken over as they are; changed
/// entries lie over them in a file of their own, so that changing one costs the copying of the bytes.
/// Changes are checked when they are declared; nothing is written before ``write(to:)``.
public struct SavepointWriter {
    struct StateID: Hashable {
        var operatorName: String
        var name: String
    }

    public let source: SavepointReader
    /// By the names in the source; the value of a key is nil when the entry goes.
    private(set) var changes: [StateID: [[UInt8]: [UInt8]?]] = [:]
    private(set) var operatorNames: [String: String] = [:]
    private(set) var stateNames: [StateID: String] = [:]
    private(set) var newMaxParallelism: Int?
    /// States whose entries get other values.
    var rewrites: [StateID: EntryRewrite] = [:]
    /// States that are filled from elsewhere.
    var loads: [StateID: StateLoad] = [:]
    var notes: [String] = []
    /// The most bytes of entries that are sorted in memory; more of them are sorted in files beside the copy.
    public var runBytesMax = 64 << 20
    /// The property of a copy that tells how it differs from what was taken.
    public static let changesName = "changes"

    public init(_ source: SavepointReader) { self.source = source }

    // MARK: Entries

    /// Sets an entry.
    ///
    /// - Parameters:
    ///   - place: what ``SavepointEntry/place`` of the entry says; of a list the key alone.
    ///   - value: of the state's schema; of a list an array with all its values; nil for timers, which have none.
    /// - Throws: kind `input` when the place or the value is not one of the state.
    public mutating func set(
        _ value: DynamicValue?, at place: [DynamicValue.Field], of name: String, in operatorName: String
    ) throws {
        let layout = try layout(name, operatorName)
        try checkNotRewritten(layout)
        let values = try layout.encodedValues(value, replacing: try found(place, layout), in: source.metadata)
        let keys = try self.keys(place, layout, count: values.count)
        try remove(place, layout)
        for (key, value) in zip(keys, values) { note(layout, key, value) }
        notes.append("set \(operatorName)/\(name) \(DynamicValue.record(place).json)")
    }

    /// Removes an entry, also one that this writer has set; of a list all values of a key.
    ///
    /// - Throws: kind `input` when there is none.
    public mutating func delete(
        at place: [DynamicValue.Field], of name: String, in operatorName: String
    ) throws {
        let layout = try layout(name, operatorName)
        try checkNotRewritten(layout)
        guard try !found(place, layout).isEmpty else {
            throw ThalwegError(
                .input, "there is no such entry",
                detail: "state \"\(name)\" of \"\(operatorName)\" at \(DynamicValue.record(place).json)",
                hint: "thalweg state read shows the entries that there are")
        }
        try remove(place, layout)
        notes.append("delete \(operatorName)/\(name) \(DynamicValue.record(place).json)")
    }

    func layout(_ name: String, _ operatorName: String) throws -> EntryLayout {
        let state = try source.state(name, in: operatorName)
        guard state.kind != .inFlight else {
            throw ThalwegError(
                .input, "records on their way cannot be changed", detail: "state \"\(name)\" of \"\(operatorName)\"",
                hint: "take a savepoint, which holds none, and change that")
        }
        guard newMaxParallelism == nil else { throw Self.mixed }
        return try EntryLayout(state.descriptor)
    }

    /// The entries of a state are changed one by one, all at once, or added: in one copy only one of these.
    func checkUntouched(_ id: StateID) throws {
        guard changes[id] == nil, rewrites[id] == nil, loads[id] == nil else {
            throw ThalwegError(
                .input, "a state is changed in two ways", detail: "state \"\(id.name)\" of \"\(id.operatorName)\"",
                hint: "make one copy of the other")
        }
    }

    static var mixed: ThalwegError {
        ThalwegError(
            .input, "entries are changed in one copy, and key groups in another", hint: "make one copy of the other")
    }

    private func checkNotRewritten(_ layout: EntryLayout) throws {
        let id = StateID(operatorName: layout.descriptor.operatorName, name: layout.descriptor.name)
        if changes[id] == nil { try checkUntouched(id) }
    }

    private mutating func note(_ layout: EntryLayout, _ key: [UInt8], _ value: [UInt8]?) {
        let id = StateID(operatorName: layout.descriptor.operatorName, name: layout.descriptor.name)
        changes[id, default: [:]][key] = .some(value)
    }

    private mutating func remove(_ place: [DynamicValue.Field], _ layout: EntryLayout) throws {
        for (key, _) in try found(place, layout) { note(layout, key, nil) }
    }

    private func prefix(_ place: [DynamicValue.Field], _ layout: EntryLayout) throws -> [UInt8] {
        let wanted = layout.addressParts.map(\.name)
        guard place.map(\.name) == wanted else {
            throw ThalwegError(
                .input, "this is no place of an entry",
                detail: "state \"\(layout.descriptor.name)\" of kind \(layout.descriptor.kind.rawValue): "
                    + DynamicValue.record(place).json, hint: "it has " + wanted.joined(separator: ", "))
        }
        let group = try layout.keyGroup(of: place, maxParallelism: source.maxParallelism)
        return try layout.keyBytes(place, keyGroup: layout.descriptor.kind.isKeyed ? group : nil)
    }

    private func keys(_ place: [DynamicValue.Field], _ layout: EntryLayout, count: Int) throws -> [[UInt8]] {
        let prefix = try prefix(place, layout)
        guard layout.descriptor.kind == .list else { return [prefix] }
        return (0..<count).map { chunk in
            var writer = ByteWriter()
            writer.append(UInt32(truncatingIfNeeded: chunk).byteSwapped)
            return prefix + writer.bytes()
        }
    }

    /// What the copy has at a place as it is declared so far: what the source has, but for what was changed.
    private func found(
        _ place: [DynamicValue.Field], _ layout: EntryLayout
    ) throws -> [(key: [UInt8], entry: SavepointEntry)] {
        let prefix = try prefix(place, layout)
        var entries: [[UInt8]: [UInt8]] = [:]
        if let restored = source.states[layout.descriptor.operatorName] {
            let cursor = try restored.cursor(
                of: layout.descriptor.name, from: prefix, to: SavepointReader.successor(prefix))
            while try cursor.next() { entries[Array(cursor.key)] = Array(cursor.value) }
        }
        for (key, value) in changed(prefix, layout) { entries[key] = value }
        return try entries.sorted { $0.key.lexicographicallyPrecedes($1.key) }.map { key, value in
            let entry = try key.withUnsafeBytes { key in
                try value.withUnsafeBytes { try layout.entry(key, $0) }
            }
            return (key, entry)
        }
    }

    /// The changes at a place: only those of a list can be several.
    private func changed(_ prefix: [UInt8], _ layout: EntryLayout) -> [[UInt8]: [UInt8]?] {
        let id = StateID(operatorName: layout.descriptor.operatorName, name: layout.descriptor.name)
        guard let known = changes[id] else { return [:] }
        guard layout.descriptor.kind == .list else { return known[prefix].map { [prefix: $0] } ?? [:] }
        return known.filter { $0.key.starts(with: prefix) }
    }

    // MARK: Names

    /// Gives an operator another name; its states go with it.
    public mutating func rename(operator name: String, to newName: String) throws {
        guard source.operators.contains(where: { $0.name == name }) else {
            _ = try source.state("", in: name)
            return
        }
        let others = source.operators.map(\.name).filter { $0 != name }.map { operatorNames[$0] ?? $0 }
        try Self.check(newName, against: others, what: "operator")
        operatorNames[name] = newName
        notes.append("rename operator \(name) to \(newName)")
    }

    /// Gives a state another name.
    ///
    /// - Parameter operatorName: its operator's name in the source.
    public mutating func rename(state name: String, of operatorName: String, to newName: String) throws {
        _ = try source.state(name, in: operatorName)
        guard !name.hasPrefix("$"), !newName.hasPrefix("$") else {
            throw ThalwegError(
                .input, "a state of the engine keeps its name", detail: "\"\(name)\" of \"\(operatorName)\"",
                hint: "names that begin with $ are the engine's own")
        }
        let states = source.operators.first { $0.name == operatorName }?.states.map(\.name) ?? []
        let others = states.filter { $0 != name }.map {
            stateNames[StateID(operatorName: operatorName, name: $0)] ?? $0
        }
        try Self.check(newName, against: others, what: "state")
        stateNames[StateID(operatorName: operatorName, name: name)] = newName
        notes.append("rename state \(operatorName)/\(name) to \(newName)")
    }

    private static func check(_ name: String, against others: [String], what: String) throws {
        guard !name.isEmpty, !others.contains(name) else {
            throw ThalwegError(
                .input, "an \(what) cannot have that name",
                detail: name.isEmpty ? "it is empty" : "\"\(name)\" is taken",
                hint: "choose another one")
        }
    }

    // MARK: Key groups

    /// Divides the keys into another number of key groups: the largest parallelism that a job can have.
    ///
    /// - Throws: kind `input` when the number is out of range, or when what the snapshot holds cannot be divided.
    public mutating func reshard(maxParallelism: Int) throws {
        guard changes.isEmpty, rewrites.isEmpty, loads.isEmpty else { throw Self.mixed }
        let least = source.operators.map(\.parallelism).max() ?? 1
        guard maxParallelism >= max(1, least), maxParallelism <= Self.maxParallelismMax else {
            throw ThalwegError(
                .input, "the maximum parallelism is out of range",
                detail: "\(maxParallelism) is not in \(least)...\(Self.maxParallelismMax)",
                hint: "it is at least the parallelism of every operator in the snapshot")
        }
        newMaxParallelism = maxParallelism
        try checkReshard(to: maxParallelism)
        notes.append("reshard \(source.maxParallelism) to \(maxParallelism)")
    }

    /// The largest number of key groups.
    public static let maxParallelismMax = KeyGroup.countMax

    /// What was changed, as a text for the copy's properties; nil for a plain copy.
    var changeNote: String? {
        guard !notes.isEmpty else { return nil }
        let shown = notes.prefix(20).joined(separator: "; ")
        return notes.count > 20 ? shown + "; and \(notes.count - 20) more" : shown
    }
}
