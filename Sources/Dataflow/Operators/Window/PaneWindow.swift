// SPDX-License-Identifier: Apache-2.0
//  Tumbling and sliding windows with aggregates, shared by pane.

import ThalwegBase
import ThalwegData
import ThalwegOperator
import ThalwegState

/// The partial aggregates of one pane: one accumulator per key.
public final class Pane<Key: Hashable, Accumulator> {
    // Used by one task alone.
    @exclusivity(unchecked) @usableFromInline var start: Int64 = 0
    @usableFromInline let table = KeyTable<Key>()
    @exclusivity(unchecked) @usableFromInline var accumulators: PagedColumn<Accumulator>

    @inlinable
    init(initial: Accumulator) { accumulators = PagedColumn(initial: initial) }

    /// Forgets everything but keeps the memory for the next pane.
    @inlinable
    func reset() {
        for slot in 0..<table.slotLimit { accumulators.reset(slot) }
        table.removeAll()
    }
}

/// Aggregates a keyed stream in windows of fixed size.
///
/// A record is added once, to its pane; a window's result merges its panes. The panes are the state: no timer per key, as
/// all keys of a window fire at the same moment.
public final class PaneWindowOperator<Key, Input, Aggregate, Output>: OneInputOperator
where Key: Hashable & Codable & Sendable, Aggregate: AggregateFunction, Aggregate.Input == Input {
    public let collector: Collector<Output>
    @usableFromInline typealias KeyPane = Pane<Key, Aggregate.Accumulator>
    @usableFromInline let key: (Input) -> Key
    @usableFromInline let aggregate: Aggregate
    @usableFromInline let result: (Key, Aggregate.Output, TimeWindow) throws -> Output
    @usableFromInline let grid: WindowGrid
    @usableFromInline let late: LateHandling<Input>
    @usableFromInline let clock: RecordClock
    @usableFromInline let service: any ProcessingTimeService
    @usableFromInline let isProcessingTime: Bool
    @usableFromInline let hasher: KeyHasher<Key>
    @usableFromInline let keys: UnsafeMutablePointer<Key>
    @usableFromInline let hashes: UnsafeMutablePointer<UInt64>
    @usableFromInline let slots: UnsafeMutablePointer<Int32>
    // Used by one task alone.
    /// Panes with data, by start.
    @exclusivity(unchecked) @usableFromInline var panes: [KeyPane] = []
    @exclusivity(unchecked) @usableFromInline var spare: [KeyPane] = []
    /// Windows that end at or before `time + 1` have fired.
    @exclusivity(unchecked) @usableFromInline var time = Int64.min
    @exclusivity(unchecked) @usableFromInline var merged: KeyPane?
    @exclusivity(unchecked) @usableFromInline var wakeAt = Int64.max

    @inlinable
    public init(
        _ grid: WindowGrid, isProcessingTime: Bool, aggregate: Aggregate, key: @escaping (Input) -> Key,
        late: LateHandling<Input>, in context: OperatorContext,
        result: @escaping (Key, Aggregate.Output, TimeWindow) throws -> Output
    ) throws {
        self.grid = grid
        self.isProcessingTime = isProcessingTime
        self.aggregate = aggregate
        self.key = key
        self.late = late
        self.result = result
        hasher = try KeyHasher()
        collector = context.mainCollector()
        clock = context.recordClock
        service = context.processingTime
        keys = .allocate(capacity: context.batchCapacity)
        hashes = .allocate(capacity: context.batchCapacity)
        slots = .allocate(capacity: context.batchCapacity)
    }

    deinit {
        keys.deallocate()
        hashes.deallocate()
        slots.deallocate()
    }

    // MARK: Adding

    @inlinable
    public func process(_ batch: Batch<Input>) throws {
        let (rows, times, count, keys, hashes) = (batch.rows, batch.times, batch.count, self.keys, self.hashes)
        let (key, hasher) = (self.key, self.hasher)
        if isProcessingTime {
            let now = service.now
            for index in 0..<count { times[index] = now }
            scheduleProcessingTime(now)
        } else if !batch.isTimed {
            throw LateHandling<Input>.untimed
        }
        for index in 0..<count {
            let value = (rows + index).lend(key)
            hashes[index] = hasher.hash(value)
            (keys + index).initialize(to: value)
        }
        defer { keys.deinitialize(count: count) }
        var index = 0
        while index < count {
            // A run of records of one pane.
            let start = grid.paneStart(times[index])
            let end = start &+ grid.pane
            let first = index
            repeat { index &+= 1 } while index < count && times[index] >= start && times[index] < end
            try add(batch, first..<index, pane: start)
        }
    }

    @inlinable @inline(__always)
    func add(_ batch: Batch<Input>, _ range: Range<Int>, pane start: Int64) throws {
        let (firstEnd, lastEnd) = (grid.firstEnd(pane: start), grid.lastEnd(pane: start))
        if time != .min {
            if lastEnd &- 1 &+ late.lateness <= time {
                // Every window of the pane has closed.
                for index in range { late.handle(batch.rows[index], at: batch.times[index]) }
                return
            }
            if firstEnd &- 1 &+ late.lateness <= time {
                let closed = (time &- late.lateness &+ 1 &- firstEnd) / grid.slide &+ 1
                late.countPartial(Int(closed) * range.count)
            }
        }
        if firstEnd > lastEnd || lastEnd <= start { return }  // between windows (slide > size): in none
        let pane = pane(start)
        pane.table.resolve(
            keys + range.lowerBound, hashes: hashes + range.lowerBound, count: range.count,
            into: slots, onInsert: { _ in })
        if pane.table.slotLimit > pane.accumulators.capacity { pane.accumulators.reserve(pane.table.slotLimit) }
        let (rows, slots, aggregate) = (batch.rows + range.lowerBound, self.slots, self.aggregate)
        for index in 0..<range.count {
            aggregate.add(rows[index], to: &pane.accumulators.address(Int(slots[index])).pointee)
        }
        if time != .min && firstEnd &- 1 <= time { try fireAgain(range, firstEnd: firstEnd, lastEnd: lastEnd) }
    }

    /// The pane that starts at a moment, made when it is new.
    @inlinable
    func pane(_ start: Int64) -> KeyPane {
        if let last = panes.last, last.start == start { return last }
        var index = panes.count
        while index > 0 && panes[index - 1].start >= start {
            index -= 1
            if panes[index].start == start { return panes[index] }
        }
        let pane = spare.popLast() ?? KeyPane(initial: aggregate.makeAccumulator())
        pane.start = start
        panes.insert(pane, at: index)
        return pane
    }

    // MARK: Firing

    @inlinable
    public func advance(to watermark: Watermark) throws {
        if isProcessingTime {
            // At the end of the input what is open fires, so that a bounded run loses nothing.
            if watermark == .end { try advance(to: .max) }
        } else {
            try advance(to: watermark.time.milliseconds)
        }
    }

    /// Fires the windows that end at or before `newTime + 1` and drops what nobody needs any more.
    @inlinable
    func advance(to newTime: Int64) throws {
        if let first = panes.first, max(grid.firstEnd(pane: first.start), time == .min ? .min : time &+ 2) &- 1 <= newTime {
            try fireWindows(upTo: newTime)
        }
        time = max(time, newTime)
        dropClosed()
    }

    @inlinable @inline(never)
    func fireWindows(upTo newTime: Int64) throws {
        var end = Int64.min
        var index = 0
        while index < panes.count {
            let start = panes[index].start
            var next = grid.firstEnd(pane: start)
            // Windows that ended at or before time + 1 have fired, those up to `end` in this call.
            let fired = max(end, time == .min ? .min : time &+ 1)
            if next <= fired { next = next &+ ((fired &- next) / grid.slide &+ 1) &* grid.slide }
            if next > grid.lastEnd(pane: start) {
                index += 1
                continue
            }
            if next &- 1 > newTime { return }
            try fire(windowEnd: next)
            end = next
        }
    }

    @inlinable
    func fire(windowEnd end: Int64) throws {
        let start = end &- grid.size
        let window = TimeWindow(start, end)
        clock.time = end &- 1
        var only: KeyPane?
        var several = false
        for pane in panes where pane.start >= start && pane.start < end {
            if only == nil { only = pane } else { several = true }
        }
        guard let only else { return }
        let source = several ? mergePanes(from: start, to: end) : only
        let (table, aggregate, result, collector) = (source.table, aggregate, result, collector)
        for slot in 0..<table.slotLimit {
            let value = aggregate.result(source.accumulators.address(slot).pointee)
            collector.emit(try result(table.key(at: slot), value, window), at: end &- 1)
        }
    }

    /// Merges the panes of a window into one, oldest first.
    @inlinable
    func mergePanes(from start: Int64, to end: Int64) -> KeyPane {
        let target = merged ?? KeyPane(initial: aggregate.makeAccumulator())
        merged = target
        target.reset()
        for pane in panes where pane.start >= start && pane.start < end {
            let table = pane.table
            for slot in 0..<table.slotLimit {
                let (to, isNew) = target.table.findOrInsert(table.key(at: slot), hash: table.hash(at: slot))
                if to >= target.accumulators.capacity { target.accumulators.reserve(to + 1) }
                let from = pane.accumulators.address(slot)
                if isNew {
                    target.accumulators.address(to).pointee = from.pointee
                } else {
                    aggregate.merge(from.pointee, into: &target.accumulators.address(to).pointee)
                }
            }
        }
        return target
    }

    /// Late records that were still accepted: each fires its closed windows again with the new result.
    @inlinable @inline(never)
    func fireAgain(_ range: Range<Int>, firstEnd: Int64, lastEnd: Int64) throws {
        for index in range {
            var end = firstEnd
            while end <= lastEnd && end &- 1 <= time {
                if end &- 1 &+ late.lateness > time {
                    try fire(windowEnd: end, key: keys[index], hash: hashes[index])
                }
                end = end &+ grid.slide
            }
        }
    }

    @inlinable
    func fire(windowEnd end: Int64, key: Key, hash: UInt64) throws {
        var total: Aggregate.Accumulator?
        for pane in panes where pane.start >= end &- grid.size && pane.start < end {
            guard let slot = pane.table.find(key, hash: hash) else { continue }
            let part = pane.accumulators.address(slot).pointee
            if total == nil { total = part } else { aggregate.merge(part, into: &total!) }  // set: not nil here
        }
        guard let total else { return }
        collector.emit(
            try result(key, aggregate.result(total), TimeWindow(end &- grid.size, end)), at: end &- 1)
    }

    @inlinable
    func dropClosed() {
        while let first = panes.first, grid.lastEnd(pane: first.start) &- 1 &+ late.lateness <= time || time == .max,
            !panes.isEmpty
        {
            panes.removeFirst()
            first.reset()
            if spare.count < 4 { spare.append(first) }
        }
    }

    // MARK: Processing time

    @inlinable
    func scheduleProcessingTime(_ now: Int64) {
        let end = grid.firstEnd(pane: grid.paneStart(now))
        if end < wakeAt { wake(at: end) }
    }

    @usableFromInline
    func wake(at moment: Int64) {
        wakeAt = moment
        service.schedule(at: moment) { [weak self] in
            guard let self, self.time != .max else { return }
            self.wakeAt = .max
            try self.advance(to: self.service.now &- 1)
            try self.collector.flush()
            if let first = self.panes.first { self.wake(at: max(moment + self.grid.slide, first.start)) }
        }
    }

    @inlinable
    public func flushSides() throws { try late.flush() }
}
