// SPDX-License-Identifier: Apache-2.0
//  Copies whose files lie over one another are read, changed and started from like all others.

import Testing
import Thalweg
import ThalwegSavepoint
import ThalwegTesting

@Suite struct LayeredCopyTests {
    private func all(_ reader: SavepointReader, _ name: String, _ operatorName: String) throws -> [String] {
        var found: [String] = []
        try reader.entries(of: name, in: operatorName).forEach { found.append($0.record.json) }
        return found
    }

    /// Everything in a snapshot, whatever the order.
    private func contents(_ reader: SavepointReader, renamed: (String) -> String = { $0 }) throws -> [String: [String]]
    {
        var found: [String: [String]] = [:]
        for known in reader.operators {
            for state in known.states {
                let lines = try all(reader, state.name, known.name).sorted()
                if !lines.isEmpty { found[renamed(known.name) + "/" + state.name] = lines }
            }
        }
        return found
    }

    /// Copies of copies, each with entries set and removed at random: what is there is what a dictionary holds.
    @Test(arguments: 0..<8 as Range<UInt64>)
    func layersOfLayers(seed: UInt64) async throws {
        let job = EveryKindJob()
        try await job.fail()
        var random = SeededRandom(seed: seed)
        var reader = try SavepointReader("checkpoints", fileSystem: job.disk)
        var twin: [Int64: DynamicValue] = [:]
        var maps: [String: Int64] = [:]
        try reader.entries(of: "seen", in: "memory").forEach {
            if case .integer(let key)? = $0.key { twin[key] = $0.value }
        }
        try reader.entries(of: "byRest", in: "memory").forEach {
            if case .integer(let count)? = $0.value { maps[DynamicValue.record($0.place).json] = count }
        }
        for round in 0..<5 {
            var writer = SavepointWriter(reader)
            for _ in 0..<40 {
                let key = Int64(random.next() % 60)
                let place = [DynamicValue.Field("key", .integer(key))]
                if random.next() % 3 == 0, twin[key] != nil {
                    try writer.delete(at: place, of: "seen", in: "memory")
                    twin[key] = nil
                } else if twin[key] == nil || random.next() % 2 == 0 {
                    let value = DynamicValue.record([
                        .init("left", .integer(Int64(round))), .init("right", .integer(key)),
                    ])
                    try writer.set(value, at: place, of: "seen", in: "memory")
                    twin[key] = value
                }
                let mapPlace = place + [.init("mapKey", .string("rest \(random.next() % 6)"))]
                let name = DynamicValue.record(mapPlace).json
                if maps[name] != nil, random.next() % 2 == 0 {
                    try writer.delete(at: mapPlace, of: "byRest", in: "memory")
                    maps[name] = nil
                } else {
                    try writer.set(.integer(key), at: mapPlace, of: "byRest", in: "memory")
                    maps[name] = key
                }
            }
            try writer.write(to: "copies/\(round)")
            reader = try SavepointReader("copies/\(round)", fileSystem: job.disk)
            #expect(try reader.verify().isEmpty, "seed \(seed)")
            #expect(try reader.count(of: "seen", in: "memory") == twin.count, "seed \(seed)")
            for key in 0..<60 as Range<Int64> {
                let found = try reader.entries(of: "seen", in: "memory", where: .key(.integer(key))).next()
                #expect(found?.value == twin[key], "seed \(seed), key \(key)")
            }
            var found: [String: Int64] = [:]
            try reader.entries(of: "byRest", in: "memory").forEach {
                if case .integer(let count)? = $0.value { found[DynamicValue.record($0.place).json] = count }
            }
            #expect(found == maps, "seed \(seed)")
        }
        let before = try contents(reader)

        var renaming = SavepointWriter(reader)
        try renaming.rename(operator: "memory", to: "store")
        try renaming.write(to: "copies/renamed")
        let renamed = try SavepointReader("copies/renamed", fileSystem: job.disk)
        #expect(try contents(renamed) { $0 == "store" ? "memory" : $0 } == before, "seed \(seed)")

        var resharding = SavepointWriter(reader)
        try resharding.reshard(maxParallelism: 256)
        try resharding.write(to: "copies/wide")
        let wide = try SavepointReader("copies/wide", fileSystem: job.disk)
        #expect(try wide.verify().isEmpty && wide.count(of: "seen", in: "memory") == twin.count)
        var (kept, other) = (before, try contents(wide))
        for name in before.keys where name.hasSuffix("/$time") || name.hasSuffix("/owned") {
            // Event times are by key group, and elements show theirs.
            (kept[name], other[name]) = (nil, nil)
        }
        #expect(other == kept, "seed \(seed)")

        var transforming = SavepointWriter(reader)
        var edit = EntryEdit()
        edit.assignments = ["{left: left, right: right}"]
        for name in ["seen", "byRest"] {
            if name == "byRest" { edit.assignments = ["value"] }
            try transforming.transform(name, in: "memory", edit)
        }
        try transforming.write(to: "copies/same")
        let same = try SavepointReader("copies/same", fileSystem: job.disk)
        #expect(try contents(same) == before, "seed \(seed)")
        let expected = try await job.rows(from: reader.path, seed: 3)
        #expect(try await job.rows(from: "copies/same", seed: 3) == expected, "seed \(seed)")
    }
}
