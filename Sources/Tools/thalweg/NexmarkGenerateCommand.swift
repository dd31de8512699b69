// SPDX-License-Identifier: Apache-2.0
//  `thalweg nexmark generate`: events as files.

import ArgumentParser
import Glibc
import Thalweg
import ThalwegNexmark

struct NexmarkGenerateCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "generate", abstract: "Write generated events to files.",
        discussion: """
            As JSON, all events go to one file, one object per line. As CSV, OUTPUT is a folder with person.csv, \
            auction.csv and bid.csv, without headers.
            """)

    enum Format: String, ExpressibleByArgument, CaseIterable {
        case json, csv
    }

    // A number below 0 begins like an option: it is to be refused as what it is.
    @Option(parsing: .unconditional, help: "How many events.")
    var events: Int64

    @Option(parsing: .unconditional, help: "The seed of the stream.")
    var seed: Int64 = 42

    @Option(help: "json or csv.")
    var format = Format.json

    @Option(name: .shortAndLong, help: "The file, or for CSV the folder, to write.")
    var output: String

    func validate() throws {
        guard events >= 0 else { throw ValidationError("--events must not be negative, not \(events)") }
        if output.isEmpty { throw ValidationError("--output is empty: name a file, or for CSV a folder") }
    }

    func run() throws {
        let writer = NexmarkWriter(NexmarkGenerator(seed: seed))
        switch format {
        case .json:
            try write(to: output) { writer.appendJSONLines($0, to: &$1) }
        case .csv:
            guard mkdir(output, 0o777) == 0 || errno == EEXIST else {
                throw OutputFile.failure("create folder", output)
            }
            for kind in NexmarkKind.allCases {
                try write(to: "\(output)/\(kind).csv") { writer.appendCSV(kind, $0, to: &$1) }
            }
        }
    }

    /// Writes a file in chunks of events.
    private func write(to path: String, _ append: (Range<Int64>, inout [UInt8]) -> Void) throws {
        let file = try OutputFile(path)
        var bytes: [UInt8] = []
        var next: Int64 = 0
        while next < events {
            let end = min(next + 4096, events)
            append(next..<end, &bytes)
            try file.write(bytes)
            bytes.removeAll(keepingCapacity: true)
            next = end
        }
        try file.close()
    }
}
