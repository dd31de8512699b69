// SPDX-License-Identifier: Apache-2.0
//  Tumbling and sliding windows with aggregates, shared by pane.

import ThalwegBase
import ThalwegData
import ThalwegOperator
import ThalwegState
import ThalwegStorage

/// Aggregates a keyed stream in windows of fixed size.
///
/// A record is added once, to its pane; a window's result merges its panes. The panes are the state: no timer per key,
/// as all keys of a window fire at the same moment.
public final class PaneWindowOperator<Key, Input, Aggregate, Output>: OneInputOperator
where Key: Hashable & Codable & Sendable, Aggregate: AggregateFunction, Aggregate.Input == Input {
    public let collector: Collector<Output>
    @usableFromInline typealias KeyPane = Pane<Key, Aggregate.Accumulator>
    @usableFromInline let key: (Input) -> Key
    @usableFromInline let aggregate: Aggregate
    @usableFromInline let emit: (Key, Aggregate.Output, TimeWindow, Collector<Output>) throws -> Void
    @usableFromInline let grid: WindowGrid
    @usableFromInline let late: LateHandling<Input>
    /// How long closed windows wait for late records; on processing time nothing is late.
    @usableFromInline let lateness: Int64
    @usableFromInline let clock: RecordClock
    @usableFromInline let service: any ProcessingTimeService
    @usableFromInline let isProcessingTime: Bool
    @usableFromInline let hasher: KeyHasher<Key>
    @usableFromInline let stored: StoredTables<Key, Aggregate.Accumulator>
    @usableFromInline let storedTime: StoredTime
    @usableFromInline let freezing = PageFreezing()
    /// Sends panes to rest; nil: all stay in memory.
    @usableFromInline let tier: PaneTier<Key, Aggregate.Accumulator>?
    @usableFromInline let keys: UnsafeMutablePointer<Key>
    @usableFromInline let hashes: UnsafeMutablePointer<UInt64>
    @usableFromInline let slots: UnsafeMutablePointer<Int32>
    // Used by one task alone.
    /// Panes with data, by start.
    @exclusivity(unchecked) @usableFromInline var panes: [KeyPane] = []
    @exclusivity(unchecked) @usableFromInline var spare: [KeyPane] = []
    /// The pane used last, if it is still in use.
    @exclusivity(unchecked) @usableFromInline var recent: KeyPane?
    /// Windows that end at or before `time + 1` have fired.
    @exclusivity(unchecked) @usableFromInline var time = Int64.min
    @exclusivity(unchecked) @usableFromInline var merged: KeyPane?
    @exclusivity(unchecked) @usableFromInline var wakeAt = Int64.max

    /// - Parameter result: makes the one result of a window.
    @inlinable
    public convenience init(
        _ grid: WindowGrid, isProcessingTime: Bool, aggregate: Aggregate, key: @escaping (Input) -> Key,
        late: LateHandling<Input>, in context: OperatorContext,
        result: @escaping (Key, Aggregate.Output, TimeWindow) throws -> Output
    ) throws {
        try self.init(
            grid, isProcessingTime: isProcessingTime, aggregate: aggregate, key: key, late: late, in: context,
            emit: { key, value, window, out in out.emit(try result(key, value, window)) })
    }

    /// - Parameter emit: emits the results of a window; their timestamp is its last millisecond.
    @inlinable
    public init(
        _ grid: WindowGrid, isProcessingTime: Bool, aggregate: Aggregate, key: @escaping (Input) -> Key,
        late: LateHandling<Input>, in context: OperatorContext,
        emit: @escaping (Key, Aggregate.Output, TimeWindow, Collector<Output>) throws -> Void
    ) throws {
        self.grid = grid
        self.isProcessingTime = isProcessingTime
        self.aggregate = aggregate
        self.key = key
        self.late = late
        self.emit = emit
        lateness = isProcessingTime ? 0 : late.lateness
        stored = try StoredTables(
            window: StoredWindow(
                .grid(size: grid.size, slide: grid.slide, offset: grid.offset, isInPanes: true),
                isProcessingTime: isProcessingTime, lateness: isProcessingTime ? 0 : late.lateness))
        hasher = stored.hasher
        storedTime = try StoredTime(context)
        tier = PaneTier(context, stored)
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
        if let ahead = storedTime.ahead(of: time) {
            try add(batch, ahead)
            return try makeRoom(after: count)
        }
        var index = 0
        while index < count {
            // A run of records of one pane.
            let start = grid.paneStart(times[index])
            let end = start &+ grid.pane
            let first = index
            repeat { index &+= 1 } while index < count && times[index] >= start && times[index] < end
            try add(batch, first..<index, pane: start)
        }
        try makeRoom(after: count)
    }

    /// Adds records one by one, each at the time that its key group had come to before a restore.
    @inlinable @inline(never)
    func add(_ batch: Batch<Input>, _ ahead: KeyGroupTimes) throws {
        let ownTime = time
        defer { time = ownTime }
        for index in 0..<batch.count {
            time = max(ownTime, ahead.time(hash: hashes[index]))
            try add(batch, index..<index &+ 1, pane: grid.paneStart(batch.times[index]))
        }
    }

    @inlinable @inline(__always)
    func add(_ batch: Batch<Input>, _ range: Range<Int>, pane start: Int64) throws {
        let moment = batch.times[range.lowerBound]
        if moment < -TimestampRange.limit || moment > TimestampRange.limit { throw TimestampRange.error(moment) }
        let (firstEnd, lastEnd) = (grid.firstEnd(pane: start), grid.lastEnd(pane: start))
        if firstEnd > lastEnd { return passBetween(batch, range) }
        if time != .min {
            if lastEnd &- 1 &+ lateness <= time {
                // Every window of the pane has closed.
                for index in range { late.handle(batch.rows[index], at: batch.times[index]) }
                return
            }
            if firstEnd &- 1 &+ lateness <= time {
                let closed = (time &- lateness &+ 1 &- firstEnd) / grid.slide &+ 1
                late.countPartial(Int(closed) * range.count)
            }
        }
        let pane = pane(start)
        pane.table.resolve(
            keys + range.lowerBound, hashes: hashes + range.lowerBound, count: range.count,
            into: slots, onInsert: { _ in })
        if pane.table.slotLimit > pane.accumulators.capacity { widen(pane) }
        pane.touch()
        if pane.accumulators.isShared { pane.thaw(slots, count: range.count) }
        let (rows, slots, aggregate) = (batch.rows + range.lowerBound, self.slots, self.aggregate)
        let hasFired = time != .min && firstEnd &- 1 <= time
        for index in 0..<range.count {
            aggregate.add(rows[index], to: &pane.accumulators.address(Int(slots[index])).pointee)
            // A window that has fired fires again with every record.
            if hasFired { try fireAgain(range.lowerBound &+ index, firstEnd: firstEnd, lastEnd: lastEnd) }
        }
    }

    @inlinable @inline(never)
    func widen(_ pane: KeyPane) {
        pane.accumulators.reserve(pane.table.slotLimit)
        tier?.hasGrown = true
    }

    /// Records between two windows (slide > size) are in none: late by their own time, or left out.
    @inlinable @inline(never)
    func passBetween(_ batch: Batch<Input>, _ range: Range<Int>) {
        for index in range {
            if time != .min && batch.times[index] &+ lateness <= time {
                late.handle(batch.rows[index], at: batch.times[index])
            } else {
                late.countOutside(1)
            }
        }
    }

    /// The pane that starts at a moment, made when it is new.
    @inlinable
    func pane(_ start: Int64) -> KeyPane {
        if let recent, recent.start == start { return recent }
        // Producers may be far apart in event time, so there can be many panes: search, do not scan.
        var (low, high) = (0, panes.count)
        while low < high {
            let middle = (low &+ high) / 2
            if panes[middle].start < start { low = middle &+ 1 } else { high = middle }
        }
        if low < panes.count && panes[low].start == start {
            recent = panes[low]
            return panes[low]
        }
        let pane = spare.popLast() ?? KeyPane(initial: aggregate.makeAccumulator())
        pane.start = start
        panes.insert(pane, at: low)
        tier?.hasGrown = true
        recent = pane
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
        if newTime <= time { return }
        // Windows that end at or before time + 1 have fired, so the next ends at time + 2 at the earliest.
        let earliest = time == .min ? .min : time &+ 2
        if let first = panes.first, max(grid.firstEnd(pane: first.start), earliest) &- 1 <= newTime {
            while let end = nextEnd(), end &- 1 <= newTime {
                try fire(windowEnd: end)
                time = end &- 1
                if let tier { try closeEarly(tier) }
            }
        }
        time = newTime
        try dropClosed()
    }

    /// The end of the earliest window that has records and has not fired.
    @inlinable @inline(never)
    func nextEnd() -> Int64? {
        // Windows that end at or before time + 1 have fired.
        let fired = time == .min ? .min : time &+ 1
        var index = place(of: fired == .min ? .min : fired &- grid.size)
        while index < panes.count {
            let start = panes[index].start
            var end = grid.firstEnd(pane: start)
            if end <= fired { end = end &+ ((fired &- end) / grid.slide &+ 1) &* grid.slide }
            if end <= grid.lastEnd(pane: start) { return end }
            index &+= 1
        }
        return nil
    }

    /// The place of the first pane that starts at or after a moment.
    @inlinable
    func place(of start: Int64) -> Int {
        var (low, high) = (0, panes.count)
        while low < high {
            let middle = (low &+ high) / 2
            if panes[middle].start < start { low = middle &+ 1 } else { high = middle }
        }
        return low
    }

    @inlinable
    func fire(windowEnd end: Int64) throws {
        let start = end &- grid.size
        let window = TimeWindow(start, end)
        clock.time = end &- 1
        let (first, last) = (place(of: start), place(of: end))
        if first == last { return }
        if let tier, firesFromFiles(first..<last, tier) {
            try loadShared(from: start, to: end, tier)
            return try fireFromFiles(first..<last, window, tier)
        }
        let source = last &- first > 1 ? mergePanes(first..<last) : panes[first]
        let (table, aggregate, emit, collector) = (source.table, aggregate, emit, collector)
        let ahead = storedTime.ahead(of: time)
        for slot in 0..<table.slotLimit {
            if let ahead, end &- 1 <= ahead.time(hash: table.hash(at: slot)) { continue }
            let value = aggregate.result(source.accumulators.address(slot).pointee)
            try emit(table.key(at: slot), value, window, collector)
        }
    }

    /// Merges the panes of a window into one, oldest first.
    @inlinable
    func mergePanes(_ places: Range<Int>) -> KeyPane {
        let target = merged ?? KeyPane(initial: aggregate.makeAccumulator())
        merged = target
        target.reset()
        for place in places {
            let pane = panes[place]
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

    /// A late record that was still accepted fires its closed windows again with the new result.
    @inlinable @inline(never)
    func fireAgain(_ index: Int, firstEnd: Int64, lastEnd: Int64) throws {
        var end = firstEnd
        while end <= lastEnd && end &- 1 <= time {
            if end &- 1 &+ lateness > time { try fire(windowEnd: end, key: keys[index], hash: hashes[index]) }
            end = end &+ grid.slide
        }
    }

    @inlinable
    func fire(windowEnd end: Int64, key: Key, hash: UInt64) throws {
        var total: Aggregate.Accumulator?
        for place in place(of: end &- grid.size)..<place(of: end) {
            let pane = panes[place]
            if let tier, pane.isAtRest { try takeFromFiles(key, hash, pane.start, tier, &total) }
            guard let slot = pane.table.find(key, hash: hash) else { continue }
            let part = pane.accumulators.address(slot).pointee
            if total == nil { total = part } else { aggregate.merge(part, into: &total!) }  // set: not nil here
        }
        guard let total else { return }
        clock.time = end &- 1
        try emit(key, aggregate.result(total), TimeWindow(end &- grid.size, end), collector)
    }

    @inlinable
    func dropClosed() throws {
        recent = nil
        var closed: Int64?
        while let first = panes.first, grid.lastEnd(pane: first.start) &- 1 &+ lateness <= time || time == .max {
            panes.removeFirst()
            closed = first.start
            if first.isFrozen { continue }
            first.reset()
            if spare.count < 4 { spare.append(first) }
        }
        if let tier, let closed { try dropFiles(upTo: closed, tier) }
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
            if let end = self.nextEnd(), end < self.wakeAt { self.wake(at: end) }
        }
    }

    @inlinable
    public func flushSides() throws { try late.flush() }

    // MARK: Snapshots

    public func snapshot(into snapshot: inout OperatorSnapshot) throws {
        let lease = freezing.begin()
        snapshot.release { [self] in if freezing.end() { unfreeze() } }
        if let tier {
            freeze(tier, into: &snapshot, under: lease)
        } else {
            snapshot.add(
                stored.part(
                    "panes", of: snapshot.operatorName, maxParallelism: snapshot.maxParallelism,
                    panes.map { $0.freeze(under: lease) }))
        }
        try storedTime.add(time, to: &snapshot)
    }

    /// Nothing is shared with a snapshot any more.
    @usableFromInline
    func unfreeze() { for pane in panes { pane.unfreeze() } }

    public func declare(_ states: inout StateDeclarations) throws {
        try stored.declare("panes", &states)
        try storedTime.declare(&states)
    }

    public func restore(from state: any RestoredState) throws {
        if let tier {
            try restore(from: storedTime.source(state), tier)
        } else {
            try stored.restore("panes", from: storedTime.source(state)) { key, hash, start, accumulator in
                let pane = pane(start)
                address(of: pane.table.findOrInsert(key, hash: hash).slot, in: pane).pointee = accumulator
            }
        }
        if let time = try storedTime.restore(from: state) { self.time = time }
        if isProcessingTime, let end = nextEnd() { wake(at: end) }
    }
}
