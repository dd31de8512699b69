// SPDX-License-Identifier: Apache-2.0
//  The state of a real job, read without its code.

import Testing
import Thalweg
import ThalwegSavepoint

@Suite struct SavepointReaderTests {
    private func snapshot() async throws -> (job: EveryKindJob, reader: SavepointReader) {
        let job = EveryKindJob()
        try await job.fail()
        return (job, try SavepointReader("checkpoints", fileSystem: job.disk))
    }

    private func all(_ entries: SavepointEntries) throws -> [SavepointEntry] {
        var found: [SavepointEntry] = []
        try entries.forEach { found.append($0) }
        return found
    }

    @Test func everyKindIsThere() async throws {
        let reader = try await snapshot().reader
        let filled = reader.operators.flatMap(\.states).filter { $0.entries > 0 }.map(\.kind)
        #expect(
            Set(filled) == [
                .value, .list, .map, .timers, .pane, .buffer, .split, .union, .keyedList, .broadcast,
            ])
        for known in reader.operators {
            for state in known.states {
                let entries = try all(reader.entries(of: state.name, in: known.name))
                #expect(entries.count == state.entries, "\(state.name)")
            }
        }
        #expect(try reader.verify().isEmpty)
    }

    /// The states agree with each other, each read from its schema.
    @Test func valuesAreThoseOfTheJob() async throws {
        let reader = try await snapshot().reader
        let seen = try all(reader.entries(of: "seen", in: "memory"))
        #expect(!seen.isEmpty)
        for entry in seen {
            let key = try #require(entry.key)
            let lists = try all(reader.entries(of: "all", in: "memory", where: .key(key)))
            var numbers: [Int64] = []
            for list in lists {
                guard case .array(let values)? = list.value else { continue }
                for case .integer(let number) in values { numbers.append(number) }
            }
            #expect(key == .integer((numbers.first ?? -1) % EveryKindJob.keys))
            #expect(entry.value?["left"] == .integer(Int64(numbers.count)))
            #expect(entry.value?["right"] == .integer(numbers.reduce(0, +)))
            let rests = try all(reader.entries(of: "byRest", in: "memory", where: .key(key)))
            #expect(rests.map { $0.place[1].name } == rests.map { _ in "mapKey" })
            let counted = rests.reduce(Int64(0)) { sum, entry in
                if case .integer(let count)? = entry.value { sum + count } else { sum }
            }
            #expect(counted == Int64(numbers.count))
            let timers = try all(reader.entries(of: "$timers.event", in: "memory", where: .key(key)))
            for timer in timers {
                guard case .time(let time)? = timer.place.first?.value else { continue }
                #expect(numbers.contains(time.milliseconds - 50))
            }
            let recent = try all(reader.entries(of: "recent", in: "memory", where: .key(key)))
            for entry in recent { #expect(numbers.contains(entry.stamps.first ?? -1)) }
        }
        let rules = try all(reader.entries(of: "table", in: "ruled", where: .key(.string("rule 7"))))
        #expect(rules.map(\.record.json) == [#"{"key":"rule 7","value":{"left":7,"right":14}}"#])
        let owned = try all(reader.entries(of: "owned", in: "lists"))
        #expect(owned.allSatisfy { $0.place.first?.value.json == $0.value?.json })
    }

    /// Filters give what a look at all entries gives.
    @Test func filters() async throws {
        let reader = try await snapshot().reader
        for (name, operatorName) in [("seen", "memory"), ("$timers.event", "memory"), ("byRest", "memory")] {
            let entries = try all(reader.entries(of: name, in: operatorName))
            let range = try all(
                reader.entries(of: name, in: operatorName, where: .keys(from: .integer(5), to: .integer(9))))
            let wanted = entries.filter { [5, 6, 7, 8].map { .integer($0) }.contains($0.key) }
            #expect(range == wanted && !wanted.isEmpty)
            let groups = try all(reader.entries(of: name, in: operatorName, where: .keyGroups(20..<90)))
            #expect(groups == entries.filter { (20..<90).contains($0.keyGroup ?? -1) } && !groups.isEmpty)
        }
        #expect(try all(reader.entries(of: "seen", in: "memory", where: .key(.integer(1000)))).isEmpty)
        #expect(throws: ThalwegError.self) { try reader.entries(of: "kept", in: "lists", where: .keyGroups(0..<1)) }
    }

    @Test func typed() async throws {
        let reader = try await snapshot().reader
        let entries = try reader.read("seen", in: "memory", as: Int64.self, Pair.self)
        var count = 0
        while let (key, pair) = try entries.next() {
            #expect((0..<EveryKindJob.keys).contains(key) && pair.left > 0)
            count += 1
        }
        #expect(count == (try reader.state("seen", in: "memory").entries))
        let stamped = try reader.read("recent", in: "memory", as: Int64.self, String?.self)
        #expect(try stamped.next() != nil)
        let error = #expect(throws: ThalwegError.self) {
            _ = try reader.read("seen", in: "memory", as: Int64.self, Row.self)
        }
        #expect(error?.kind == .job)
    }

    @Test func pathsThatAreNotThere() async throws {
        let disk = MemoryFileSystem(["out/part-0.csv": "x"])
        for (path, primary) in [
            ("nowhere", "no such file or directory"), ("out/none", "no such file or directory"),
            ("out", "there is no complete snapshot"),
        ] {
            let error = #expect(throws: ThalwegError.self) { try SavepointReader(path, fileSystem: disk) }
            #expect(error?.kind == .input && error?.primary == primary, "\(path): \(error as Any)")
            #expect(error?.detail?.contains(path) == true && error?.hint != nil)
        }
    }

    @Test func namesThatAreNotThere() async throws {
        let reader = try await snapshot().reader
        let error = #expect(throws: ThalwegError.self) { try reader.state("sen", in: "memory") }
        #expect(error?.hint?.contains("\"seen\"") == true)
        #expect(throws: ThalwegError.self) { try reader.state("seen", in: "nobody") }
    }

    /// Every file, one byte changed at many places: found, and nothing is read as something else.
    @Test func damageIsNamed() async throws {
        let (job, reader) = try await snapshot()
        var random = SeededRandom(seed: 3)
        for file in reader.metadata.files {
            let path = "checkpoints/" + file.path
            let whole = try #require(job.disk[path])
            for _ in 0..<12 {
                var bytes = whole
                bytes[Int(random.next() % UInt64(bytes.count))] ^= 1 << UInt8(random.next() % 8)
                job.disk[path] = bytes
                do {
                    let found = try SavepointReader("checkpoints", fileSystem: job.disk).verify()
                    #expect(found.count == 1 && found[0].detail?.contains(file.path) == true)
                    #expect(found[0].hint?.contains("there is no earlier intact checkpoint") == true, "\(found)")
                } catch let error as ThalwegError {
                    // The footer is read when the snapshot is opened.
                    #expect(error.kind == .corrupt && error.detail?.contains(file.path) == true)
                }
            }
            job.disk[path] = whole
        }
        #expect(try SavepointReader("checkpoints", fileSystem: job.disk).verify().isEmpty)
    }

    @Test func catalogTellsWhatIsComplete() async throws {
        let (job, reader) = try await snapshot()
        try SavepointWriter(reader).write(to: "checkpoints/copy")
        job.disk["checkpoints/chk-99/map-0.segment"] = [1, 2, 3]
        let catalog = try SavepointCatalog("checkpoints", fileSystem: job.disk)
        #expect(catalog.items.map(\.name).contains("chk-\(reader.metadata.checkpoint)"))
        #expect(catalog.items.filter(\.isLatest).map(\.path) == [reader.path])
        #expect(catalog.items.first { $0.name == "copy" }?.condition == .complete)
        #expect(catalog.items.first { $0.name == "chk-99" }?.condition == .incomplete)
        // A directory with files of others is no checkpoint that was never completed.
        var metadata = reader.metadata
        metadata.checkpoint = 97
        metadata.files[0].path = "chk-98/map-0.segment"
        job.disk["checkpoints/chk-98/map-0.segment"] = job.disk["checkpoints/" + reader.metadata.files[0].path]
        try CheckpointStore(root: "checkpoints", fileSystem: job.disk).complete(metadata)
        let shared = try SavepointCatalog("checkpoints", fileSystem: job.disk)
        #expect(shared.items.first { $0.name == "chk-98" }?.condition == .referenced)
        #expect(shared.items.first { $0.name == "chk-99" }?.condition == .incomplete)
        job.disk[reader.path + "/_metadata"] = [1]
        let damaged = try SavepointCatalog("checkpoints", fileSystem: job.disk)
        let item = try #require(damaged.items.first { $0.path == reader.path })
        #expect(item.condition != .complete && item.condition != .incomplete)
    }
}
