// SPDX-License-Identifier: Apache-2.0
//  State that expires in snapshots, with and without a time to live before and after.

import Testing
import Thalweg
import ThalwegStorage
import ThalwegTesting

@Suite struct TTLSnapshotTests {
    private typealias Harness = KeyedHarness<Ledger>

    private func make(_ ttl: StateTTL?, at time: Int64, restoring state: (any RestoredState)? = nil) throws -> Harness {
        try KeyedHarness(Ledger(ttl), keyedBy: { $0.key }, restoring: state, startingAt: time)
    }

    private func look(_ harness: Harness, at time: Int64) throws -> Bool {
        try harness.advanceProcessingTime(to: time)
        try harness.push(Note(key: 1, value: 0, reads: true))
        let seen = harness.takeOutputs()
        #expect(seen == ["1: 5 [5] [5]"] || seen == ["1: - [] []"], "\(seen)")
        return seen == ["1: 5 [5] [5]"]
    }

    private static let long = StateTTL(.seconds(60))
    private static let short = StateTTL(.seconds(10))

    /// A25.4: an entry written at 0 and stored at 1 s, looked at after 5, 15, 45 and 70 s.
    @Test(
        arguments: [
            (nil, nil, [true, true, true, true]),
            // Without a stamp: life begins at the restore, after 2 s.
            (nil, long, [true, true, true, false]), (nil, short, [true, false, false, false]),
            // The stamp is kept, the new time to live counts.
            (long, short, [true, false, false, false]), (short, long, [true, true, true, false]),
            (long, nil, [true, true, true, true]), (short, nil, [true, true, true, true]),
            (long, long, [true, true, true, false]),
        ] as [(StateTTL?, StateTTL?, [Bool])])
    func theTimeToLiveMayChange(_ before: StateTTL?, _ after: StateTTL?, _ expected: [Bool]) throws {
        let old = try make(before, at: 0)
        try old.push(Note(key: 1, value: 5), Note(key: 2, value: 5))
        try old.advanceProcessingTime(to: 1000)
        let snapshot = try old.snapshot()
        #expect(snapshot.states.first { $0.name == "all" }?.properties["ttl"] == before?.text)
        let new = try make(after, at: 2000, restoring: snapshot)
        #expect(new.keyCount == 2)
        #expect(try [5000, 15_000, 45_000, 70_000].map { try look(new, at: $0) } == expected)
        #expect(new.keyCount == (expected[3] ? 2 : 0), "also the key that nobody asks for")
    }

    @Test func theWholeChainOfChangesLosesNothing() throws {
        var harness = try make(nil, at: 0)
        try harness.push(Note(key: 1, value: 5))
        var time: Int64 = 0
        for ttl in [Self.long, Self.short, StateTTL(.seconds(30), domain: .eventTime), Self.short, nil] {
            time += 4000
            harness = try make(ttl, at: time, restoring: harness.snapshot())
            #expect(try look(harness, at: time), "\(ttl?.text ?? "none")")
        }
        #expect(try look(harness, at: .max / 4))
    }

    /// The machine was down for longer than state lives.
    @Test func whatExpiredMeanwhileIsRemovedAfterTheRestore() throws {
        let old = try make(Self.short, at: 0)
        try old.push(Note(key: 1, value: 5))
        let snapshot = try old.snapshot()
        let new = try make(Self.short, at: 3_600_000, restoring: snapshot)
        try new.push(Note(key: 1, value: 0, reads: true))
        #expect(new.outputs == ["1: - [] []"])
        try new.advanceProcessingTime(to: 3_600_000)
        #expect(new.keyCount == 0)
    }

    /// A snapshot holds nothing that has expired, whether it was swept or not, and stays as it was.
    @Test func whatHasExpiredIsNotStored() throws {
        let harness = try make(Self.short, at: 0)
        try harness.push(Note(key: 1, value: 5), Note(key: 2, value: 6))
        try harness.advanceProcessingTime(to: 6000)
        try harness.push(Note(key: 2, value: 7))
        // The clock has moved on, but nothing has been swept yet.
        harness.base.time.clock.advance(to: 10_001)
        let frozen = try harness.base.freeze()
        try harness.push((0..<3000).map { (Note(key: $0, value: 9), nil) })
        try harness.advanceProcessingTime(to: 60_000)
        #expect(harness.keyCount == 0)
        let snapshot = try MemorySnapshot([frozen])
        #expect(["last", "all", "byValue"].map(snapshot.count(of:)) == [1, 1, 1])
        let new = try make(Self.short, at: 10_001, restoring: snapshot)
        try new.push(Note(key: 2, value: 0, reads: true))
        #expect(new.outputs == ["2: 7 [7] [7]"])
    }

    @Test func aTimeToLiveThatIsNotUnderstoodIsDamage() throws {
        let old = try make(Self.short, at: 0)
        try old.push(Note(key: 1, value: 5))
        let frozen = try old.base.freeze()
        let parts = frozen.parts.map { part in
            var descriptor = part.descriptor
            if descriptor.name == "last" { descriptor.properties["ttl"] = "for ever" }
            return StatePart(descriptor) { try part.write(to: $0) }
        }
        let error = #expect(throws: ThalwegError.self) {
            _ = try make(Self.short, at: 0, restoring: MemorySnapshot(parts: parts, parallelism: 1))
        }
        #expect(error?.kind == .corrupt && error?.description.contains("for ever") == true)
    }

    // MARK: A25.7

    private struct Secrets: KeyedProcessFunction {
        @State var last: ValueState<String>
        @State var all: ListState<String>
        @State var byValue: MapState<String, String>

        init(domain: StateTTL.Domain = .processingTime) {
            let ttl = StateTTL(.seconds(10), domain: domain)
            _last = State(wrappedValue: ValueState(ttl: ttl))
            _all = State(wrappedValue: ListState(ttl: ttl))
            _byValue = State(wrappedValue: MapState(ttl: ttl))
        }

        mutating func process(_ value: String, _ context: KeyedContext<String>, _ out: Collector<String>) {
            out.emit(last.value == value && all.values == [value] && byValue[value] == value ? "known" : "new")
            last.value = value
            all.append(value)
            byValue[value] = value
        }
    }

    /// Writes a checkpoint of the harness and says whether a text is found in its bytes.
    private func finds(_ text: String, in harness: KeyedHarness<Secrets>, _ checkpoint: Int64) throws -> Bool {
        let disk = MemoryFileSystem()
        var options = SegmentOptions()
        options.compressionLevel = 0
        let store = CheckpointStore(root: "ck", fileSystem: disk, options: options)
        try store.prepare()
        let frozen = try harness.base.freeze()
        let file = try store.writeSegment(
            checkpoint: checkpoint, name: "function-0", operators: ["function"], subtask: 0, parts: frozen.parts,
            isCancelled: { false })
        for release in frozen.releases { release() }
        #expect(file != nil)
        return disk.paths.contains { holds(text, disk[$0] ?? []) }
    }

    @Test func aPlantedValueIsGoneFromTheNextCheckpoint() throws {
        let secret = "planted-4711"
        let harness = try KeyedHarness(Secrets(), keyedBy: { $0 })
        try harness.push(secret)
        try harness.advanceProcessingTime(to: 5000)
        try harness.push("another")
        #expect(try finds(secret, in: harness, 1))
        // One stretch after its end at the latest; here exactly at its end, before anything was swept.
        harness.base.time.clock.advance(to: 10_000)
        #expect(try !finds("of what was never there", in: harness, 2))
        for state in ["last", "all", "byValue"] { #expect(try harness.snapshot().count(of: state) == 1) }
        try harness.advanceProcessingTime(to: 11_250)
        #expect(try !finds(secret, in: harness, 3))
        #expect(harness.keyCount == 1)
    }

    /// A checkpoint that says only what has changed may lie over files with what has expired since: one stretch after
    /// its end at the latest there is none.
    @Test(arguments: 0..<20 as Range<UInt64>)
    func aPlantedValueIsGoneFromLayers(_ seed: UInt64) throws {
        var random = SeededRandom(seed: seed)
        let secret = "planted-4711"
        let disk = MemoryFileSystem()
        var options = SegmentOptions()
        options.compressionLevel = 0
        let store = CheckpointStore(root: "ck", fileSystem: disk, options: options)
        try store.prepare()
        let leases = RunLeases()
        let harness = try OperatorHarness<String, String>(
            name: "function", layering: RowLayering(root: store.root, leases: leases)
        ) { context in
            OperatorInstance(try KeyedProcessOperator(Secrets(), key: { $0 }, onError: .fail, in: context), in: context)
        }
        // Of the others few change at a time.
        let others = (0..<200).map { "other-\($0)" }
        var (layersMax, isFound): (Int, [Int64: Bool]) = (0, [:])
        let planted = random.draw(1...3) * 1000
        for second in 0..<20 as Range<Int64> {
            let now = second * 1000
            try harness.advanceProcessingTime(to: now)
            if now == planted { try harness.push(secret) }
            try harness.push(others.filter { _ in second == 0 || random.draw(0...19) == 0 }.map { ($0, nil) })
            let frozen = try harness.freeze()
            defer { for release in frozen.releases { release() } }
            let rows = try #require(frozen.rows.first)
            let added = try #require(rows.added.first)
            #expect(rows.added.count == 1)
            // Now and then one cannot be written.
            if random.draw(0...9) == 0 {
                added.layer.failed()
                continue
            }
            var file = try store.writeSegment(
                checkpoint: second + 1, name: "rows", operators: ["function"], subtask: 0, parts: added.parts,
                isCancelled: { false })
            file?.sequence = added.layer.sequence
            added.layer.written(file.map { HeldSegment($0, leases.take($0.path)) })
            let base = try rows.base.compactMap { try $0.file()?.file.path }
            layersMax = max(layersMax, base.count + 1)
            let paths = base + [file?.path].compactMap(\.self)
            isFound[now] = paths.contains { holds(secret, disk["ck/\($0)"] ?? []) }
            if now >= planted + 11_250 { #expect(isFound[now] == false, "seed \(seed), at \(now)") }
        }
        #expect(isFound.values.contains(true), "seed \(seed)")
        #expect(layersMax > 1, "seed \(seed)")
    }

    /// Rows that rest in files are not looked at when they expire, but merges leave them out.
    @Test(arguments: [StateTTL.Domain.processingTime, .eventTime])
    func aPlantedValueIsGoneFromMergedLayers(_ domain: StateTTL.Domain) throws {
        let secret = "planted-4711"
        let disk = MemoryFileSystem()
        let store = CheckpointStore(root: "ck", fileSystem: disk)
        try store.prepare()
        let (leases, metrics) = (RunLeases(), RowMetrics())
        let place = RowPlace(
            store: store, names: try store.runNames(), leases: leases, budgetBytes: 4 << 10, batchCapacity: 8,
            metrics: metrics, background: { $0() })
        let harness = try OperatorHarness<String, String>(
            name: "function", batchCapacity: 8, layering: RowLayering(root: store.root, leases: leases), rowPlace: place
        ) { context in
            let function = Secrets(domain: domain)
            return OperatorInstance(
                try KeyedProcessOperator(function, key: { $0 }, onError: .fail, in: context), in: context)
        }
        func advance(to time: Int64) throws {
            try harness.advanceProcessingTime(to: time)
            try harness.advanceWatermark(to: time)
        }
        func isFound() -> Bool { leases.paths.contains { holds(secret, disk["ck/\($0)"] ?? []) } }
        try harness.push(secret, at: 1)
        try harness.push((0..<400).map { ("early-\($0)", 1) })
        try advance(to: 5000)
        #expect(isFound())
        try harness.push((0..<400).map { ("middle-\($0)", 5001) })
        try advance(to: 20_000)
        try harness.push((0..<8000).map { ("late-\($0)", 20_001) })
        #expect(!isFound())
        #expect(metrics.merged.value > 10 && metrics.spilledRows.value > 4000)
        // What has not expired is still there.
        let texts = try (0..<8000 as Range<Int>).map { number in
            try harness.push("late-\(number)", at: 20_002)
            return harness.takeOutputs().last ?? ""
        }
        #expect(texts.allSatisfy { $0 == "known" })
    }

    private func holds(_ text: String, _ bytes: [UInt8]) -> Bool {
        let needle = Array(text.utf8)
        return bytes.indices.dropLast(needle.count - 1).contains { bytes[$0..<$0 + needle.count] == needle[...] }
    }
}
