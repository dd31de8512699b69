// SPDX-License-Identifier: Apache-2.0
//  `thalweg state ls DIR`: the snapshots in a directory.

import ArgumentParser
import Thalweg
import ThalwegSavepoint

struct StateListCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "ls", abstract: "List the snapshots in a directory, the oldest first.",
        discussion: "A snapshot is complete, incomplete (it counts as none, and its files go at the next start) or "
            + "damaged. What is referenced is no snapshot: a directory with files that others need.")

    @Argument(help: "A directory of checkpoints, savepoints or copies.")
    var directory: String
    @OptionGroup var style: OutputStyle

    func run() throws {
        let catalog = try SavepointCatalog(directory)
        if style.json {
            for item in catalog.items { print(item.value.json) }
        } else if catalog.items.isEmpty {
            print("there are no snapshots in \(directory)")
        } else {
            var table = TextTable([
                "snapshot", "kind", "state", "owner", "time (UTC)", "bytes", "parallelism", "job",
            ])
            for item in catalog.items {
                let metadata = item.metadata
                table.add([
                    item.name, metadata?.kind ?? "-", item.conditionName + (item.isLatest ? ", latest" : ""),
                    metadata?.owner(in: item.name).rawValue ?? "-", metadata?.time ?? "-",
                    metadata.map { String($0.byteCount) } ?? "-",
                    metadata.map { String($0.parallelism) } ?? "-", metadata?.jobName ?? "-",
                ])
            }
            table.print()
            for item in catalog.items {
                if case .damaged(let reason) = item.condition { print("damaged: \(reason)") }
            }
        }
        if catalog.items.contains(where: \.isDamaged) { throw ExitCode.failure }
    }
}

extension SavepointCatalog.Item {
    fileprivate var isDamaged: Bool { if case .damaged = condition { true } else { false } }

    fileprivate var conditionName: String {
        switch condition {
        case .complete: "complete"
        case .incomplete: "incomplete"
        case .referenced: "referenced"
        case .damaged: "damaged"
        }
    }

    fileprivate var value: DynamicValue {
        var fields: [(String, DynamicValue)] = [
            ("name", .string(name)), ("path", .string(path)), ("state", .string(conditionName)),
            ("latest", .bool(isLatest)),
        ]
        if case .damaged(let reason) = condition { fields.append(("reason", .string(reason))) }
        if let metadata {
            fields += [
                ("checkpoint", .number(metadata.checkpoint)), ("kind", .string(metadata.kind)),
                ("owner", .string(metadata.owner(in: name).rawValue)),
                ("time", .string(metadata.time)), ("bytes", .number(metadata.byteCount)),
                ("parallelism", .number(metadata.parallelism)),
                ("maxParallelism", .number(metadata.maxParallelism)), ("job", .string(metadata.jobName)),
            ]
        }
        return .object(fields)
    }
}
