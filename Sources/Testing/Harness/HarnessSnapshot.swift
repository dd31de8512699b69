// SPDX-License-Identifier: Apache-2.0
//  The state of an operator between two harnesses.

import Thalweg

/// What operators have stored in one or more harnesses, in memory.
public final class HarnessSnapshot: RestoredState {
    private typealias Entries = [(key: [UInt8], value: [UInt8])]
    public let states: [StateDescriptor]
    public let parallelism: Int
    private let entries: [String: [(key: [UInt8], value: [UInt8])]]

    /// Takes the parts that each subtask stored, in order of the subtasks.
    public convenience init(of subtasks: [HarnessSnapshot]) {
        var states: [StateDescriptor] = []
        var entries: [String: Entries] = [:]
        for subtask in subtasks {
            for state in subtask.states where !states.contains(where: { $0.name == state.name }) {
                states.append(state)
            }
            for (name, more) in subtask.entries { entries[name, default: []] += more }
        }
        self.init(states: states, entries: entries, parallelism: subtasks.count)
    }

    convenience init(_ parts: [StatePart], parallelism: Int) throws {
        var entries: [String: Entries] = [:]
        for part in parts {
            let writer = Writer()
            try part.write(to: writer)
            entries[part.descriptor.name, default: []] += writer.entries
        }
        self.init(states: parts.map(\.descriptor), entries: entries, parallelism: parallelism)
    }

    private init(states: [StateDescriptor], entries: [String: Entries], parallelism: Int) {
        self.states = states
        self.parallelism = parallelism
        self.entries = entries.mapValues { $0.sorted { $0.key.lexicographicallyPrecedes($1.key) } }
    }

    /// The number of entries of a state.
    public func count(of state: String) -> Int { entries[state]?.count ?? 0 }

    public func entries(
        of state: String, keyGroups: Range<Int>?,
        _ body: (_ key: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer) throws -> Void
    ) throws {
        for (key, value) in entries[state] ?? [] {
            if let keyGroups, !keyGroups.contains(Int(key[0]) << 8 | Int(key[1])) { continue }
            try key.withUnsafeBytes { key in try value.withUnsafeBytes { try body(key, $0) } }
        }
    }

    private final class Writer: EntryWriter {
        var entries: Entries = []
        func add(key: UnsafeRawBufferPointer, value: UnsafeRawBufferPointer) throws {
            if let last = entries.last, !last.key.lexicographicallyPrecedes(Array(key)) {
                throw ThalwegError(.bug, "a state's entries are not in ascending order", detail: "\(Array(key))")
            }
            entries.append((Array(key), Array(value)))
        }
    }
}
