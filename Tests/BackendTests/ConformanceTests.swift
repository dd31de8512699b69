// SPDX-License-Identifier: Apache-2.0
//  Rows of keyed state, by each backend, against a naive twin.

import Synchronization
import Testing
import Thalweg
import ThalwegTesting

@Suite struct ConformanceTests {
    @Test(arguments: Backend.all)
    func rowsAreThoseOfATwin(_ backend: Backend) throws {
        var largeRows = 0
        for seed in 0..<12 as Range<UInt64> {
            let metrics = try StateConformance([backend.backend]).check(seed: seed)
            largeRows += metrics.largeRows.value
            guard backend.description != "memory", seed % 4 < 2 else { continue }
            #expect(metrics.evicted.value > 0 && metrics.loaded.value > 0, "\(backend), seed \(seed)")
        }
        // Others keep the entries of a sorted map together.
        #expect((largeRows > 20) == (backend.description == "tiered"), "\(backend): \(largeRows)")
    }

    /// What one backend has written every other one goes on from.
    @Test(arguments: 0..<12 as Range<UInt64>)
    func backendsReadEachOthersSnapshots(_ seed: UInt64) throws {
        try StateConformance(Backend.all.map(\.backend)).check(seed: 1_000 + seed)
    }

    @Test func aSortedArrayIsAStoreOfRows() throws {
        try RowStoreConformance.check(MemoryRowBackend(), in: "")
    }

    /// What a store says ends the attempt, with its own words.
    @Test func aStoreThatFailsIsHeard() throws {
        let backend = MemoryRowBackend()
        let left = Mutex(20)
        backend.beforeWrites {
            let isOver = left.withLock { left in
                left -= 1
                return left < 0
            }
            if isOver { throw ThalwegError(.retry, "the store is full") }
        }
        let error = #expect(throws: ThalwegError.self) {
            try StateConformance([.store(backend)]).check(seed: 3, budgetBytes: 2_000)
        }
        #expect(error?.primary == "the store is full" && backend.openedNames.first == "fixture-0")
    }
}
