// SPDX-License-Identifier: Apache-2.0
//  `thalweg state show PATH`: what a snapshot is and holds.

import ArgumentParser
import Thalweg
import ThalwegSavepoint

struct StateShowCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "show", abstract: "Show a snapshot: its properties, operators, states and sources' splits.")

    @Argument(help: "A snapshot.")
    var path: String
    @Flag(help: "Print one JSON object.")
    var json = false

    /// The states of sources whose entries are shown.
    private static let sourceStates = ["$splits", "$enumerator"]
    /// The most entries of a source that are shown.
    private static let splitsMax = 100

    func run() throws {
        let reader = try SavepointReader(path)
        if json { return print(try value(reader).json) }
        print("snapshot \(reader.path)")
        for (name, value) in properties(reader) { print("  \(name): \(value.cellText)") }
        for known in reader.operators {
            print("operator \"\(known.name)\", \(known.parallelism) subtasks")
            for state in known.states {
                print("  \(state.kind.rawValue) \"\(state.name)\": \(state.entries) entries, \(state.plainBytes) bytes")
            }
            for (name, entries) in try splits(known, reader) {
                for entry in entries { print("  \(name): \(entry.json)") }
            }
        }
    }

    /// The properties of every snapshot (FLIP-47).
    private func properties(_ reader: SavepointReader) -> [(String, DynamicValue)] {
        let metadata = reader.metadata
        let kind = SnapshotKind(rawValue: metadata.kind)
        // A copy, wherever it lies, is the user's.
        let isOwn = kind == .checkpoint && reader.path.hasSuffix("chk-\(metadata.checkpoint)")
        let fixed: [(String, DynamicValue)] = [
            ("job", .string(metadata.jobName)), ("kind", .string(metadata.kind)),
            ("checkpoint", .number(metadata.checkpoint)), ("time", .string(metadata.time)),
            ("maxParallelism", .number(metadata.maxParallelism)),
            ("bytes", .number(metadata.byteCount)), ("files", .number(metadata.files.count)),
            ("owner", .string(isOwn ? "the job" : "the user")), ("removedByTheJob", .bool(isOwn)),
            ("commitsOutput", .bool(kind != .savepoint)),
            ("restoredAsLatest", .bool(kind != .savepoint)),
            ("holdsRecordsInFlight", .bool(reader.hasInFlight)),
            ("selfContained", .bool(reader.isSelfContained)),
        ]
        return fixed + metadata.properties.sorted { $0.key < $1.key }.map { ($0.key, .string($0.value)) }
    }

    private func splits(_ known: SavepointOperator, _ reader: SavepointReader) throws -> [(String, [DynamicValue])] {
        try known.states.filter { Self.sourceStates.contains($0.name) }.map { state in
            let entries = try reader.entries(of: state.name, in: known.name)
            var values: [DynamicValue] = []
            while values.count < Self.splitsMax, let entry = try entries.next() { values.append(entry.record) }
            return (state.name, values)
        }
    }

    private func value(_ reader: SavepointReader) throws -> DynamicValue {
        let operators = try reader.operators.map { known in
            DynamicValue.object([
                ("name", .string(known.name)), ("parallelism", .number(known.parallelism)),
                (
                    "states",
                    .array(
                        known.states.map { state in
                            .object([
                                ("name", .string(state.name)), ("kind", .string(state.kind.rawValue)),
                                ("entries", .number(state.entries)), ("bytes", .number(state.plainBytes)),
                            ])
                        })
                ),
                ("splits", .object(try splits(known, reader).map { ($0.0, .array($0.1)) })),
            ])
        }
        let path = ("path", DynamicValue.string(reader.path))
        return .object([path] + properties(reader) + [("operators", .array(operators))])
    }
}
