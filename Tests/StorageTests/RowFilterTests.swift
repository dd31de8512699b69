// SPDX-License-Identifier: Apache-2.0
//  Filters over all rows of a run.

import Testing
import ThalwegBase
import ThalwegTesting

@testable import ThalwegStorage

@Suite struct RowFilterTests {
    private func run(_ rows: [UInt16], filteredRows: Int?, sequence: Int64, on disk: MemoryFileSystem) throws -> Run {
        let state = StateDescriptor(operatorName: "count", name: "total", kind: .value)
        let part = StatePart(state) { writer in
            for row in rows.sorted() {
                try withUnsafeBytes(of: row.bigEndian) { row in
                    try withUnsafeBytes(of: sequence) { try writer.add(key: row, value: $0) }
                }
            }
        }
        let target = RunTarget(
            path: "\(sequence)", listedAs: "\(sequence)", operators: ["count"], subtask: 0, sequence: sequence,
            filteredRows: filteredRows)
        return try #require(try Run.write([part], to: target, fileSystem: disk))
    }

    @Test(arguments: 0..<8 as Range<UInt64>)
    func rowsAreNeverMissed(_ seed: UInt64) throws {
        var random = SeededRandom(seed: seed)
        let disk = MemoryFileSystem()
        var newest: [UInt16: Int64] = [:]
        var runs: [Run] = []
        for sequence in 1...5 as ClosedRange<Int64> {
            let rows = Set((0..<Int.random(in: 1...900, using: &random)).map { _ in UInt16(random.next() % 4096) })
            for row in rows { newest[row] = sequence }
            // Some without, some that are too small for what is put in.
            let filtered = [nil, rows.count, rows.count / 8][Int(random.next() % 3)]
            let run = try run(Array(rows), filteredRows: filtered, sequence: sequence, on: disk)
            #expect(run.rowCount == rows.count && run.filterBytes == filtered.map { Run.filterBytes(forRows: $0) } ?? 0)
            runs.append(run)
        }
        let lookups = RunLookups(
            operatorName: "count", states: ["total"], blockBytesMax: 1 << 16, filterBytesMax: 1 << 16)
        try lookups.use(RunSet(runs))
        let buffer = RowBuffer()
        for row in 0..<4096 as Range<UInt16> {
            try withUnsafeBytes(of: row.bigEndian) { bytes in
                let isThere = try lookups.find(0, row: bytes, into: buffer)
                #expect(isThere == (newest[row] != nil), "seed \(seed) row \(row)")
                if isThere { #expect(buffer.value(0).loadUnaligned(as: Int64.self) == newest[row]) }
            }
        }
    }

    @Test func mostRowsThatAreNotThereAreKnown() {
        let filter = RowFilter(rows: 10_000)
        var random = SeededRandom(seed: 7)
        for _ in 0..<10_000 { filter.insert(random.next()) }
        let wrong = (0..<10_000).count { _ in filter.mightContain(random.next()) }
        #expect(wrong < 200, "\(wrong) of 10,000")
    }

    @Test func aMergedRunHasAFilterOfItsOwn() throws {
        let disk = MemoryFileSystem()
        let old = try run(Array(0..<600), filteredRows: 600, sequence: 1, on: disk)
        let new = try run(Array(300..<900), filteredRows: nil, sequence: 2, on: disk)
        let target = RunTarget(
            path: "m", listedAs: "m", operators: ["count"], subtask: 0, sequence: 2, filteredRows: 1200)
        let merge = try RunMerge([new, old], isOldest: true, to: target, fileSystem: disk)
        while try merge.step(bytesMax: 256) {}
        let merged = try #require(merge.result)
        #expect(merged.rowCount == 900 && merged.filterBytes == Run.filterBytes(forRows: 1200))
        for row in 0..<900 as Range<UInt16> {
            let hash = withUnsafeBytes(of: row.bigEndian) { $0.checksum }
            #expect(merged.filter?.mightContain(hash) == true, "row \(row)")
        }
    }
}
