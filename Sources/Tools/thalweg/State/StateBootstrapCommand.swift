// SPDX-License-Identifier: Apache-2.0
//  `thalweg state bootstrap OUT`: a snapshot from files.

import ArgumentParser
import Thalweg
import ThalwegData
import ThalwegFormats
import ThalwegSavepoint

extension StateLoader.Duplicates: ExpressibleByArgument {}

/// What the state is that is filled, and which columns it comes from.
struct BootstrapState: ParsableArguments {
    enum Kind: String, ExpressibleByArgument, CaseIterable { case value, list, map, timers, broadcast, split, union }

    @Option(name: .customLong("operator"), help: "The operator's name.")
    var operatorName: String
    @Option(help: "The state's name; of timers it may be left out.")
    var state: String?
    @Option(help: "What kind of state it is.")
    var kind: Kind?
    @Option(
        help: """
            NAME:TYPE of the column with the key; given several times, or as {NAME:TYPE,…}, the key is a record of \
            them.
            """)
    var key: [String] = []
    @Option(help: "Of maps, the column with the map's own key, as --key.")
    var mapKey: [String] = []
    @Option(help: "The column with the value, as --key; of lists, with one value: a line for each.")
    var value: [String] = []
    @Option(help: "Of timers, the name of the column with the time.")
    var time: String?
    @Flag(help: "The timers are those of processing time.")
    var processingTime = false
    @Option(
        help: """
            A snapshot whose state of this name has the kind and the types; the lines are then those of `thalweg state \
            read`.
            """)
    var like: String?

    var name: String { state ?? (processingTime ? "$timers.processing" : "$timers.event") }

    func validate() throws {
        guard like == nil || kind == nil && key.isEmpty && mapKey.isEmpty && value.isEmpty && time == nil else {
            throw ValidationError("--like says what the kind and the types are")
        }
        guard like != nil || kind != nil else { throw ValidationError("give --kind, or --like SNAPSHOT") }
        guard state != nil || kind == .timers else { throw ValidationError("--state is missing") }
    }

    /// The columns of a part: `NAME:TYPE` once is the value itself, else the fields of a record.
    static func columns(_ texts: [String], _ option: String) throws -> RowLayout.Columns {
        guard !texts.isEmpty else { throw ValidationError("\(option) is missing") }
        if texts.count == 1, texts[0].hasPrefix("{") {
            return RowLayout.Columns(RecordSchema(root: try SchemaType(text: texts[0])).fields, isRecord: true)
        }
        return RowLayout.Columns(try texts.map { try RecordSchema.Field(text: $0) }, isRecord: texts.count > 1)
    }
}

struct StateBootstrapCommand: ParsableCommand {
    enum Format: String, ExpressibleByArgument, CaseIterable { case csv, json }

    static let configuration = CommandConfiguration(
        commandName: "bootstrap", abstract: "Make a snapshot from CSV or JSON lines, for a job to start from.",
        discussion: """
            thalweg state bootstrap start --operator accounts --state balance --kind value --key account:string \
            --value cents:int64 --from accounts.csv --max-parallelism 128

            Columns are found by name. Types are bool, int8 to int64, uint8 to uint64, float, double, string and time, \
            with ? where there may be none, and [TYPE]. The job starts with --from start; it must have the same \
            maximum parallelism, and declare the state with these types. Memory does not depend on the size of the \
            files: what does not fit is sorted beside the snapshot.
            """)

    @Argument(help: "A directory that is not there yet.")
    var out: String
    @OptionGroup var target: BootstrapState
    @Option(name: .customLong("from"), help: "A file, perhaps gzipped; may be given several times.")
    var files: [String]
    @Option(help: "csv or json (lines); else the files' names tell.")
    var format: Format?
    @Option(help: "What separates the columns of CSV.")
    var separator = ","
    @Option(help: "The number of key groups: the maximum parallelism of the job.")
    var maxParallelism: Int?
    @Option(help: "A snapshot that is copied and gets the state, or entries of it, in addition.")
    var into: String?
    @Option(help: "What several entries of one place mean: refused, or last.")
    var duplicates = StateLoader.Duplicates.refused
    @Option(help: "The memory in which entries are sorted.")
    var sortMemory = MemorySize(bytes: 256 << 20)

    func validate() throws {
        guard (into == nil) != (maxParallelism == nil) else {
            throw ValidationError("give --max-parallelism N for a new snapshot, or --into SNAPSHOT")
        }
        guard separator.count == 1 else { throw ValidationError("--separator is one character") }
        guard sortMemory.bytes >= 1 << 20 else { throw ValidationError("--sort-memory is at least 1MiB") }
    }

    func run() throws {
        var writer =
            try into.map { SavepointWriter(try SavepointReader($0)) }
            ?? SavepointWriter(maxParallelism: maxParallelism ?? 0, timeMilliseconds: SystemClock().now)
        // Beside what is sorted in memory, a run that is being written takes some.
        writer.runBytesMax = Int(sortMemory.bytes / 2)
        if let like = target.like {
            let reader = try SavepointReader(like)
            let state = try reader.state(target.name, in: target.operatorName)
            let parallelism = reader.operators.first { $0.name == target.operatorName }?.parallelism ?? 1
            try writer.load(state.descriptor, parallelism: parallelism, duplicates: duplicates) { loader in
                for file in files { try addLines(of: file, to: loader) }
            }
        } else {
            let rows = try BootstrapRows(target)
            let maxParallelism = writer.source.maxParallelism
            try writer.load(rows.descriptor, duplicates: duplicates) { loader in
                let keyParts = rows.keyParts(loader)
                for file in files {
                    let reader = try RowReader(try LocalFileSystem().open(file), try form(of: file), rows.layout)
                    try reader.forEach { try rows.add($0, keyParts, to: loader, maxParallelism: maxParallelism) }
                }
            }
        }
        try writer.write(to: out)
        CopyPaths.report(try SavepointReader(out))
    }

    private func form(of file: String) throws -> RowReader.Form {
        let name = file.hasSuffix(".gz") ? String(file.dropLast(3)) : file
        switch format ?? (name.hasSuffix(".csv") ? .csv : .json) {
        case .json: return .json
        case .csv: return .csv(CSVOptions(separator: separator.first ?? ",", multiline: true))
        }
    }

    /// Lines as `thalweg state read` prints them.
    private func addLines(of file: String, to loader: StateLoader) throws {
        let reader = try InputFormat<String>.lines.makeReader(try LocalFileSystem().open(file))
        let capacity = 256
        let lines = UnsafeMutablePointer<String>.allocate(capacity: capacity)
        defer { lines.deallocate() }
        var number = 0
        while true {
            let count = try reader.read(into: lines, positions: nil, capacity: capacity) { throw $0.thalwegError }
            defer { lines.deinitialize(count: count) }
            if count == 0 { return }
            for index in 0..<count {
                number += 1
                guard !lines[index].isEmpty else { continue }
                do { try loader.add(json: lines[index]) } catch let error as ThalwegError {
                    throw ThalwegError(
                        error.kind, error.primary, detail: "\(file), line \(number): \(error.detail ?? "")",
                        hint: error.hint)
                }
            }
        }
    }
}

/// How rows of columns become entries of a state.
private struct BootstrapRows {
    let descriptor: StateDescriptor
    let layout: RowLayout
    private let places: [String: RowLayout.Part]
    private let hashed: RowLayout.Part?
    private let value: RowLayout.Part?

    init(_ target: BootstrapState) throws {
        guard let kind = target.kind else { throw ValidationError("--kind is missing") }
        var columns: [RowLayout.Columns] = []
        func add(_ texts: [String], _ option: String, isWanted: Bool) throws -> Int? {
            guard isWanted else {
                if texts.isEmpty { return nil }
                throw ValidationError("state of kind \(kind.rawValue) has no \(option)")
            }
            columns.append(try BootstrapState.columns(texts, option))
            return columns.count - 1
        }
        let isKeyed = kind == .value || kind == .list || kind == .map || kind == .timers
        let key = try add(target.key, "--key", isWanted: isKeyed || kind == .broadcast)
        let mapKey = try add(target.mapKey, "--map-key", isWanted: kind == .map)
        guard (kind == .timers) == (target.time != nil) else {
            throw ValidationError("--time is for timers, which need it")
        }
        let time = try add(target.time.map { ["\($0):time"] } ?? [], "--time", isWanted: kind == .timers)
        let value = try add(target.value, "--value", isWanted: kind != .timers)
        layout = try RowLayout(columns)
        let parts = layout.parts
        func schema(_ index: Int?) -> RecordSchema? { index.map { parts[$0].schema } }
        let stateKind: StateKind =
            switch kind {
            case .value: .value
            case .list: .list
            case .map: .map
            case .timers: .timers
            case .broadcast: .broadcast
            case .split: .split
            case .union: .union
            }
        descriptor = StateDescriptor(
            operatorName: target.operatorName, name: target.name, kind: stateKind, key: isKeyed ? schema(key) : nil,
            userKey: kind == .broadcast ? schema(key) : schema(mapKey), value: schema(value))
        places = ["time": time, "key": key, "mapKey": mapKey].compactMapValues { $0.map { parts[$0] } }
        hashed = isKeyed ? key.map { parts[$0] } : nil
        self.value = value.map { parts[$0] }
    }

    /// The parts of a state's keys, in the order in which they stand there.
    func keyParts(_ loader: StateLoader) -> [RowLayout.Part] { loader.placeFields.compactMap { places[$0.name] } }

    @inline(__always)
    func add(
        _ row: UnsafeRawPointer, _ keyParts: [RowLayout.Part], to loader: StateLoader, maxParallelism: Int
    ) throws {
        let group = hashed.map { KeyGroup.of(hash: $0.hash(row), maxParallelism: maxParallelism) }
        try loader.add(group: group) { bytes throws(ThalwegError) in
            for part in keyParts { try part.encodeKey(row, into: &bytes) }
        } value: { bytes throws(ThalwegError) in
            try value?.encode(row, into: &bytes)
        }
    }
}
