// SPDX-License-Identifier: Apache-2.0
//  `thalweg state show PATH`: what a snapshot is and holds.

import ArgumentParser
import Thalweg
import ThalwegSavepoint

struct StateShowCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "show", abstract: "Show a snapshot: its properties, operators, states and sources' splits.")

    @OptionGroup var snapshot: SnapshotPath
    @OptionGroup var style: OutputStyle

    /// The states of sources whose entries are shown.
    private static let sourceStates = ["$splits", "$enumerator"]
    /// The most entries of a source that are shown.
    private static let splitsMax = 100

    func run() throws {
        let reader = try snapshot.open()
        if style.json { return print(try value(reader).json) }
        print("snapshot \(reader.path)")
        for property in reader.properties { print("  \(property.name): \(property.value.cellText)") }
        for known in reader.operators {
            print("operator \"\(known.name)\", \(known.parallelism) subtasks")
            for state in known.states {
                let most = state.isExact ? "" : "at most "
                print(
                    "  \(state.kind.rawValue) \"\(state.name)\": \(most)\(state.entries) entries, "
                        + "\(state.plainBytes) bytes")
            }
            for (name, entries) in try splits(known, reader) {
                for entry in entries { print("  \(name): \(entry.json)") }
            }
        }
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
                                ("entries", .number(state.entries)), ("exact", .bool(state.isExact)),
                                ("bytes", .number(state.plainBytes)),
                            ])
                        })
                ),
                ("splits", .object(try splits(known, reader).map { ($0.0, .array($0.1)) })),
            ])
        }
        let path = ("path", DynamicValue.string(reader.path))
        let properties = reader.properties.map { ($0.name, $0.value) }
        return .object([path] + properties + [("operators", .array(operators))])
    }
}
