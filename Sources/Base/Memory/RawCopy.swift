// SPDX-License-Identifier: Apache-2.0
//  Copies of a few bytes.

/// Copies of a few bytes without a call.
public enum RawCopy {
    /// Copies `size` bytes; more than 64 by a call.
    @inlinable @inline(__always)
    public static func copy(_ target: UnsafeMutableRawPointer, _ source: UnsafeRawPointer, _ size: Int) {
        if size >= 8 {
            if size > 64 { return target.copyMemory(from: source, byteCount: size) }
            // Words from the front, then one that ends at the end.
            var place = 0
            while place &+ 8 <= size {
                target.storeBytes(
                    of: source.loadUnaligned(fromByteOffset: place, as: UInt64.self), toByteOffset: place,
                    as: UInt64.self)
                place &+= 8
            }
            let last = size &- 8
            target.storeBytes(
                of: source.loadUnaligned(fromByteOffset: last, as: UInt64.self), toByteOffset: last, as: UInt64.self)
        } else if size >= 4 {
            let last = size &- 4
            let tail = source.loadUnaligned(fromByteOffset: last, as: UInt32.self)
            target.storeBytes(of: source.loadUnaligned(as: UInt32.self), as: UInt32.self)
            target.storeBytes(of: tail, toByteOffset: last, as: UInt32.self)
        } else if size >= 2 {
            let last = size &- 2
            let tail = source.loadUnaligned(fromByteOffset: last, as: UInt16.self)
            target.storeBytes(of: source.loadUnaligned(as: UInt16.self), as: UInt16.self)
            target.storeBytes(of: tail, toByteOffset: last, as: UInt16.self)
        } else if size == 1 {
            target.storeBytes(of: source.load(as: UInt8.self), as: UInt8.self)
        }
    }
}
