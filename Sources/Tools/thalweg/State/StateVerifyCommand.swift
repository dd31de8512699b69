// SPDX-License-Identifier: Apache-2.0
//  `thalweg state verify PATH`: proves a snapshot.

import ArgumentParser
import Thalweg
import ThalwegSavepoint

struct StateVerifyCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "verify",
        abstract: "Read all of a snapshot: checksums, the order of keys, key groups, every key and value.")

    @OptionGroup var snapshot: SnapshotPath
    @OptionGroup var style: OutputStyle

    func run() throws {
        let reader: SavepointReader
        var found: [ThalwegError]
        do {
            reader = try snapshot.open()
            found = try reader.verify()
        } catch let error as ThalwegError where error.kind == .corrupt {
            try report(snapshot.path, [error], nil)
            throw ExitCode.failure
        }
        try report(reader.path, found, reader)
        if !found.isEmpty { throw ExitCode.failure }
    }

    private func report(_ path: String, _ found: [ThalwegError], _ reader: SavepointReader?) throws {
        var entries = 0
        if let reader, found.isEmpty {
            for known in reader.operators {
                for state in known.states { entries += try reader.count(of: state.name, in: known.name) }
            }
        }
        if style.json {
            let damages = found.map { error in
                DynamicValue.object([
                    ("what", .string(error.primary)), ("where", .string(error.detail ?? "")),
                    ("cause", .string((error.cause as? ThalwegError)?.description ?? "")),
                    ("hint", .string(error.hint ?? "")),
                ])
            }
            print(
                DynamicValue.object([
                    ("path", .string(path)), ("intact", .bool(found.isEmpty)), ("entries", .number(entries)),
                    ("damages", .array(damages)),
                ]).json)
            return
        }
        for error in found { print("Error: \(error.description)") }
        if let reader, found.isEmpty {
            print(
                "\(path) is intact: \(reader.metadata.files.count) files, \(reader.metadata.byteCount) bytes, "
                    + "\(entries) entries")
        }
    }
}
