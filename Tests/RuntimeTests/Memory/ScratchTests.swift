// SPDX-License-Identifier: Apache-2.0
//  Jobs without checkpoints whose rows rest in files, side by side.

import Glibc
import Testing
import Thalweg
import ThalwegTesting

@Suite struct ScratchTests {
    private struct Counts: KeyedProcessFunction {
        @State var count = ValueState<Int64>()
        mutating func process(_ value: Int64, _ context: KeyedContext<Int64>, _ out: Collector<String>) {
            count[default: 0] += 1
            out.emit("\(context.key) \(count.value ?? -1)")
        }
    }

    private static let keys: Int64 = 300

    private func run(_ disk: any FileSystem, numbers: Int64, into collected: Collected<String>) async throws {
        let env = StreamEnvironment()
        env.settings.batchCapacity = 16
        env.settings.state.budgetBytes = 4 << 10
        env.settings.state.fileSystem = disk
        try env.read(GeneratedSource(0..<numbers) { ($0 * 7919) % Self.keys }, name: "numbers")
            .keyed(by: { $0 }).process(Counts(), name: "counts")
            .write(to: .collect(collected), name: "rows")
        let execution = try env.makeExecution()
        _ = try await execution.run()
        #expect(execution.metrics.rows.spilledRows.value > 0)
    }

    private func expected(_ numbers: Int64) -> [String] {
        var counts: [Int64: Int64] = [:]
        return (0..<numbers).map { number in
            let key = (number * 7919) % Self.keys
            counts[key, default: 0] += 1
            return "\(key) \(counts[key] ?? 0)"
        }
    }

    /// Each has a directory of its own, and takes it along when it ends.
    @Test func jobsDoNotShareFiles() async throws {
        let disk = MemoryFileSystem()
        let lengths: [Int64] = [6_000, 12_000, 9_000]
        let collected = lengths.map { _ in Collected<String>() }
        try await withThrowingTaskGroup(of: Void.self) { group in
            for (length, rows) in zip(lengths, collected) {
                group.addTask { try await self.run(disk, numbers: length, into: rows) }
            }
            try await group.waitForAll()
        }
        for (length, rows) in zip(lengths, collected) { #expect(rows.elements.sorted() == expected(length).sorted()) }
        #expect(disk.paths.filter { $0.hasSuffix(".segment") } == [])
    }

    /// A process that was killed leaves its files behind.
    @Test func whatOthersLeftIsRemoved() async throws {
        let disk = MemoryFileSystem()
        let collected = Collected<String>()
        disk["/tmp/thalweg-\(getuid())-0/shared/1-counts-0.segment"] = [1, 2, 3]
        try await run(disk, numbers: 3000, into: collected)
        #expect(disk.paths.filter { $0.hasSuffix(".segment") } == [])
    }
}
