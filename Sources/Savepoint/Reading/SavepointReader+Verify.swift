// SPDX-License-Identifier: Apache-2.0
//  Proves a snapshot from the first byte to the last.

import ThalwegBase
import ThalwegData
import ThalwegStorage

extension SavepointReader {
    /// Reads all of it and compares it with what it says about itself: the checksums of blocks and files, the order of
    /// the keys, their key groups, and every key and value with its schema.
    ///
    /// - Returns: what is damaged, one error for a file or a state; empty when nothing is.
    /// - Throws: when a disk fails.
    public func verify() throws -> [ThalwegError] {
        var found: [ThalwegError] = []
        for file in metadata.files {
            try Self.collect(&found) { try snapshot.verify(file) }
        }
        // What lies in damaged files has been named.
        if found.isEmpty {
            for known in operators {
                for state in known.states { try Self.collect(&found) { try verify(state.descriptor) } }
            }
        }
        guard !found.isEmpty else { return [] }
        let advice = CheckpointStore(root: ".", fileSystem: snapshot.fileSystem).adviceAfterDamage(of: snapshot)
        return found.map { error in
            var error = error
            error.hint = advice
            return error
        }
    }

    private static func collect(_ found: inout [ThalwegError], _ body: () throws -> Void) throws {
        do {
            try body()
        } catch let error as ThalwegError where error.kind == .corrupt {
            found.append(error)
        }
    }

    private func verify(_ state: StateDescriptor) throws {
        let entries = try entries(of: state.name, in: state.operatorName)
        let maxParallelism = maxParallelism
        while let entry = try entries.next() {
            guard let group = entry.keyGroup else { continue }
            // The group of an element without a key may follow from its value, by the job's own code.
            let own =
                state.kind == .keyedList
                ? group : try entries.layout.keyGroup(of: entry.place, maxParallelism: maxParallelism)
            guard group == own, group < maxParallelism else {
                throw ThalwegError(
                    .corrupt, "a stored key lies in the wrong key group",
                    detail: "operator \"\(state.operatorName)\", state \"\(state.name)\", "
                        + "key \(entry.key?.json ?? "?"): key group \(group) of \(maxParallelism)")
            }
        }
    }
}
