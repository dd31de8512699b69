// SPDX-License-Identifier: Apache-2.0
//  States that a snapshot gets from elsewhere.

import ThalwegBase
import ThalwegData
import ThalwegStorage

/// A state that is filled when the copy is written.
struct StateLoad {
    enum Content {
        /// Entries in any order.
        case loaded(StateLoader.Duplicates, (StateLoader) throws -> Void)
        /// Entries as they are stored.
        case sorted((any EntryWriter) throws -> Void)
    }

    let layout: EntryLayout
    var parallelism = 1
    let content: Content
}

extension SavepointWriter {
    /// Begins a snapshot that comes from no other one (FLIP-43 b8): a savepoint, which belongs to the user.
    ///
    ///     var writer = try SavepointWriter(maxParallelism: 128, timeMilliseconds: now)
    ///     try writer.load("last", in: "accounts", as: String.self, Int64.self) { add in
    ///         for (account, cents) in balances { try add(account, cents) }
    ///     }
    ///     try writer.write(to: "start")
    ///
    /// - Parameters:
    ///   - maxParallelism: the number of key groups: that of the job which is to start from it.
    ///   - timeMilliseconds: when it counts as taken; since 1970 UTC.
    /// - Throws: kind `input` when the number is out of range.
    public init(
        maxParallelism: Int, timeMilliseconds: Int64, jobName: String = "",
        fileSystem: any FileSystem = LocalFileSystem()
    ) throws {
        guard (1...Self.maxParallelismMax).contains(maxParallelism) else {
            throw ThalwegError(
                .input, "the maximum parallelism is out of range",
                detail: "\(maxParallelism) is not in 1...\(Self.maxParallelismMax)",
                hint: "take that of the job: 128, if it sets none")
        }
        let metadata = SnapshotMetadata(
            checkpoint: 1, kind: SnapshotKind.savepoint.rawValue, timeMilliseconds: timeMilliseconds,
            jobName: jobName, maxParallelism: maxParallelism, operators: [], files: [])
        self.init(try SavepointReader(.empty(metadata, fileSystem: fileSystem)))
    }

    /// Adds a state, or entries to a state that is there: an entry takes the place of one with the same key, a list
    /// that of all values of its key.
    ///
    /// - Parameters:
    ///   - state: as the job declares it. Of timers the name is `$timers.event` or `$timers.processing`; they fire in
    ///     the job that starts from the snapshot, those whose time is over at once.
    ///   - parallelism: of the operator, if the snapshot does not have it.
    ///   - body: called while the copy is written.
    /// - Throws: kind `input` when the snapshot has the state with another type, or when its kind cannot be filled.
    public mutating func load(
        _ state: StateDescriptor, parallelism: Int = 1, duplicates: StateLoader.Duplicates = .refused,
        _ body: @escaping (StateLoader) throws -> Void
    ) throws {
        guard newMaxParallelism == nil else { throw Self.mixed }
        guard state.kind != .inFlight else {
            throw ThalwegError(.input, "records on their way cannot be written", detail: "state \"\(state.name)\"")
        }
        guard !state.operatorName.isEmpty, !state.name.isEmpty else {
            throw ThalwegError(.input, "a state needs a name, and an operator with a name")
        }
        var state = state
        let id = StateID(operatorName: state.operatorName, name: state.name)
        let found = source.operators.first { $0.name == state.operatorName }?.states.first { $0.name == state.name }
        if let found, found.entries > 0 {
            // Those that are there have the stamps, or none, that the state was stored with.
            state.properties = found.descriptor.properties
            let (old, new) = (found.descriptor.form, state.form)
            guard old == new, state.kind != .split, state.kind != .union else {
                throw ThalwegError(
                    .input, "the snapshot has the state already",
                    detail: "state \"\(state.name)\" of \"\(state.operatorName)\" is \(old), not \(new)",
                    hint: "entries can be added to keyed and broadcast state of the same type")
            }
        }
        try checkUntouched(id)
        loads[id] = StateLoad(
            layout: try EntryLayout(state), parallelism: max(1, parallelism), content: .loaded(duplicates, body))
        notes.append("load \(state.operatorName)/\(state.name)")
    }

    /// Adds a state of kind `value`, or entries to it, with the types that the job declares.
    public mutating func load<Key: Hashable & Codable & Sendable, Value: Codable & Sendable>(
        _ name: String, in operatorName: String, as _: Key.Type, _: Value.Type,
        duplicates: StateLoader.Duplicates = .refused,
        _ body: @escaping (_ add: (Key, Value) throws -> Void) throws -> Void
    ) throws {
        let (keyType, valueType) = (try RecordType<Key>.learn(), try RecordType<Value>.learn())
        let (keys, hasher, values) = (KeyEncoder(keyType), KeyHasher(keyType), RecordCodec(valueType))
        let maxParallelism = source.maxParallelism
        let state = StateDescriptor(
            operatorName: operatorName, name: name, kind: .value, key: keyType.schema, value: valueType.schema)
        try load(state, duplicates: duplicates) { loader in
            try body { key, value in
                let group = KeyGroup.of(hash: hasher.hash(key), maxParallelism: maxParallelism)
                try loader.add(group: group) { bytes throws(ThalwegError) in
                    try keys.encode(key, into: &bytes)
                } value: { bytes throws(ThalwegError) in
                    try withUnsafePointer(to: value) { value throws(ThalwegError) in
                        try values.encode(value, count: 1, into: &bytes)
                    }
                }
            }
        }
    }

    /// Adds a state whose entries are in order already.
    mutating func fill(_ layout: EntryLayout, _ write: @escaping (any EntryWriter) throws -> Void) {
        let id = StateID(operatorName: layout.descriptor.operatorName, name: layout.descriptor.name)
        loads[id] = StateLoad(layout: layout, content: .sorted(write))
    }
}
