// SPDX-License-Identifier: Apache-2.0
//  Records of one key and one side of a join, in order of time.

import ThalwegBase

/// Values with their timestamps, ordered by time and, at equal times, by arrival.
///
/// One block of memory holds the times and behind them the values. Records go from the front as time passes and come
/// near the end, so both cost a constant amount of work; a record that comes out of order moves those behind it.
/// Not a value in Swift's sense: a copy shares the memory, and the owner calls `release()`.
@frozen
public struct TimedBuffer<Value> {
    @usableFromInline var memory: UnsafeMutableRawPointer?
    /// The first record.
    @usableFromInline var head: Int32 = 0
    /// One past the last record.
    @usableFromInline var end: Int32 = 0
    @usableFromInline var capacity: Int32 = 0

    @inlinable
    init() {}

    @inlinable var isEmpty: Bool { head == end }
    @inlinable var count: Int { Int(end &- head) }

    /// The timestamps; valid for `head..<end`.
    @inlinable @inline(__always)
    func times(_ memory: UnsafeMutableRawPointer) -> UnsafeMutablePointer<Int64> {
        memory.assumingMemoryBound(to: Int64.self)
    }

    /// The values; initialised for `head..<end`.
    @inlinable @inline(__always)
    func values(_ memory: UnsafeMutableRawPointer) -> UnsafeMutablePointer<Value> {
        (memory + Int(capacity) &* 8).assumingMemoryBound(to: Value.self)
    }

    /// The time of the last record; the buffer is not empty.
    @inlinable var lastTime: Int64 { memory.map { times($0)[Int(end) &- 1] } ?? .min }

    /// Adds a record in its place; those before `limit` may go to make room.
    @inlinable @inline(__always)
    mutating func insert(_ value: Value, at time: Int64, limit: Int64, _ spare: SpareBlocks<Value>) {
        if end == capacity { makeRoom(limit: limit, spare) }
        guard let memory else { return }  // there is memory: room was made
        let (times, values) = (times(memory), values(memory))
        var place = Int(end)
        if end > head && times[place &- 1] > time { place = openGap(time, memory) }
        times[place] = time
        (values + place).initialize(to: value)
        end &+= 1
    }

    /// Moves the records later than `time` one place back.
    @inlinable @inline(never)
    func openGap(_ time: Int64, _ memory: UnsafeMutableRawPointer) -> Int {
        let (times, values) = (times(memory), values(memory))
        var place = Int(end)
        while place > Int(head) && times[place &- 1] > time { place &-= 1 }
        (times + place + 1).update(from: times + place, count: Int(end) &- place)
        (values + place + 1).moveInitialize(from: values + place, count: Int(end) &- place)
        return place
    }

    /// Makes room for one record more.
    @inlinable @inline(never)
    mutating func makeRoom(limit: Int64, _ spare: SpareBlocks<Value>) {
        dropBefore(limit)
        let (count, from) = (self.count, Int(head))
        guard let memory else {
            memory = spare.take()
            capacity = Int32(truncatingIfNeeded: SpareBlocks<Value>.capacity)
            return
        }
        let (oldTimes, oldValues) = (times(memory), values(memory))
        if count &* 2 <= Int(capacity) {
            guard from > 0 else { return }
            oldTimes.update(from: oldTimes + from, count: count)
            oldValues.moveInitialize(from: oldValues + from, count: count)
        } else {
            precondition(capacity < 1 << 30, "more than a billion records of one key wait to be joined")
            let wider = SpareBlocks<Value>.allocate(Int(capacity) &* 2)
            let old = Int(capacity)
            capacity = capacity &* 2
            times(wider).update(from: oldTimes + from, count: count)
            values(wider).moveInitialize(from: oldValues + from, count: count)
            self.memory = wider
            spare.give(memory, capacity: old)
        }
        head = 0
        end = Int32(truncatingIfNeeded: count)
    }

    /// Forgets the records before `limit`.
    @inlinable @inline(__always)
    mutating func dropBefore(_ limit: Int64) {
        guard head < end, let memory else { return }
        let times = times(memory)
        if times[Int(head)] >= limit { return }
        var first = Int(head)
        let end = Int(self.end)
        repeat { first &+= 1 } while first < end && times[first] < limit
        (values(memory) + Int(head)).deinitialize(count: first &- Int(head))
        if first == end {
            head = 0
            self.end = 0
        } else {
            head = Int32(truncatingIfNeeded: first)
        }
    }

    /// The first record at or after `time`, as a place in `head...end`.
    @inlinable @inline(__always)
    func firstPlace(from time: Int64, _ times: UnsafeMutablePointer<Int64>) -> Int {
        var (low, high) = (Int(head), Int(end))
        while high &- low > 8 {
            let middle = (low &+ high) / 2
            if times[middle] < time { low = middle &+ 1 } else { high = middle }
        }
        while low < high && times[low] < time { low &+= 1 }
        return low
    }

    /// Destroys the records and gives back the memory.
    @inlinable
    mutating func release(_ spare: SpareBlocks<Value>) {
        guard let memory else { return }
        (values(memory) + Int(head)).deinitialize(count: count)
        spare.give(memory, capacity: Int(capacity))
        self = TimedBuffer()
    }
}

/// Blocks of the smallest size that keys which fell silent have left behind, chained through their first word.
public final class SpareBlocks<Value> {
    // Used by one task alone.
    @exclusivity(unchecked) @usableFromInline var first: UnsafeMutableRawPointer?
    @exclusivity(unchecked) @usableFromInline var count = 0

    /// The records in the smallest block: such that the values behind the times are aligned.
    @inlinable static var capacity: Int { max(4, MemoryLayout<Value>.alignment / 8) }
    /// The most blocks kept.
    @usableFromInline let countMax: Int

    @inlinable
    init(countMax: Int = 16_384) { self.countMax = countMax }

    deinit {
        while let block = first {
            first = block.load(as: UnsafeMutableRawPointer?.self)
            block.deallocate()
        }
    }

    @inlinable
    static func allocate(_ capacity: Int) -> UnsafeMutableRawPointer {
        .allocate(
            byteCount: capacity &* (8 &+ MemoryLayout<Value>.stride), alignment: max(8, MemoryLayout<Value>.alignment))
    }

    /// A block of the smallest size.
    @inlinable
    func take() -> UnsafeMutableRawPointer {
        guard let block = first else { return Self.allocate(Self.capacity) }
        first = block.load(as: UnsafeMutableRawPointer?.self)
        count &-= 1
        return block
    }

    /// Takes a block back whose values are gone.
    @inlinable
    func give(_ block: UnsafeMutableRawPointer, capacity: Int) {
        if capacity == Self.capacity && count < countMax {
            block.storeBytes(of: first, as: UnsafeMutableRawPointer?.self)
            first = block
            count &+= 1
        } else {
            block.deallocate()
        }
    }
}
