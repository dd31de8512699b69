// SPDX-License-Identifier: Apache-2.0
//  Timers by key, ordered by time.

import ThalwegBase

/// The timers of one operator in one subtask and one time domain: at most one per (slot, time).
///
/// A set says which timers exist, those of one slot are chained, and a binary heap orders them all; deleting takes a
/// timer out of the set and leaves a dead entry in the heap, which is skipped when its time comes. Ties fire in slot
/// order, so runs are repeatable.
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

    /// The names of the two queues of an operator in snapshots.
    public static let eventName = "$timers.event"
    public static let processingName = "$timers.processing"

    private var heap: [Timer] = []
    let live = KeyTable<Timer>()
    /// The timers of each slot.
    var heads = PagedColumn<Head>(initial: Head())
    /// By place in `live`: the chain that the timer stands in.
    var links = PagedColumn<Link>(initial: Link())

    struct Head {
        var first: Int32 = -1
        var count: Int32 = 0
    }

    struct Link {
        var next: Int32 = -1
        var previous: Int32 = -1
    }

    public init() {}

    /// The number of timers that will fire.
    public var count: Int { live.count }

    /// The earliest time for which something may be due; `Int64.max` when nothing is.
    public private(set) var nextTime: Int64 = .max

    /// How many timers a slot has.
    public func count(of slot: Int) -> Int { slot < heads.capacity ? Int(heads.address(slot).pointee.count) : 0 }

    /// The times of a slot's timers, in no order.
    func times(of slot: Int) -> [Int64] {
        guard slot < heads.capacity else { return [] }
        var times: [Int64] = []
        var entry = heads.address(slot).pointee.first
        while entry >= 0 {
            times.append(live.key(at: Int(entry)).time)
            entry = links.address(Int(entry)).pointee.next
        }
        return times
    }

    /// Adds a timer; a second one for the same slot and time changes nothing.
    public func register(time: Int64, slot: Int) {
        let timer = Timer(time: time, slot: Int32(truncatingIfNeeded: slot))
        let (entry, isNew) = live.findOrInsert(timer, hash: timer.hash)
        guard isNew else { return }
        if slot >= heads.capacity { heads.reserve(slot + 1) }
        if entry >= links.capacity { links.reserve(entry + 1) }
        link(entry, to: slot)
        push(timer)
    }

    /// Removes a timer if there is one.
    public func delete(time: Int64, slot: Int) {
        let timer = Timer(time: time, slot: Int32(truncatingIfNeeded: slot))
        guard let entry = live.find(timer, hash: timer.hash) else { return }
        remove(entry, of: slot)
        // Dead entries must not outnumber the living without bound.
        if heap.count > 64 && heap.count > 4 * live.count { rebuild() }
    }

    /// Takes the earliest timer at or before `time`.
    public func popDue(_ time: Int64) -> Timer? {
        while let first = heap.first, first.time <= time {
            popFirst()
            if let entry = live.find(first, hash: first.hash) {
                remove(entry, of: Int(first.slot))
                return first
            }
        }
        return nil
    }

    /// Removes every timer of a slot.
    public func deleteAll(of slot: Int) {
        for time in times(of: slot) { delete(time: time, slot: slot) }
    }

    // MARK: Chains

    private func link(_ entry: Int, to slot: Int) {
        let head = writableHead(slot)
        let next = head.pointee.first
        writableLink(entry).pointee = Link(next: next, previous: -1)
        if next >= 0 { writableLink(Int(next)).pointee.previous = Int32(truncatingIfNeeded: entry) }
        head.pointee.first = Int32(truncatingIfNeeded: entry)
        head.pointee.count += 1
    }

    private func remove(_ entry: Int, of slot: Int) {
        let link = links.address(entry).pointee
        let head = writableHead(slot)
        if link.previous >= 0 {
            writableLink(Int(link.previous)).pointee.next = link.next
        } else {
            head.pointee.first = link.next
        }
        if link.next >= 0 { writableLink(Int(link.next)).pointee.previous = link.previous }
        head.pointee.count -= 1
        live.remove(slot: entry)
    }

    private func writableHead(_ slot: Int) -> UnsafeMutablePointer<Head> {
        if heads.isShared { heads.thaw(page: slot >> 10) }
        return heads.address(slot)
    }

    private func writableLink(_ entry: Int) -> UnsafeMutablePointer<Link> {
        if links.isShared { links.thaw(page: entry >> 10) }
        return links.address(entry)
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
