// SPDX-License-Identifier: Apache-2.0
//  `thalweg state schema PATH`: the types of what a snapshot holds.

import ArgumentParser
import Thalweg
import ThalwegSavepoint

struct StateSchemaCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "schema", abstract: "Show the types of keys and values.")

    @OptionGroup var snapshot: SnapshotPath
    @Option(name: .customLong("operator"), help: "Only this operator.")
    var operatorName: String?
    @OptionGroup var style: OutputStyle

    func run() throws {
        let reader = try snapshot.open()
        if let operatorName, !reader.operators.contains(where: { $0.name == operatorName }) {
            _ = try reader.state("", in: operatorName)
        }
        for known in reader.operators where operatorName == nil || known.name == operatorName {
            for state in known.states {
                let descriptor = state.descriptor
                let types = [
                    ("key", descriptor.key), (descriptor.kind == .broadcast ? "key" : "mapKey", descriptor.userKey),
                    ("value", descriptor.value),
                ].compactMap { name, schema in schema.map { (name, $0.description) } }
                if style.json {
                    let fields: [(String, DynamicValue)] = [
                        ("operator", .string(known.name)), ("state", .string(state.name)),
                        ("kind", .string(state.kind.rawValue)),
                    ]
                    let properties = descriptor.properties.sorted { $0.key < $1.key }
                    print(
                        DynamicValue.object(
                            fields + types.map { ($0.0, .string($0.1)) }
                                + properties.map { ($0.key, .string($0.value)) }
                        ).json)
                } else {
                    print("\(known.name) / \(state.name): \(state.kind.rawValue)")
                    for (name, type) in types { print("  \(name): \(type)") }
                    for (name, text) in descriptor.properties.sorted(by: { $0.key < $1.key }) {
                        print("  \(name): \(text)")
                    }
                }
            }
        }
    }
}
