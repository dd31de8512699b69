// SPDX-License-Identifier: Apache-2.0
//  Writes the copy.

import ThalwegBase
import ThalwegData
import ThalwegStorage

extension SavepointWriter {
    /// Writes the copy into a directory that is not there yet. All its files lie in it: it may be moved.
    ///
    /// - Throws: kind `input` when something is there, kind `corrupt` when the source is damaged; nothing is left then.
    public func write(to path: String) throws {
        let copy = try SnapshotCopy(of: source.snapshot, to: path)
        do {
            var metadata = source.metadata
            if let newMaxParallelism {
                metadata.files = try reshardedFiles(copy, maxParallelism: newMaxParallelism)
                metadata.maxParallelism = newMaxParallelism
            } else {
                metadata.files = try editedFiles(copy)
            }
            metadata.operators = metadata.operators.map {
                SnapshotMetadata.Operator(name: operatorNames[$0.name] ?? $0.name, parallelism: $0.parallelism)
            }
            if let changeNote {
                let before = metadata.properties[Self.changesName].map { $0 + "; " } ?? ""
                metadata.properties[Self.changesName] = before + changeNote
            }
            try copy.complete(metadata)
        } catch {
            copy.abandon()
            throw error
        }
    }

    /// The states of a file as the copy describes them.
    func described(_ states: [StateDescriptor]) -> [StateDescriptor] {
        states.map { state in
            var state = state
            let id = StateID(operatorName: state.operatorName, name: state.name)
            state.name = stateNames[id] ?? state.name
            state.operatorName = operatorNames[state.operatorName] ?? state.operatorName
            return state
        }
    }

    func renamed(_ operators: [String]) -> [String] { operators.map { operatorNames[$0] ?? $0 } }

    // MARK: Files with changed entries

    private func editedFiles(_ copy: SnapshotCopy) throws -> [SegmentFile] {
        var left = changes
        var files: [(file: SegmentFile, reader: SegmentReader)] = []
        for file in source.metadata.files { files.append((file, try source.snapshot.segment(file))) }
        var edits: [[Int: [[UInt8]: [UInt8]?]]] = Array(repeating: [:], count: files.count)
        // What is there is changed where it is.
        for (place, (_, reader)) in files.enumerated() {
            for (index, state) in reader.footer.states.enumerated() {
                let id = StateID(operatorName: state.operatorName, name: state.name)
                for (key, value) in changes[id] ?? [:] where try reader.value(of: index, key: key) != nil {
                    edits[place][index, default: [:]][key] = .some(value)
                    // Of a key that several files have, the first counts, and all are changed.
                    left[id]?[key] = nil
                }
            }
        }
        for (id, added) in left {
            for (key, value) in added {
                guard let value else { continue }
                guard let (place, index) = home(of: key, id, files.map(\.reader)) else {
                    throw ThalwegError(.bug, "no file has the state", detail: id.name)
                }
                edits[place][index, default: [:]][key] = .some(value)
            }
        }
        return try zip(files, edits).compactMap { file, edits in
            let states = described(file.reader.footer.states)
            if edits.isEmpty, states == file.reader.footer.states { return try copy.take(file.file) }
            let sorted = edits.mapValues { changes in
                changes.map { SegmentChange(key: $0.key, value: $0.value) }
                    .sorted { $0.key.lexicographicallyPrecedes($1.key) }
            }
            return try copy.edit(
                file.file, states: states, changes: sorted, operators: renamed(file.file.operators))
        }
    }

    /// The file that a new key goes into: one whose keys lie around it, or the first that has the state.
    private func home(of key: [UInt8], _ id: StateID, _ readers: [SegmentReader]) -> (place: Int, index: Int)? {
        var first: (place: Int, index: Int)?
        for (place, reader) in readers.enumerated() {
            for (index, state) in reader.footer.states.enumerated()
            where state.operatorName == id.operatorName && state.name == id.name {
                let statistics = reader.footer.statistics[index]
                let isAround =
                    statistics.entries > 0 && !key.lexicographicallyPrecedes(statistics.firstKey)
                    && !statistics.lastKey.lexicographicallyPrecedes(key)
                if isAround { return (place, index) }
                if first == nil { first = (place, index) }
            }
        }
        return first
    }
}
