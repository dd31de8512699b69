// SPDX-License-Identifier: Apache-2.0
//  Which rows a block surely lacks: a split-block Bloom filter, as in Apache Parquet.

/// A filter of 256-bit lanes; a row sets 8 bits of one lane.
enum BlockFilter {
    static let bitsPerRow = 10
    static let laneBytes = 32

    private typealias Lane = SIMD8<UInt32>

    @inline(__always)
    private static var salts: Lane {
        Lane(
            0x47b6_137b, 0x4497_4d91, 0x8824_ad5b, 0xa2b7_289d, 0x7054_95c7, 0x2df1_424b, 0x9efc_4947, 0x5c6b_fb31)
    }

    /// The filter of rows with these hashes.
    static func make(_ hashes: [UInt64]) -> [UInt8] {
        let lanes = max(1, (hashes.count * bitsPerRow + 255) / 256)
        var filter = [UInt8](repeating: 0, count: lanes * laneBytes)
        filter.withUnsafeMutableBytes { filter in
            for hash in hashes { insert(hash, in: filter) }
        }
        return filter
    }

    /// Adds a row to a filter.
    @inline(__always)
    static func insert(_ hash: UInt64, in filter: UnsafeMutableRawBufferPointer) {
        let start = lane(of: hash, of: filter.count / laneBytes)
        let lane = filter.loadUnaligned(fromByteOffset: start, as: Lane.self) | bits(of: hash)
        filter.storeBytes(of: lane, toByteOffset: start, as: Lane.self)
    }

    /// False only if no row of the filter has this hash.
    @inline(__always)
    static func mightContain(_ hash: UInt64, in filter: UnsafeRawBufferPointer) -> Bool {
        let start = lane(of: hash, of: filter.count / laneBytes)
        let bits = bits(of: hash)
        return filter.loadUnaligned(fromByteOffset: start, as: Lane.self) & bits == bits
    }

    @inline(__always)
    private static func lane(of hash: UInt64, of lanes: Int) -> Int {
        Int(((hash >> 32) &* UInt64(lanes)) >> 32) * laneBytes
    }

    /// One bit in each of the lane's eight words. The words are little-endian in the file, as on every machine that
    /// Swift runs on here.
    @inline(__always)
    private static func bits(of hash: UInt64) -> Lane {
        Lane(repeating: 1) &<< ((Lane(repeating: UInt32(truncatingIfNeeded: hash)) &* salts) &>> 27)
    }
}
