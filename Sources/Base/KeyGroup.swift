// SPDX-License-Identifier: Apache-2.0
//  From key to key group to subtask.

/// The unit in which keyed state moves when parallelism changes: `hash(key) mod maxParallelism`, as a share of
/// subtasks.
@frozen
public enum KeyGroup {
    /// The most key groups that a job may have.
    public static var countMax: Int { 32768 }

    /// The key group of a stable hash. Takes the high half, because tables use the low half.
    @inlinable @inline(__always)
    public static func of(hash: UInt64, maxParallelism: Int) -> Int {
        Int(((hash >> 32) &* UInt64(truncatingIfNeeded: maxParallelism)) >> 32)
    }

    /// The subtask that owns a key group.
    @inlinable @inline(__always)
    public static func subtask(of keyGroup: Int, maxParallelism: Int, parallelism: Int) -> Int {
        keyGroup &* parallelism / maxParallelism
    }

    /// The key groups that a subtask owns.
    public static func range(subtask: Int, maxParallelism: Int, parallelism: Int) -> Range<Int> {
        let start = (subtask * maxParallelism + parallelism - 1) / parallelism
        let end = ((subtask + 1) * maxParallelism + parallelism - 1) / parallelism
        return start..<end
    }
}
