// SPDX-License-Identifier: Apache-2.0
//  A value beside the stamp that it lives by.

/// What a slot of a state of single values that expire holds: who asks for the value has the stamp in the same stretch
/// of memory.
@frozen
@usableFromInline
struct StampedValue<Value> {
    /// `Int64.max` where nothing will expire.
    @usableFromInline var stamp = Int64.max
    @usableFromInline var value: Value?

    @inlinable
    init() {}

    /// Where the value lies, from the start, in bytes.
    @inlinable static var valueOffset: Int {
        @inline(__always) get {
            let alignment = MemoryLayout<Value?>.alignment
            return (MemoryLayout<Int64>.size &+ alignment &- 1) & ~(alignment &- 1)
        }
    }

    /// The address of the value at an address.
    @inlinable @inline(__always)
    static func value(at cell: UnsafeMutablePointer<Self>) -> UnsafeMutablePointer<Value?> {
        (UnsafeMutableRawPointer(cell) + valueOffset).assumingMemoryBound(to: Value?.self)
    }
}
