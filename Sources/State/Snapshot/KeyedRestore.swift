// SPDX-License-Identifier: Apache-2.0
//  Reads keyed state back.

import ThalwegBase
import ThalwegData
import ThalwegStorage

/// The entries of one operator that belong to the key groups of one subtask.
public struct KeyedRestore {
    public let operatorName: String
    public let state: any RestoredState
    public let keyGroups: Range<Int>
    public let maxParallelism: Int

    public init(operatorName: String, state: any RestoredState, keyGroups: Range<Int>, maxParallelism: Int) {
        self.operatorName = operatorName
        self.state = state
        self.keyGroups = keyGroups
        self.maxParallelism = maxParallelism
    }

    /// How the snapshot describes a state; nil when it does not have it.
    ///
    /// - Throws: `ThalwegError(.job)` when the snapshot has the state with other types.
    public func stored(_ wanted: StateDescriptor) throws -> StateDescriptor? {
        guard let found = state.states.first(where: { $0.name == wanted.name }) else { return nil }
        try check(found, against: wanted)
        return found
    }

    /// Calls `body` with what follows the key group in each key, and with each value.
    public func entries(
        of stored: StateDescriptor, _ body: (Int, inout ByteReader, UnsafeRawBufferPointer) throws -> Void
    ) throws {
        try state.entries(of: stored.name, keyGroups: keyGroups) { key, value in
            var reader = ByteReader(key)
            let group = Int(try reader.read(UInt16.self).byteSwapped)
            try body(group, &reader, value)
        }
    }

    private func check(_ found: StateDescriptor, against wanted: StateDescriptor) throws {
        let differences = [
            ("kind", found.kind.rawValue, wanted.kind.rawValue),
            ("key", Self.text(found.key), Self.text(wanted.key)),
            ("user key", Self.text(found.userKey), Self.text(wanted.userKey)),
            ("value", Self.text(found.value), Self.text(wanted.value)),
        ].filter { $0.1 != $0.2 }
        guard !differences.isEmpty else { return }
        let list = differences.map { "\($0.0) was \($0.1), is \($0.2)" }.joined(separator: "; ")
        throw ThalwegError(
            .job, "a state has other types than in the snapshot",
            detail: "operator \"\(operatorName)\", state \"\(wanted.name)\": \(list)",
            hint: "declare the state with the types it was stored with, or give it a new name to start without it")
    }

    private static func text(_ schema: RecordSchema?) -> String { schema?.description ?? "nothing" }

    /// The key does not belong where it was found: bytes were damaged, or the key's type hashes otherwise now.
    func misplaced(_ group: Int) -> ThalwegError {
        ThalwegError(
            .corrupt, "a stored key lies in the wrong key group",
            detail: "operator \"\(operatorName)\", key group \(group) of \(maxParallelism)",
            hint: "start with the maximum parallelism that the snapshot was taken with")
    }
}
