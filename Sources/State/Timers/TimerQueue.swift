// SPDX-License-Identifier: Apache-2.0
//  Timers by key, ordered by time.

import ThalwegBase

/// The timers of one operator in one subtask and one time domain: at most one per (slot, time).
///
/// A set says which timers exist, a binary heap orders them; deleting takes a timer out of the set and leaves a dead
/// entry in the heap, which is skipped when its time comes. Ties fire in slot order, so runs are repeatable.
public final class TimerQueue {
    /// A timer: when, and for the key in which slot.
    @frozen
    public struct Timer: Hashable, Comparable, Sendable {
        public var time: Int64
        public var slot: Int32

        @inlinable
        public init(time: Int64, slot: Int32) {
            self.time = time
            self.slot = slot
        }

        @inlinable
        public static func < (left: Timer, right: Timer) -> Bool {
            left.time != right.time ? left.time < right.time : left.slot < right.slot
        }

        @inlinable
        var hash: UInt64 {
            StableHash.combine(UInt64(bitPattern: time), UInt64(truncatingIfNeeded: slot))
        }
    }

    private var heap: [Timer] = []
    let live = KeyTable<Timer>()
    private var pending = PagedColumn<Int32>(initial: 0)

    public init() {}

    /// The number of timers that will fire.
    public var count: Int { live.count }

    /// The earliest time for which something may be due; `Int64.max` when nothing is.
    public private(set) var nextTime: Int64 = .max

    /// How many timers a slot has.
    public func count(of slot: Int) -> Int { slot < pending.capacity ? Int(pending.address(slot).pointee) : 0 }

    /// Adds a timer; a second one for the same slot and time changes nothing.
    public func register(time: Int64, slot: Int) {
        let timer = Timer(time: time, slot: Int32(truncatingIfNeeded: slot))
        guard live.findOrInsert(timer, hash: timer.hash).isNew else { return }
        if slot >= pending.capacity { pending.reserve(slot + 1) }
        pending.address(slot).pointee += 1
        push(timer)
    }

    /// Removes a timer if there is one.
    public func delete(time: Int64, slot: Int) {
        let timer = Timer(time: time, slot: Int32(truncatingIfNeeded: slot))
        guard let entry = live.find(timer, hash: timer.hash) else { return }
        live.remove(slot: entry)
        pending.address(slot).pointee -= 1
        // Dead entries must not outnumber the living without bound.
        if heap.count > 64 && heap.count > 4 * live.count { rebuild() }
    }

    /// Takes the earliest timer at or before `time`.
    public func popDue(_ time: Int64) -> Timer? {
        while let first = heap.first, first.time <= time {
            popFirst()
            if let entry = live.find(first, hash: first.hash) {
                live.remove(slot: entry)
                pending.address(Int(first.slot)).pointee -= 1
                return first
            }
        }
        return nil
    }

    /// Removes every timer of a slot (linear in the number of timers).
    public func deleteAll(of slot: Int) {
        guard count(of: slot) > 0 else { return }
        for timer in heap where timer.slot == Int32(truncatingIfNeeded: slot) { delete(time: timer.time, slot: slot) }
    }

    private func rebuild() {
        heap.removeAll { live.find($0, hash: $0.hash) == nil }
        // Duplicates of one timer (deleted, then registered again) collapse.
        heap.sort()
        var last: Timer?
        heap.removeAll { timer in
            defer { last = timer }
            return timer == last
        }
        nextTime = heap.first?.time ?? .max
    }

    private func push(_ timer: Timer) {
        heap.append(timer)
        var child = heap.count - 1
        while child > 0 {
            let parent = (child - 1) / 2
            if heap[parent] <= timer { break }
            heap[child] = heap[parent]
            child = parent
        }
        heap[child] = timer
        nextTime = heap[0].time
    }

    private func popFirst() {
        let last = heap.removeLast()
        guard !heap.isEmpty else {
            nextTime = .max
            return
        }
        let count = heap.count
        var parent = 0
        while true {
            var child = 2 * parent + 1
            if child >= count { break }
            if child + 1 < count && heap[child + 1] < heap[child] { child += 1 }
            if last <= heap[child] { break }
            heap[parent] = heap[child]
            parent = child
        }
        heap[parent] = last
        nextTime = heap[0].time
    }
}
