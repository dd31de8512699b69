// SPDX-License-Identifier: Apache-2.0
//  `thalweg state set, delete PATH OUT`: a copy of a snapshot with one entry changed.

import ArgumentParser
import Thalweg
import ThalwegSavepoint

/// Where an entry stands in its state; which of these are needed depends on the state's kind.
struct EntryPlace: ParsableArguments {
    @Option(help: "The key.")
    var key: String?
    @Option(help: "The key in a map.")
    var mapKey: String?
    @Option(help: "The start of a pane's window.")
    var window: String?
    @Option(help: "The time of a timer, or of a record that waits in a join.")
    var time: String?
    @Option(help: "The identity of an element.")
    var id: String?
    @Option(help: "The subtask that left an element.")
    var subtask: String?
    @Option(help: "The place among elements, or among records of the same time.")
    var index: String?

    /// The place, each part by its schema.
    func fields(_ parts: [RecordSchema.Field]) throws -> [DynamicValue.Field] {
        let given: [(String, String, String?)] = [
            ("key", "--key", key), ("mapKey", "--map-key", mapKey), ("window", "--window", window),
            ("time", "--time", time), ("id", "--id", id), ("subtask", "--subtask", subtask),
            ("index", "--index", index),
        ]
        if let extra = given.first(where: { given in given.2 != nil && !parts.contains { $0.name == given.0 } }) {
            throw ValidationError("entries of this state have no \(extra.1)")
        }
        return try parts.map { part in
            guard let (_, option, text) = given.first(where: { $0.0 == part.name }), let text else {
                let option = given.first { $0.0 == part.name }?.1 ?? part.name
                throw ValidationError("an entry of this state is named by \(option) too, of type \(part.type)")
            }
            do {
                return DynamicValue.Field(
                    part.name, try DynamicValue(json: text, RecordSchema(root: part.type)))
            } catch let error as ThalwegError {
                throw ThalwegError(
                    error.kind, error.primary, detail: "\(option): \(error.detail ?? "")", hint: error.hint)
            }
        }
    }
}

struct StateSetCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "set", abstract: "Copy a snapshot with one entry added or changed.",
        discussion: "Keys and values are JSON, texts and moments also without quotes: --key ann --value "
            + "'{\"price\":7}'. Of a list, --value is an array of all values of the key.")

    @OptionGroup var paths: CopyPaths
    @OptionGroup var name: StateName
    @OptionGroup var place: EntryPlace
    @Option(help: "The value; none for timers.")
    var value: String?

    func run() throws {
        try paths.write { writer in
            let source = writer.source
            let fields = try place.fields(try source.placeSchema(of: name.state, in: name.operatorName))
            let schema = try source.valueSchema(of: name.state, in: name.operatorName)
            if schema == nil, value != nil { throw ValidationError("timers have no --value") }
            if schema != nil, value == nil { throw ValidationError("--value is missing") }
            let parsed = try schema.flatMap { schema in try value.map { try DynamicValue(json: $0, schema) } }
            try writer.set(parsed, at: fields, of: name.state, in: name.operatorName)
        }
    }
}

struct StateDeleteCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "delete", abstract: "Copy a snapshot without one entry.",
        discussion: "Of a list, all values of the key go.")

    @OptionGroup var paths: CopyPaths
    @OptionGroup var name: StateName
    @OptionGroup var place: EntryPlace

    func run() throws {
        try paths.write { writer in
            let fields = try place.fields(try writer.source.placeSchema(of: name.state, in: name.operatorName))
            try writer.delete(at: fields, of: name.state, in: name.operatorName)
        }
    }
}
