// SPDX-License-Identifier: Apache-2.0
//  Splits that no restart can bring back, as far as they are remembered.

import ThalwegBase

/// Which splits were read to their end so long ago that every restart begins after it. Only their hashes are kept, and
/// those of the newest ones: enough to see that an enumerator gives out a split again.
struct ForgottenSplits: Sendable {
    /// The most splits that are remembered; about a megabyte.
    static let countMax = 1 << 16

    private var hashes: Set<UInt64> = []
    /// In the order in which they were forgotten; a ring when it is full.
    private var order: [UInt64] = []
    private var oldest = 0

    var count: Int { hashes.count }

    func contains(_ split: String) -> Bool { hashes.contains(Self.hash(split)) }

    mutating func add(_ split: String) {
        let hash = Self.hash(split)
        guard hashes.insert(hash).inserted else { return }
        guard order.count == Self.countMax else { return order.append(hash) }
        hashes.remove(order[oldest])
        order[oldest] = hash
        oldest = (oldest + 1) % Self.countMax
    }

    private static func hash(_ split: String) -> UInt64 {
        var split = split
        return split.withUTF8 { StableHash.bytes(UnsafeRawBufferPointer($0)) }
    }
}
