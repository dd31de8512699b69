// SPDX-License-Identifier: Apache-2.0
//  Records under way in snapshots: what is stored, who gets it back, and in which order (A12.3, A12.4).

import Synchronization
import Testing
import Thalweg
import ThalwegTesting

@Suite struct AsyncRestoreTests {
    /// What all subtasks emit after a restore at another parallelism; each keeps its order.
    private func resume(
        _ lanes: AsyncLanes, _ state: MemorySnapshot, at parallelism: Int, capacity: Int = 4
    ) throws -> [[Int64]] {
        try (0..<parallelism).map { subtask in
            let probe = try AsyncProbe(
                lanes, capacity: capacity, restoring: state, subtask: subtask, parallelism: parallelism)
            try probe.harness.signal(.watermark(.end))
            try probe.harness.signal(.end)
            #expect(probe.calls.started <= capacity)
            while !probe.harness.isDrained {
                // The last call first: order must not depend on it.
                guard let last = probe.calls.pending.last else {
                    Issue.record("nothing is under way, but something is held")
                    break
                }
                try probe.run(last)
            }
            return probe.harness.outputs
        }
    }

    @Test(arguments: [AsyncLanes.one, .none, .keys])
    func whatWasUnderWayComesBack(_ lanes: AsyncLanes) throws {
        let probe = try AsyncProbe(lanes, capacity: 5)
        try probe.harness.push((1...20 as ClosedRange<Int64>).map { ($0, $0) })
        // Two have left, one has a result that waits for its turn.
        try probe.run(0, 1, 4)
        let gone = probe.harness.outputs
        let snapshot = try probe.harness.snapshot()
        #expect(snapshot.count(of: "$inFlight") == 20 - gone.count)
        for parallelism in [1, 3] {
            let outputs = try resume(lanes, snapshot, at: parallelism)
            #expect((gone + outputs.joined()).sorted() == Array(1...20))
            if lanes == .one { #expect(outputs[0] == outputs[0].sorted() && outputs[0].count == 18) }
            if lanes == .none && parallelism == 3 { #expect(outputs.allSatisfy { !$0.isEmpty }) }
            if lanes == .keys {
                for key in 0..<10 as Range<Int64> {
                    let owners = outputs.filter { $0.contains { $0 % 10 == key } }
                    #expect(owners.count <= 1)
                    let ofKey = owners.first?.filter { $0 % 10 == key } ?? []
                    #expect(ofKey == ofKey.sorted())
                }
            }
        }
    }

    @Test func keysKeepTheirOrderOverSeveralChanges() throws {
        let hasher = try KeyHasher<Int64>()
        func owner(_ value: Int64, _ parallelism: Int) -> Int {
            KeyGroup.subtask(
                of: KeyGroup.of(hash: hasher.hash(value % 10), maxParallelism: 128), maxParallelism: 128,
                parallelism: parallelism)
        }
        var state: MemorySnapshot?
        var emitted: [Int64] = []
        var next: Int64 = 1
        var random = SeededRandom(seed: 4)
        for parallelism in [4, 7, 2, 1, 3] {
            var parts: [MemorySnapshot] = []
            for subtask in 0..<parallelism {
                let probe = try AsyncProbe(
                    .keys, capacity: 6, restoring: state, subtask: subtask, parallelism: parallelism)
                // Upstream sends nothing to a subtask that is held up; what the snapshot had comes first.
                while probe.harness.isHeldUp { try probe.run(probe.calls.pending[0]) }
                let mine = (next..<next + 60).filter { owner($0, parallelism) == subtask }
                try probe.harness.push(mine.map { ($0, nil) })
                for _ in 0..<random.next() % 10 where !probe.calls.pending.isEmpty {
                    try probe.run(probe.calls.pending[Int(random.next() % UInt64(probe.calls.pending.count))])
                }
                emitted += probe.harness.outputs
                parts.append(try probe.harness.snapshot())
                probe.harness.close()
            }
            next += 60
            state = MemorySnapshot(of: parts)
        }
        emitted += try resume(.keys, try #require(state), at: 2).joined()
        #expect(emitted.sorted() == Array(1..<next))
        for key in 0..<10 as Range<Int64> {
            let ofKey = emitted.filter { $0 % 10 == key }
            #expect(ofKey == ofKey.sorted())
        }
    }

    @Test func aServiceThatHangsHoldsNoMoreThanTheCapacity() throws {
        let probe = try AsyncProbe(.one, capacity: 100)
        for value in 1...100 as ClosedRange<Int64> { try probe.push(value) }
        #expect(probe.harness.isHeldUp && probe.harness.metrics.async.inFlight.value == 100)
        try probe.harness.advanceProcessingTime(to: 60_000)
        #expect(probe.harness.metrics.async.inFlight.value == 100 && probe.calls.started == 100)
        #expect(probe.harness.time.pendingCount == 0)
        #expect(try probe.harness.snapshot().count(of: "$inFlight") == 100)
        // More than there is room for comes back at a smaller capacity, and still everything goes on.
        let outputs = try resume(.one, try probe.harness.snapshot(), at: 1, capacity: 3)
        #expect(outputs == [Array(1...100)])
    }

    @Test func timesAreKept() throws {
        let probe = try AsyncProbe(.one)
        try probe.harness.push([(1, 5), (2, 3)])
        let restored = try AsyncProbe(.one, restoring: try probe.harness.snapshot())
        restored.calls.runAll()
        try restored.harness.pump()
        #expect(restored.harness.timedOutputs.map(\.time.milliseconds) == [5, 3])
    }
}
