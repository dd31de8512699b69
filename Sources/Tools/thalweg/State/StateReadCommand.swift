// SPDX-License-Identifier: Apache-2.0
//  `thalweg state read PATH`: the entries of a state.

import ArgumentParser
import Thalweg
import ThalwegSavepoint

struct StateReadCommand: ParsableCommand {
    enum Format: String, ExpressibleByArgument, CaseIterable { case json, csv }

    static let configuration = CommandConfiguration(
        commandName: "read", abstract: "Print the entries of a state, by key group and key.",
        discussion: "Keys are JSON, texts and moments also without quotes: --key 7, --key ann, "
            + "--key '{\"channel\":\"web\",\"auction\":7}'.")

    @OptionGroup var snapshot: SnapshotPath
    @OptionGroup var name: StateName
    @Option(help: "Only the entries of this key.")
    var key: String?
    @Option(help: "Only entries of this key and those after it.")
    var from: String?
    @Option(help: "Only entries of keys before this one.")
    var to: String?
    @Option(help: "Only the entries of this key group.")
    var keyGroup: Int?
    @Option(
        name: .customLong("where"),
        help: "Only entries for which this holds, such as 'value.price > 100 and key != 7'; of lists, only such values."
    )
    var condition: String?
    @Option(help: "Print at most so many.")
    var limit: Int?
    @Option(help: "json (a line for each entry) or csv.")
    var format = Format.json

    func validate() throws {
        let chosen = [key != nil, from != nil || to != nil, keyGroup != nil].filter { $0 }.count
        guard chosen <= 1 else { throw ValidationError("choose by --key, by --from and --to, or by --key-group") }
        if let limit, limit < 0 { throw ValidationError("--limit must not be negative") }
    }

    func run() throws {
        let reader = try snapshot.open()
        let state = try reader.state(name.state, in: name.operatorName)
        let entries = try reader.entries(
            of: name.state, in: name.operatorName, where: try filter(reader), matching: condition)
        let columns = CSVColumnNames(state.descriptor)
        var left = limit ?? .max
        if format == .csv { print(columns.header) }
        while left > 0, let entry = try entries.next() {
            switch format {
            case .json: print(entry.record.json)
            case .csv: print(columns.line(entry.record))
            }
            left -= 1
        }
    }

    private func filter(_ reader: SavepointReader) throws -> EntryFilter {
        if let keyGroup {
            guard (0..<reader.maxParallelism).contains(keyGroup) else {
                throw ValidationError("--key-group must be below \(reader.maxParallelism)")
            }
            return .keyGroups(keyGroup..<keyGroup + 1)
        }
        func parse(_ text: String) throws -> DynamicValue {
            try DynamicValue(json: text, try reader.keySchema(of: name.state, in: name.operatorName))
        }
        if let key { return .key(try parse(key)) }
        guard from != nil || to != nil else { return .all }
        return .keys(from: try from.map(parse), to: try to.map(parse))
    }
}

/// The columns of a state's entries as CSV: fields of records have columns of their own, deeper values are JSON.
struct CSVColumnNames {
    private var paths: [[String]] = []

    init(_ state: StateDescriptor) {
        func add(_ name: String, _ schema: RecordSchema?) {
            let fields = schema?.fields ?? []
            if fields.isEmpty { paths.append([name]) } else { paths += fields.map { [name, $0.name] } }
        }
        switch state.kind {
        case .value: add("key", state.key)
        case .list:
            add("key", state.key)
            paths.append(["chunk"])
        case .map:
            add("key", state.key)
            add("mapKey", state.userKey)
        case .pane:
            add("key", state.key)
            paths.append(["window"])
        case .timers:
            add("key", state.key)
            paths.append(["time"])
        case .buffer:
            add("key", state.key)
            paths += [["time"], ["index"]]
        case .split, .union, .inFlight: paths += [["subtask"], ["index"]]
        case .broadcast: add("key", state.userKey)
        case .keyedList: paths += [["id"], ["keyGroup"]]
        }
        let isList = state.kind == .list
        if state.hasStamps { paths.append([isList ? "stamps" : "stamp"]) }
        switch state.kind {
        case .timers: break
        case .list, .inFlight: paths.append(["value"])
        default: add("value", state.value)
        }
    }

    var header: String { paths.map { Self.cell($0.joined(separator: ".")) }.joined(separator: ",") }

    func line(_ record: DynamicValue) -> String {
        paths.map { path in
            var value: DynamicValue? = record
            for name in path { value = value?[name] }
            return Self.cell(value?.cellText ?? "")
        }.joined(separator: ",")
    }

    private static func cell(_ text: String) -> String {
        let needsQuotes = text.utf8.contains { byte in
            byte == UInt8(ascii: ",") || byte == UInt8(ascii: "\"") || byte == 0x0A || byte == 0x0D
        }
        guard needsQuotes else { return text }
        var quoted = "\""
        for scalar in text.unicodeScalars {
            if scalar == "\"" { quoted += "\"" }
            quoted.unicodeScalars.append(scalar)
        }
        return quoted + "\""
    }
}
