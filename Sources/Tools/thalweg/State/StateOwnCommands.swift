// SPDX-License-Identifier: Apache-2.0
//  `thalweg state own, prune`: whose a snapshot is, and what nobody needs any more.

import ArgumentParser
import Thalweg
import ThalwegSavepoint

extension SnapshotOwner: ExpressibleByArgument {}

struct StateOwnCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "own", abstract: "Give a snapshot to the user, so that no job removes it, or to the job.",
        discussion: "Only the owner removes a snapshot: the job its own when newer ones have taken their place, the "
            + "user all others. Files that several snapshots share stay as long as one of them needs them.")

    @OptionGroup var snapshot: SnapshotPath
    @Option(name: .customLong("by"), help: "user or job.")
    var owner = SnapshotOwner.user

    func run() throws {
        let reader = try snapshot.open()
        try CheckpointStore(root: ".", fileSystem: LocalFileSystem()).give(reader.path, to: owner)
        print("\(reader.path): owned by the \(owner.rawValue)")
    }
}

struct StatePruneCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "prune", abstract: "Remove old checkpoints of a job that has ended, and files nobody refers to.",
        discussion:
            "The newest of the job's checkpoints stay, and so do what latest stands for and every snapshot that "
            + "is the user's (thalweg state own). What is removed follows from the snapshots' own lists of files, "
            + "never from times of files; if one of them cannot be read nothing is removed, unless damaged ones are "
            + "given up.")

    @Argument(help: "A directory of checkpoints; while a job writes to it nothing is removed.")
    var directory: String
    @Option(help: "How many of the job's checkpoints stay.")
    var keep: Int
    @Flag(
        help: ArgumentHelp(
            "Give up damaged snapshots, the user's too, with the files that only they need: after a job has gone back "
                + "before them. Every snapshot is read to its end."))
    var damaged = false
    @Flag(help: "Only say what would be removed.")
    var dryRun = false
    @OptionGroup var style: OutputStyle

    func validate() throws {
        guard keep >= 0 else { throw ValidationError("--keep must not be negative") }
    }

    func run() throws {
        let store = CheckpointStore(root: directory, fileSystem: LocalFileSystem())
        let report = try store.prune(keeping: keep, givesUpDamaged: damaged, isTrial: dryRun)
        if style.json {
            func numbers(_ values: [Int64]) -> DynamicValue { .array(values.map { .integer($0) }) }
            return print(
                DynamicValue.object([
                    ("removed", numbers(report.checkpoints)), ("kept", numbers(report.kept)),
                    ("damaged", .array(report.damaged.map { .string($0) })),
                    ("files", .array(report.files.map { .string($0) })), ("bytes", .number(report.byteCount)),
                ]).json)
        }
        for file in report.files { print(file) }
        for name in report.damaged { print("\(name) \(dryRun ? "would be" : "is") given up, as it is damaged") }
        print(
            "\(dryRun ? "would remove" : "removed") \(report.checkpoints.count) checkpoints, "
                + "\(report.files.count) files, \(report.byteCount) bytes; \(report.kept.count) snapshots stay")
    }
}
