// SPDX-License-Identifier: Apache-2.0
//  Memory that is used again and again, and grows when it must.

/// Raw memory of one owner.
final class GrowingBuffer {
    @exclusivity(unchecked) private(set) var start: UnsafeMutableRawPointer
    @exclusivity(unchecked) private(set) var capacity: Int

    init(capacity: Int = 256) {
        self.capacity = capacity
        start = .allocate(byteCount: capacity, alignment: 16)
    }

    deinit { start.deallocate() }

    /// Makes room for `wanted` bytes and keeps the first `count`.
    @inline(__always)
    func reserve(_ wanted: Int, keeping count: Int = 0) {
        if wanted > capacity { grow(wanted, keeping: count) }
    }

    private func grow(_ wanted: Int, keeping count: Int) {
        let larger = max(wanted, capacity + capacity / 2)
        let memory = UnsafeMutableRawPointer.allocate(byteCount: larger, alignment: 16)
        memory.copyMemory(from: start, byteCount: count)
        start.deallocate()
        start = memory
        capacity = larger
    }

    @inline(__always)
    func bytes(_ count: Int) -> UnsafeRawBufferPointer { UnsafeRawBufferPointer(start: start, count: count) }

    /// Makes a copy of bytes that lie elsewhere.
    @inline(__always)
    func hold(_ bytes: UnsafeRawBufferPointer) {
        reserve(bytes.count)
        if let base = bytes.baseAddress { start.copyMemory(from: base, byteCount: bytes.count) }
    }

    /// The first `count` bytes, to be written.
    func room(_ count: Int) -> UnsafeMutableRawBufferPointer {
        UnsafeMutableRawBufferPointer(start: start, count: count)
    }
}
