// SPDX-License-Identifier: Apache-2.0
//  `thalweg state export, rename, reshard PATH OUT`: copies of snapshots.

import ArgumentParser
import Thalweg
import ThalwegSavepoint

/// A snapshot and where its copy goes.
struct CopyPaths: ParsableArguments {
    @Argument(help: "A snapshot; it stays as it is.")
    var path: String
    @Argument(help: "A directory that is not there yet.")
    var out: String

    /// Makes the copy.
    func write(_ change: (inout SavepointWriter) throws -> Void) throws {
        var writer = SavepointWriter(try SavepointReader(path))
        try change(&writer)
        try writer.write(to: out)
        Self.report(try SavepointReader(out))
    }

    /// Says what has been written.
    static func report(_ copy: SavepointReader) {
        print("\(copy.path): \(copy.metadata.files.count) files, \(copy.metadata.byteCount) bytes")
    }
}

struct StateExportCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "export", abstract: "Copy a snapshot with all its files into one directory, which may be moved.")

    @OptionGroup var paths: CopyPaths

    func run() throws { try paths.write { _ in } }
}

struct StateReshardCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "reshard", abstract: "Copy a snapshot with its keys in another number of key groups.",
        discussion: "The job then starts with --set max-parallelism=N. When event time differs between key groups, N "
            + "must be a multiple of the number before.")

    @OptionGroup var paths: CopyPaths
    @Option(help: "The new number of key groups: the largest parallelism that the job can have.")
    var maxParallelism: Int

    func run() throws { try paths.write { try $0.reshard(maxParallelism: maxParallelism) } }
}

struct StateRenameCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "rename", abstract: "Copy a snapshot with other names of operators or states.")

    @OptionGroup var paths: CopyPaths
    @Option(name: .customLong("operator"), help: "OLD=NEW; may be given several times.")
    var operators: [String] = []
    @Option(
        name: .customLong("state"), help: "OPERATOR.OLD=NEW, with the operator's old name; may be given several times.")
    var states: [String] = []

    func validate() throws {
        guard !operators.isEmpty || !states.isEmpty else {
            throw ValidationError("give --operator OLD=NEW or --state OPERATOR.OLD=NEW")
        }
        for text in operators + states { _ = try Self.pair(text) }
    }

    func run() throws {
        try paths.write { writer in
            for text in operators {
                let (old, new) = try Self.pair(text)
                try writer.rename(operator: old, to: new)
            }
            for text in states {
                let (old, new) = try Self.pair(text)
                guard let dot = old.lastIndex(of: ".") else {
                    throw ValidationError("--state wants OPERATOR.OLD=NEW, not \(text)")
                }
                try writer.rename(state: String(old[old.index(after: dot)...]), of: String(old[..<dot]), to: new)
            }
        }
    }

    private static func pair(_ text: String) throws -> (String, String) {
        let parts = text.split(separator: "=", omittingEmptySubsequences: false)
        guard parts.count == 2, !parts[0].isEmpty, !parts[1].isEmpty else {
            throw ValidationError("a new name is given as OLD=NEW, not \(text)")
        }
        return (String(parts[0]), String(parts[1]))
    }
}
