// SPDX-License-Identifier: Apache-2.0
//  The record of the measures.

import Thalweg

/// Record number n: a random key, n itself, and a time at which a hundred records share a millisecond.
struct Item: Codable, Sendable {
    var key: Int64
    var value: Int64
    var time: Int64

    @inline(__always)
    init(_ n: Int64, keys: UInt64) {
        var z = UInt64(bitPattern: n) &* 0x9E37_79B9_7F4A_7C15 &+ 1
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        z ^= z >> 31
        key = Int64(truncatingIfNeeded: (z >> 1) % keys)
        value = n
        time = n / 100
    }

    /// A stream of items. The usual counts of keys are literals, so that the remainder costs a multiplication.
    static func stream(events: Int64, keys: UInt64, in env: StreamEnvironment) -> DataStream<Item> {
        switch keys {
        case 10_000: env.read(GeneratedSource(0..<events, maker: Of10K()))
        case 100_000: env.read(GeneratedSource(0..<events, maker: Of100K()))
        case 1_000_000: env.read(GeneratedSource(0..<events, maker: Of1M()))
        default: env.read(GeneratedSource(0..<events) { Item($0, keys: keys) })
        }
    }

    struct Of10K: RecordMaker {
        func make(_ number: Int64) -> Item { Item(number, keys: 10_000) }
    }
    struct Of100K: RecordMaker {
        func make(_ number: Int64) -> Item { Item(number, keys: 100_000) }
    }
    struct Of1M: RecordMaker {
        func make(_ number: Int64) -> Item { Item(number, keys: 1_000_000) }
    }
}

/// Two numbers: what the measures give.
struct Pair: Codable, Sendable {
    var first: Int64
    var second: Int64

    init(_ first: Int64, _ second: Int64) { (self.first, self.second) = (first, second) }
}
