// SPDX-License-Identifier: Apache-2.0
//  Key groups and subtasks agree for every parallelism.

import Testing
import ThalwegBase

@Suite struct KeyGroupTests {
    @Test func rangesPartitionTheGroupsAndAgreeWithSubtasks() {
        for maxParallelism in [1, 2, 3, 7, 16, 127, 128, 1000, 4096] {
            for parallelism in 1...min(maxParallelism, 130) {
                var next = 0
                for subtask in 0..<parallelism {
                    let range = KeyGroup.range(
                        subtask: subtask, maxParallelism: maxParallelism, parallelism: parallelism)
                    #expect(range.lowerBound == next, "\(maxParallelism) \(parallelism)")
                    #expect(!range.isEmpty)
                    for group in range {
                        let owner = KeyGroup.subtask(
                            of: group, maxParallelism: maxParallelism, parallelism: parallelism)
                        if owner != subtask { Issue.record("group \(group) of \(maxParallelism)/\(parallelism)") }
                    }
                    next = range.upperBound
                }
                #expect(next == maxParallelism)
            }
        }
    }

    @Test func everyHashFallsIntoAGroupAndTheSpreadIsEven() {
        var random = SeededRandom(seed: 3)
        var counts = Array(repeating: 0, count: 128)
        for hash in [0, 1, .max, .max - 1, 0xFFFF_FFFF, 0xFFFF_FFFF_0000_0000] as [UInt64] {
            #expect((0..<128).contains(KeyGroup.of(hash: hash, maxParallelism: 128)))
        }
        for _ in 0..<128_000 {
            counts[KeyGroup.of(hash: StableHash.mix(random.next()), maxParallelism: 128)] += 1
        }
        #expect((counts.min() ?? 0) > 800 && (counts.max() ?? 0) < 1200)
    }

    @Test func sequentialKeysSpreadToo() {
        var counts = Array(repeating: 0, count: 16)
        for key in 0..<16_000 as Range<UInt64> {
            counts[KeyGroup.of(hash: StableHash.mix(key), maxParallelism: 16)] += 1
        }
        #expect((counts.min() ?? 0) > 700 && (counts.max() ?? 0) < 1300)
    }

    @Test func hashesAreStable() {
        // Recorded once: a change here changes which key group a key of an old snapshot belongs to.
        #expect(StableHash.version == 1)
        let bytes = Array("thalweg, the line along a stream's bed".utf8)
        let hashes = (0...bytes.count).map { end in
            bytes[..<end].withUnsafeBytes { StableHash.bytes($0) }
        }
        #expect(Set(hashes).count == hashes.count)
        #expect(StableHash.mix(0) == StableHash.mix(0) && StableHash.combine(1, 2) != StableHash.combine(2, 1))
    }
}
