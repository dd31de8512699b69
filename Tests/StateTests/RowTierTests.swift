// SPDX-License-Identifier: Apache-2.0
//  Which rows leave memory, and how many it has room for.

import Testing
import ThalwegBase
import ThalwegStorage
import ThalwegTesting

@testable import ThalwegState

@Suite struct RowTierTests {
    private func place(budgetBytes: Int) throws -> RowPlace {
        let store = CheckpointStore(root: "root", fileSystem: MemoryFileSystem())
        return RowPlace(
            store: store, names: RunNames(), leases: RunLeases(), budgetBytes: budgetBytes, batchCapacity: 32,
            metrics: RowMetrics(), background: { $0() })
    }

    private func tier(budgetBytes: Int = 1 << 20) throws -> RowTier {
        let place = try place(budgetBytes: budgetBytes)
        return RowTier(SegmentRows(of: "op", { [] }, in: place), in: place)
    }

    /// The hand against a number for each slot.
    @Test(arguments: 0..<20 as Range<UInt64>) func levels(seed: UInt64) throws {
        var random = SeededRandom(seed: seed)
        let tier = try tier()
        var (used, level) = ([Bool](repeating: false, count: 64), [Int](repeating: 0, count: 64))
        for step in 0..<500 {
            for _ in 0..<Int.random(in: 0..<20, using: &random) {
                let slot = Int.random(in: 0..<64, using: &random)
                if Int.random(in: 0..<4, using: &random) == 0 {
                    tier.begin(slot)
                    (used[slot], level[slot]) = (false, 0)
                } else {
                    tier.heat.insert(slot)
                    used[slot] = true
                }
            }
            var leaving: UInt64 = 0
            for slot in 0..<64 {
                if !used[slot] && level[slot] == 0 { leaving |= 1 << UInt64(slot) }
                level[slot] = used[slot] ? min(3, level[slot] + 1) : max(0, level[slot] - 1)
                used[slot] = false
            }
            #expect(tier.pass(0) == leaving, "seed \(seed), step \(step)")
        }
    }

    /// Whatever a row has risen to, it leaves when the hand has come by often enough.
    @Test func everyRowLeavesInTheEnd() throws {
        let tier = try tier()
        for _ in 0..<10 {
            for slot in 0..<64 { tier.heat.insert(slot) }
            #expect(tier.pass(0) == 0)
        }
        for slot in 0..<64 { tier.heat.insert(slot) }
        let passes = (1...RowTier.passesMax).first { _ in tier.pass(0) == .max }
        #expect(passes == RowTier.passesMax)
    }

    /// Where little memory is given, it is not taken in large pieces.
    @Test func littleMemoryIsCountedByThePage() throws {
        let small = try tier(budgetBytes: 14_000_000).extentBytes
        #expect(small < PageMemory.hugeBytes)
        #expect(try tier(budgetBytes: 1 << 30).extentBytes == PageMemory.hugeBytes)
        let strides = [0, 0, 16, 8, 8]
        let fine = RowMemory(strides: strides, encodedBytes: 0, extentBytes: small)
        let rows = fine.rowsMax(within: 9_000_000, batchCapacity: 1024)
        // A table with 2^18 places is 2 MiB and three quarters of them are used, 32 bytes a row are in columns.
        #expect((190_000..<196_609).contains(rows), "\(rows)")
        #expect(fine.bytes(rows: rows) <= 9_000_000)
        let huge = RowMemory(strides: strides, encodedBytes: 0, extentBytes: PageMemory.hugeBytes)
        #expect(huge.bytes(rows: rows) > fine.bytes(rows: rows))
    }

    /// Memory that is taken for a column follows what is used of it.
    @Test func extentsHaveALimit() {
        var column = PagedColumn<UInt64>(initial: 0)
        column.limitExtents(to: 64 << 10)
        column.reserve(100 << 10)
        #expect((800 << 10...(864 << 10)).contains(column.pages.heap.byteCount), "\(column.pages.heap.byteCount)")
    }
}
