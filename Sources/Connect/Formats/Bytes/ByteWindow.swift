// SPDX-License-Identifier: Apache-2.0
//  The unread bytes of a source: a reusable buffer that carries the tail of one read over to the next.

import Glibc
import ThalwegBase
import ThalwegStorage

/// A window over the bytes of a source. `paddingBytes` zero bytes can always be read behind its end.
final class ByteWindow {
    static let paddingBytes = 128

    let source: any ByteSource
    /// The unread bytes are `base + start ..< base + end`.
    private(set) var base: UnsafeMutableRawPointer
    private(set) var start = 0
    private(set) var end = 0
    /// Offset in the source of the byte at `start`.
    private(set) var offset: UInt64
    private var capacity: Int
    private let blockBytes: Int

    init(_ source: any ByteSource, at offset: UInt64, blockBytes: Int) {
        precondition(blockBytes > 0)
        self.source = source
        self.offset = offset
        self.blockBytes = blockBytes
        capacity = blockBytes
        base = .allocate(byteCount: capacity + Self.paddingBytes, alignment: 64)
        memset(base, 0, Self.paddingBytes)
    }

    deinit { base.deallocate() }

    var count: Int { end - start }
    var bytes: UnsafeRawBufferPointer { UnsafeRawBufferPointer(start: base + start, count: end - start) }

    /// Gives up the first `count` unread bytes.
    func consume(_ count: Int) {
        assert(count <= end - start)
        start += count
        offset += UInt64(count)
    }

    /// Reads more bytes behind the unread ones, which may move; false when the source has none.
    ///
    /// The window grows when it is full; who calls this bounds it, by consuming or by giving up.
    func more() throws(ThalwegError) -> Bool {
        if start == end {
            (start, end) = (0, 0)
        }
        if capacity - end < blockBytes / 2 {
            if start > 0 {
                memmove(base, base + start, end - start)
                (start, end) = (0, end - start)
            }
            if capacity - end < blockBytes / 2 { grow() }
        }
        let free = UnsafeMutableRawBufferPointer(start: base + end, count: capacity - end)
        let count = try source.read(at: offset + UInt64(end - start), into: free)
        assert(count <= free.count)
        end += count
        memset(base + end, 0, Self.paddingBytes)
        return count > 0
    }

    /// Gives the memory of an exceptionally long record back.
    func shrink() {
        guard start == end, capacity > 4 * blockBytes else { return }
        base.deallocate()
        (start, end, capacity) = (0, 0, blockBytes)
        base = .allocate(byteCount: capacity + Self.paddingBytes, alignment: 64)
        memset(base, 0, Self.paddingBytes)
    }

    private func grow() {
        let larger = capacity + max(capacity / 2, blockBytes)
        let moved = UnsafeMutableRawPointer.allocate(byteCount: larger + Self.paddingBytes, alignment: 64)
        memcpy(moved, base + start, end - start)
        base.deallocate()
        base = moved
        (start, end, capacity) = (0, end - start, larger)
    }
}
