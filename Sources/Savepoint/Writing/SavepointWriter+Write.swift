// SPDX-License-Identifier: Apache-2.0
//  Writes the copy.

import ThalwegBase
import ThalwegData
import ThalwegStorage

/// A copy that is written but for its metadata.
struct PreparedCopy {
    fileprivate let copy: SnapshotCopy
    fileprivate let metadata: SnapshotMetadata

    func complete() throws { try copy.complete(metadata) }
    func abandon() { copy.abandon() }
}

extension SavepointWriter {
    /// Writes the copy into a directory that is not there yet. All its files lie in it: it may be moved.
    ///
    /// A copy without changes is compared with its checksums while it is made. Of one with changes the disk keeps a
    /// file that stays as it is once, for both (hard links), where it can: a small change of a large snapshot costs
    /// little, and damage in such a file is found by whoever reads it, or ``SavepointReader/verify()``.
    ///
    /// - Throws: kind `input` when something is there, kind `corrupt` when what is copied is damaged; nothing is left
    ///   then.
    public func write(to path: String) throws {
        let copy = try prepare(to: path)
        do { try copy.complete() } catch {
            copy.abandon()
            throw error
        }
    }

    /// Whether a copy can be written there.
    func check(_ path: String) throws {
        try SnapshotCopy(of: source.snapshot, to: path).abandon()
    }

    /// Writes all of the copy but the file that makes it one.
    func prepare(to path: String) throws -> PreparedCopy {
        guard !source.operators.isEmpty || !loads.isEmpty else {
            throw ThalwegError(.input, "a snapshot needs at least one state", hint: "load one before it is written")
        }
        let copy = try SnapshotCopy(of: source.snapshot, to: path)
        do {
            var metadata = source.metadata
            metadata.files = newMaxParallelism == nil ? try keptFiles(copy) : []
            metadata.files += try newFiles(copy) + changeFiles(copy)
            metadata.maxParallelism = newMaxParallelism ?? metadata.maxParallelism
            metadata.operators = operatorsOfCopy
            // A copy is the user's.
            metadata.properties[SnapshotMetadata.ownerName] = nil
            if let changeNote {
                let before = metadata.properties[Self.changesName].map { $0 + "; " } ?? ""
                metadata.properties[Self.changesName] = before + changeNote
            }
            return PreparedCopy(copy: copy, metadata: metadata)
        } catch {
            copy.abandon()
            throw error
        }
    }

    private var operatorsOfCopy: [SnapshotMetadata.Operator] {
        let known = Set(source.operators.map(\.name))
        var new: [String: Int] = [:]
        for (id, load) in loads where !known.contains(id.operatorName) {
            new[id.operatorName] = max(new[id.operatorName] ?? 1, load.parallelism)
        }
        return source.metadata.operators.map {
            SnapshotMetadata.Operator(name: operatorNames[$0.name] ?? $0.name, parallelism: $0.parallelism)
        } + new.sorted { $0.key < $1.key }.map { SnapshotMetadata.Operator(name: $0.key, parallelism: $0.value) }
    }

    /// The states of a file as the copy describes them.
    func described(_ states: [StateDescriptor]) -> [StateDescriptor] {
        states.map { state in
            let id = StateID(operatorName: state.operatorName, name: state.name)
            var state = rewrites[id]?.descriptor ?? state
            state.name = stateNames[id] ?? state.name
            state.operatorName = operatorNames[state.operatorName] ?? state.operatorName
            return state
        }
    }

    func renamed(_ operators: [String]) -> [String] { operators.map { operatorNames[$0] ?? $0 } }

    // MARK: Files with new entries

    /// A state whose entries are all written anew.
    struct NewState {
        /// As the copy describes it.
        let descriptor: StateDescriptor
        let write: (SegmentWriter) throws -> Void
    }

    /// The states that are written anew, by the name of their operator in the source.
    private func newStates(_ copy: SnapshotCopy) throws -> [String: [NewState]] {
        if let newMaxParallelism { return try reshardedStates(copy, maxParallelism: newMaxParallelism) }
        var states: [String: [NewState]] = [:]
        for (id, rewrite) in rewrites {
            let state = try source.state(id.name, in: id.operatorName).descriptor
            guard let restored = source.states[id.operatorName], let new = described([state]).first else { continue }
            let layout = try EntryLayout(state)
            states[id.operatorName, default: []].append(
                NewState(descriptor: new) { writer in
                    try rewrite.write(try restored.cursor(of: id.name), layout, to: writer)
                })
        }
        for (id, load) in loads {
            guard let new = described([load.layout.descriptor]).first else { continue }
            states[id.operatorName, default: []].append(
                NewState(descriptor: new) { writer in
                    switch load.content {
                    case .sorted(let write): try write(writer)
                    case .loaded(let duplicates, let body): try fill(id, load.layout, duplicates, body, copy, writer)
                    }
                })
        }
        return states
    }

    private func fill(
        _ id: StateID, _ layout: EntryLayout, _ duplicates: StateLoader.Duplicates,
        _ body: (StateLoader) throws -> Void, _ copy: SnapshotCopy, _ writer: SegmentWriter
    ) throws {
        let sorter = sorter(copy)
        defer { sorter.remove() }
        let loader = StateLoader(
            layout, maxParallelism: source.maxParallelism, stamp: layout.newStamp(source.metadata),
            duplicates: duplicates, sorter: sorter)
        try body(loader)
        try loader.write(try source.states[id.operatorName]?.cursor(of: id.name), to: writer)
    }

    func sorter(_ copy: SnapshotCopy) -> EntrySorter {
        EntrySorter(
            directory: copy.scratchDirectory, fileSystem: source.snapshot.fileSystem, runBytesMax: runBytesMax)
    }

    /// A file for each operator with such states.
    private func newFiles(_ copy: SnapshotCopy) throws -> [SegmentFile] {
        try newStates(copy).sorted { $0.key < $1.key }.compactMap { name, states in
            let states = states.sorted { $0.descriptor.name < $1.descriptor.name }
            return try copy.write(
                "new.segment", states: states.map(\.descriptor), operators: [operatorNames[name] ?? name]
            ) { writer in
                for (index, state) in states.enumerated() {
                    try writer.begin(state: index)
                    try state.write(writer)
                }
            }
        }
    }

    // MARK: Files that are taken over

    private func keptFiles(_ copy: SnapshotCopy) throws -> [SegmentFile] {
        try source.metadata.files.compactMap { file in
            let before = try source.snapshot.segment(file).footer.states
            let states = described(before)
            let anew = Set(before.indices.filter { isWrittenAnew(before[$0]) })
            if anew.isEmpty, states == before {
                return try copy.take(file, isShared: changeNote != nil)
            }
            return try copy.edit(file, states: states, leavingOut: anew, operators: renamed(file.operators))
        }
    }

    private func isWrittenAnew(_ state: StateDescriptor) -> Bool {
        let id = StateID(operatorName: state.operatorName, name: state.name)
        return rewrites[id] != nil || loads[id] != nil
    }

    // MARK: Changed entries

    /// Changed entries lie over all others, in a file for each operator: nothing else is written anew.
    private func changeFiles(_ copy: SnapshotCopy) throws -> [SegmentFile] {
        let names = Set(changes.keys.map(\.operatorName))
        return try names.sorted().compactMap { name in
            let ids = changes.keys.filter { $0.operatorName == name }.sorted { $0.name < $1.name }
            let layouts = try ids.map { try EntryLayout(try source.state($0.name, in: name).descriptor) }
            let below = source.metadata.files.filter { $0.operators.contains(name) }.map(\.sequence).max() ?? 0
            return try copy.write(
                "changed.segment", sequence: below + 1, states: described(layouts.map(\.descriptor)),
                operators: renamed([name])
            ) { writer in
                for (index, (id, layout)) in zip(ids, layouts).enumerated() {
                    try writer.begin(state: index)
                    let sorted = (changes[id] ?? [:]).sorted { $0.key.lexicographicallyPrecedes($1.key) }
                    for (key, value) in sorted { try Self.write(key, value, layout, to: writer) }
                }
            }
        }
    }

    private static func write(
        _ key: [UInt8], _ value: [UInt8]?, _ layout: EntryLayout, to writer: SegmentWriter
    ) throws {
        try key.withUnsafeBytes { key in
            let rowBytes = try layout.rowBytes(of: key)
            guard let value else { return try writer.addTombstone(key: key, rowBytes: rowBytes) }
            try value.withUnsafeBytes { try writer.add(key: key, value: $0, rowBytes: rowBytes) }
        }
    }
}
