// SPDX-License-Identifier: Apache-2.0
//  Blocks of segments in memory, as many as a budget allows: an own pool, so that what is read counts (FLIP-50 w8).

import ThalwegBase

/// Keeps plain blocks in memory and lets go of those that were not asked for lately (a clock). Used by one thread.
///
/// What it lends is good until the next call. The block that was asked for last is always there, also if it alone is
/// larger than the budget.
final class BlockCache {
    /// One place for a block.
    private struct Frame {
        var memory: UnsafeMutableRawPointer
        var capacity: Int
        /// Which block it is; ``BlockCache/none`` when the place is free.
        var key: UInt64
        /// Where its plain bytes are.
        var start: Int
        var count: Int
        /// Whether it was asked for since the hand came by.
        var isAskedFor: Bool
    }

    private static let none = UInt64.max
    /// So that places fit other blocks too.
    private static let capacityStep = 256

    private let bytesMax: Int
    private(set) var bytesUsed = 0
    private(set) var hits = 0
    private(set) var misses = 0
    @exclusivity(unchecked) private var frames: ContiguousArray<Frame> = []
    private var freeFrames: [Int] = []
    /// Where frames without memory point to.
    private let nowhere = UnsafeMutableRawPointer.allocate(byteCount: 16, alignment: 16)
    private var hand = 0
    /// Open addressing: the places of frames, -1 where there is none.
    @exclusivity(unchecked) private var table: ContiguousArray<Int32> = [-1, -1, -1, -1]
    private var count = 0

    /// - Parameter bytesMax: the most bytes of blocks that are kept.
    init(bytesMax: Int) { self.bytesMax = bytesMax }

    deinit {
        for frame in frames where frame.capacity > 0 { frame.memory.deallocate() }
        nowhere.deallocate()
    }

    /// The plain bytes of a block.
    ///
    /// - Parameters:
    ///   - key: which block: no other one ever has this number.
    ///   - capacity: how many bytes loading it needs.
    ///   - load: reads it, and gives the place of its plain bytes in the memory.
    @inline(__always)
    func block(
        _ key: UInt64, capacity: @autoclosure () -> Int,
        load: (UnsafeMutableRawBufferPointer) throws -> Range<Int>
    ) throws -> UnsafeRawBufferPointer {
        let index = place(of: key)
        let found = Int(table[index])
        if found >= 0 {
            hits &+= 1
            frames[found].isAskedFor = true
            return UnsafeRawBufferPointer(
                start: frames[found].memory + frames[found].start, count: frames[found].count)
        }
        misses &+= 1
        let free = take(capacity())
        do {
            let range = try load(
                UnsafeMutableRawBufferPointer(start: frames[free].memory, count: frames[free].capacity))
            enter(key, free, range)
            return UnsafeRawBufferPointer(start: frames[free].memory + range.lowerBound, count: range.count)
        } catch {
            release(free)
            throw error
        }
    }

    // MARK: Frames

    private func take(_ wanted: Int) -> Int {
        let capacity = (wanted + Self.capacityStep - 1) / Self.capacityStep * Self.capacityStep
        while bytesUsed + capacity > bytesMax && count > 0 {
            let victim = nextVictim()
            remove(frames[victim].key)
            frames[victim].key = Self.none
            if frames[victim].capacity >= wanted && frames[victim].capacity <= 2 * capacity { return victim }
            release(victim)
        }
        let memory = UnsafeMutableRawPointer.allocate(byteCount: capacity, alignment: 16)
        bytesUsed += capacity
        let frame = Frame(
            memory: memory, capacity: capacity, key: Self.none, start: 0, count: 0, isAskedFor: false)
        guard let free = freeFrames.popLast() else {
            frames.append(frame)
            return frames.count - 1
        }
        frames[free] = frame
        return free
    }

    /// Gives back the memory of a frame that is in no table.
    private func release(_ index: Int) {
        bytesUsed -= frames[index].capacity
        frames[index].memory.deallocate()
        frames[index].memory = nowhere
        frames[index].capacity = 0
        freeFrames.append(index)
    }

    private func nextVictim() -> Int {
        while true {
            if hand >= frames.count { hand = 0 }
            let index = hand
            hand += 1
            if frames[index].key == Self.none { continue }
            if !frames[index].isAskedFor { return index }
            frames[index].isAskedFor = false
        }
    }

    private func enter(_ key: UInt64, _ index: Int, _ range: Range<Int>) {
        frames[index].key = key
        frames[index].start = range.lowerBound
        frames[index].count = range.count
        frames[index].isAskedFor = false
        if (count + 1) * 2 > table.count { grow() }
        table[place(of: key)] = Int32(index)
        count += 1
    }

    // MARK: The table

    /// Where a key stands, or where it would.
    @inline(__always)
    private func place(of key: UInt64) -> Int {
        let mask = table.count &- 1
        var index = home(of: key, mask)
        while true {
            let found = Int(table[index])
            if found < 0 || frames[found].key == key { return index }
            index = (index &+ 1) & mask
        }
    }

    @inline(__always)
    private func home(of key: UInt64, _ mask: Int) -> Int {
        Int(truncatingIfNeeded: (key &* 0x9E37_79B9_7F4A_7C15) >> 32) & mask
    }

    private func grow() {
        let old = table
        table = ContiguousArray(repeating: -1, count: old.count * 2)
        for index in old where index >= 0 { table[place(of: frames[Int(index)].key)] = index }
    }

    /// Takes a key out and moves up those behind it.
    private func remove(_ key: UInt64) {
        let mask = table.count - 1
        var hole = place(of: key)
        table[hole] = -1
        count -= 1
        var index = (hole + 1) & mask
        while table[index] >= 0 {
            let wanted = home(of: frames[Int(table[index])].key, mask)
            // Whether it may stand at the hole: its home is not behind it.
            if (index &- wanted) & mask >= (index &- hole) & mask {
                table[hole] = table[index]
                table[index] = -1
                hole = index
            }
            index = (index + 1) & mask
        }
    }

    /// What must hold, for tests.
    var isSound: Bool {
        let used = frames.indices.filter { frames[$0].key != Self.none }
        return used.count == count && used.allSatisfy { table[place(of: frames[$0].key)] == Int32($0) }
            && table.count { $0 >= 0 } == count && frames.reduce(0) { $0 + $1.capacity } == bytesUsed
    }
}
