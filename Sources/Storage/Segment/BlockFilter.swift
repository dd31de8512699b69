// SPDX-License-Identifier: Apache-2.0
//  Which rows a block surely lacks: a split-block Bloom filter, as in Apache Parquet.

/// A filter of 256-bit lanes; a row sets 8 bits of one lane.
enum BlockFilter {
    static let bitsPerRow = 10
    static let laneBytes = 32

    private static let salts: [UInt32] = [
        0x47b6_137b, 0x4497_4d91, 0x8824_ad5b, 0xa2b7_289d, 0x7054_95c7, 0x2df1_424b, 0x9efc_4947, 0x5c6b_fb31,
    ]

    /// The filter of rows with these hashes.
    static func make(_ hashes: [UInt64]) -> [UInt8] {
        let lanes = max(1, (hashes.count * bitsPerRow + 255) / 256)
        var filter = [UInt8](repeating: 0, count: lanes * laneBytes)
        for hash in hashes {
            let start = lane(of: hash, of: lanes)
            for (word, salt) in salts.enumerated() {
                let bit = bit(of: hash, salt)
                filter[start + word * 4 + bit / 8] |= 1 << UInt8(bit % 8)
            }
        }
        return filter
    }

    /// False only if no row of the filter has this hash.
    static func mightContain(_ hash: UInt64, in filter: UnsafeRawBufferPointer) -> Bool {
        let start = lane(of: hash, of: filter.count / laneBytes)
        for (word, salt) in salts.enumerated() {
            let bit = bit(of: hash, salt)
            if filter[start + word * 4 + bit / 8] & (1 << UInt8(bit % 8)) == 0 { return false }
        }
        return true
    }

    private static func lane(of hash: UInt64, of lanes: Int) -> Int {
        Int(((hash >> 32) &* UInt64(lanes)) >> 32) * laneBytes
    }

    private static func bit(of hash: UInt64, _ salt: UInt32) -> Int {
        Int((UInt32(truncatingIfNeeded: hash) &* salt) >> 27)
    }
}
