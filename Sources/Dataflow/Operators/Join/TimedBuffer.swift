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

    /// The smallest block: such that values behind the times are aligned.
    @inlinable static var capacityMin: Int { max(4, MemoryLayout<Value>.alignment / 8) }

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
    mutating func insert(_ value: Value, at time: Int64, limit: Int64) {
        if end == capacity { makeRoom(limit: limit) }
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
    mutating func makeRoom(limit: Int64) {
        dropBefore(limit)
        let (count, from) = (self.count, Int(head))
        guard let memory else {
            allocate(Self.capacityMin)
            return
        }
        let (oldTimes, oldValues) = (times(memory), values(memory))
        if count &* 2 <= Int(capacity) {
            guard from > 0 else { return }
            oldTimes.update(from: oldTimes + from, count: count)
            oldValues.moveInitialize(from: oldValues + from, count: count)
        } else {
            precondition(capacity < 1 << 30, "more than a billion records of one key wait to be joined")
            allocate(Int(capacity) &* 2)
            guard let wider = self.memory else { return }  // just allocated
            times(wider).update(from: oldTimes + from, count: count)
            values(wider).moveInitialize(from: oldValues + from, count: count)
            memory.deallocate()
        }
        head = 0
        end = Int32(truncatingIfNeeded: count)
    }

    @inlinable
    mutating func allocate(_ capacity: Int) {
        self.capacity = Int32(truncatingIfNeeded: capacity)
        memory = .allocate(
            byteCount: capacity &* (8 &+ MemoryLayout<Value>.stride), alignment: max(8, MemoryLayout<Value>.alignment))
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
    mutating func release() {
        guard let memory else { return }
        (values(memory) + Int(head)).deinitialize(count: count)
        memory.deallocate()
        self = TimedBuffer()
    }
}
