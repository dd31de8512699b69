// SPDX-License-Identifier: Apache-2.0
//  Large memory, with large pages where the machine grants them.

import Glibc
import Synchronization

/// Memory for tables and columns. From 2 MiB on it is aligned so that the kernel may back it with huge pages: a table
/// of millions of keys otherwise spends its time walking page tables.
public enum PageMemory {
    /// The size of a huge page.
    @inlinable public static var hugeBytes: Int { 2 << 20 }

    private static let held = Atomic<Int>(0)

    /// What this process holds of such memory, in bytes.
    public static var heldBytes: Int { held.load(ordering: .relaxed) }

    /// Allocates memory that is not initialised. Give it back with ``free(_:byteCount:)``.
    public static func allocate(byteCount: Int) -> UnsafeMutableRawPointer {
        let isLarge = byteCount >= hugeBytes
        var memory: UnsafeMutableRawPointer?
        let failure = posix_memalign(&memory, isLarge ? hugeBytes : 64, max(byteCount, 1))
        guard failure == 0, let memory else {
            // Swift's own allocations end the process as well when memory runs out.
            preconditionFailure("out of memory: \(byteCount) bytes were refused")
        }
        held.add(byteCount, ordering: .relaxed)
        if isLarge { madvise(memory, byteCount, CInt(MADV_HUGEPAGE)) }
        return memory
    }

    /// - Parameter byteCount: as it was allocated.
    public static func free(_ memory: UnsafeMutableRawPointer, byteCount: Int) {
        held.subtract(byteCount, ordering: .relaxed)
        Glibc.free(memory)
    }
}
