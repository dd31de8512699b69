// SPDX-License-Identifier: Apache-2.0
//  Pairs the records of two keyed streams that lie close in time.

import CThalweg
import ThalwegBase
import ThalwegData
import ThalwegOperator
import ThalwegState

/// What waits for partners under one key.
@frozen
public struct IntervalBuffers<First, Second> {
    @usableFromInline var first = TimedBuffer<First>()
    @usableFromInline var second = TimedBuffer<Second>()
    /// Whether the slot stands in a list of the operator's expiries.
    @usableFromInline var isListed = false

    @inlinable
    init() {}
}

/// The buffers of every key, by slot.
public final class IntervalColumn<First, Second>: KeyedColumn {
    // Used by one task alone.
    @exclusivity(unchecked) @usableFromInline var pages = PagedColumn(initial: IntervalBuffers<First, Second>())

    @inlinable
    public init() {}

    deinit {
        for slot in 0..<pages.capacity { clear(slot) }
    }

    public func reserve(_ count: Int) { pages.reserve(count) }

    public func isEmpty(_ slot: Int) -> Bool {
        let buffers = pages.address(slot)
        return buffers.pointee.first.isEmpty && buffers.pointee.second.isEmpty && !buffers.pointee.isListed
    }

    public func clear(_ slot: Int) {
        pages.address(slot).pointee.first.release()
        pages.address(slot).pointee.second.release()
    }
}

/// The bounds of an interval join: `second.time - first.time` lies in `lower...upper`, in milliseconds.
@frozen
public struct JoinInterval: Hashable, Sendable {
    public let lower: Int64
    public let upper: Int64

    /// - Throws: `ThalwegError(.job)` when no record could ever find a partner.
    public init(lower: Duration, upper: Duration) throws(ThalwegError) {
        let (lower, upper) = (lower.wholeMilliseconds, upper.wholeMilliseconds)
        guard lower <= upper, lower > -1 << 50, upper < 1 << 50 else {
            throw ThalwegError(
                .job, "the bounds of an interval join are out of range", detail: "lower \(lower) ms, upper \(upper) ms",
                hint: "lower must not be greater than upper")
        }
        self.lower = lower
        self.upper = upper
    }
}

/// Joins two keyed streams on time: every pair of a first record at `t` and a second one in `t + lower ... t + upper`.
///
/// A record that is not late (its time is not before the watermark) is joined with what has come from the other side and
/// waits for what may still come; a pair is emitted exactly once, by the later arrival. A key's records leave as the
/// watermark passes; keys that fall silent are found through expiry lists and their slots are given back.
public final class IntervalJoinOperator<Key, First, Second, Output>: TwoInputOperator
where Key: Hashable & Codable & Sendable {
    public let collector: Collector<Output>
    @usableFromInline let interval: JoinInterval
    @usableFromInline let firstKey: (First) -> Key
    @usableFromInline let secondKey: (Second) -> Key
    @usableFromInline let result: (First, Second) throws -> Output
    @usableFromInline let runtime: KeyedRuntime<Key>
    @usableFromInline let column = IntervalColumn<First, Second>()
    @usableFromInline let expiries: ExpiryLists
    @usableFromInline let lateFirst: LateHandling<First>
    @usableFromInline let lateSecond: LateHandling<Second>
    @usableFromInline let errors: RecordErrorHandler
    // Used by one task alone.
    /// The watermark: records before it are late.
    @exclusivity(unchecked) @usableFromInline var time = -TimestampRange.limit
    @exclusivity(unchecked) @usableFromInline var pairs = 0

    @inlinable
    public init(
        _ interval: JoinInterval, firstKey: @escaping (First) -> Key, secondKey: @escaping (Second) -> Key,
        lateFirst: LateHandling<First>, lateSecond: LateHandling<Second>, onError policy: RecordErrorPolicy,
        in context: OperatorContext, result: @escaping (First, Second) throws -> Output
    ) throws {
        self.interval = interval
        self.firstKey = firstKey
        self.secondKey = secondKey
        self.lateFirst = lateFirst
        self.lateSecond = lateSecond
        self.result = result
        collector = context.mainCollector()
        errors = context.errorHandler(policy)
        expiries = ExpiryLists(span: interval.upper - interval.lower)
        runtime = try KeyedRuntime(context)
        try runtime.store.register("buffers", column)
    }

    // MARK: Records

    /// Before this a first record has no partner to come.
    @inlinable var firstLimit: Int64 { time == .max ? .max : time &- interval.upper }
    /// Before this a second record has no partner to come.
    @inlinable var secondLimit: Int64 { time == .max ? .max : time &+ interval.lower }

    @inlinable
    public func processFirst(_ batch: Batch<First>) throws {
        guard batch.isTimed else { throw Self.untimed }
        runtime.resolve(batch, by: firstKey)
        let (rows, times, count, slots) = (batch.rows, batch.times, batch.count, runtime.slots)
        let (time, limit, otherLimit, lower, upper) = (time, firstLimit, secondLimit, interval.lower, interval.upper)
        let (column, collector, result) = (column, collector, result)
        prefetch(count)
        for index in 0..<count {
            let moment = times[index]
            if moment < time {
                lateFirst.handle(rows[index], at: moment)
                continue
            }
            let slot = Int(slots[index])
            let buffers = column.pages.address(slot)
            buffers.pointee.second.dropBefore(otherLimit)
            if let memory = buffers.pointee.second.memory {
                let others = buffers.pointee.second.times(memory)
                let values = buffers.pointee.second.values(memory)
                let (end, last) = (Int(buffers.pointee.second.end), moment &+ upper)
                var place = buffers.pointee.second.firstPlace(from: moment &+ lower, others)
                while place < end && others[place] <= last {
                    do {
                        collector.emit(try result(rows[index], values[place]), at: max(moment, others[place]))
                    } catch {
                        try reject(error, rows[index], values[place])
                    }
                    place &+= 1
                }
            }
            if moment < limit { continue }
            buffers.pointee.first.insert(rows[index], at: moment, limit: limit)
            if !buffers.pointee.isListed { list(slot, buffers, expiry: moment &+ upper) }
        }
        runtime.endBatch()
    }

    @inlinable
    public func processSecond(_ batch: Batch<Second>) throws {
        guard batch.isTimed else { throw Self.untimed }
        runtime.resolve(batch, by: secondKey)
        let (rows, times, count, slots) = (batch.rows, batch.times, batch.count, runtime.slots)
        let (time, limit, otherLimit, lower, upper) = (time, secondLimit, firstLimit, interval.lower, interval.upper)
        let (column, collector, result) = (column, collector, result)
        prefetch(count)
        for index in 0..<count {
            let moment = times[index]
            if moment < time {
                lateSecond.handle(rows[index], at: moment)
                continue
            }
            let slot = Int(slots[index])
            let buffers = column.pages.address(slot)
            buffers.pointee.first.dropBefore(otherLimit)
            if let memory = buffers.pointee.first.memory {
                let others = buffers.pointee.first.times(memory)
                let values = buffers.pointee.first.values(memory)
                let (end, last) = (Int(buffers.pointee.first.end), moment &- lower)
                var place = buffers.pointee.first.firstPlace(from: moment &- upper, others)
                while place < end && others[place] <= last {
                    do {
                        collector.emit(try result(values[place], rows[index]), at: max(moment, others[place]))
                    } catch {
                        try reject(error, values[place], rows[index])
                    }
                    place &+= 1
                }
            }
            if moment < limit { continue }
            buffers.pointee.second.insert(rows[index], at: moment, limit: limit)
            if !buffers.pointee.isListed { list(slot, buffers, expiry: moment &- lower) }
        }
        runtime.endBatch()
    }

    /// Has the buffers of a batch on their way from memory while the loop begins.
    @inlinable @inline(__always)
    func prefetch(_ count: Int) {
        // What fits the cache gains nothing.
        if runtime.store.table.slotLimit < 8192 { return }
        let (slots, column) = (runtime.slots, column)
        for index in 0..<count { thalweg_prefetch_read(column.pages.address(Int(slots[index]))) }
        for index in 0..<count {
            let buffers = column.pages.address(Int(slots[index]))
            if let memory = buffers.pointee.first.memory { thalweg_prefetch_read(memory) }
            if let memory = buffers.pointee.second.memory { thalweg_prefetch_read(memory) }
        }
    }

    @inlinable @inline(never)
    func list(_ slot: Int, _ buffers: UnsafeMutablePointer<IntervalBuffers<First, Second>>, expiry: Int64) {
        buffers.pointee.isListed = true
        expiries.add(slot, expiry: expiry)
    }

    @inlinable @inline(never)
    func reject(_ error: any Error, _ first: First, _ second: Second) throws {
        pairs &+= 1
        try errors.handle(error, position: "failing pair \(pairs)", record: "\(first) with \(second)")
    }

    // MARK: Time

    @inlinable
    public func advance(to watermark: Watermark) throws {
        time = max(time, watermark.time.milliseconds)
        if expiries.isDue(time) { expire() }
    }

    /// Looks at the slots whose last known record has expired.
    @inlinable @inline(never)
    func expire() {
        let (column, table, lower, upper) = (column, runtime.store.table, interval.lower, interval.upper)
        let (firstLimit, secondLimit) = (firstLimit, secondLimit)
        var isMore = true
        while isMore {
            isMore = expiries.popDue(time) { slot in
                let buffers = column.pages.address(slot)
                buffers.pointee.first.dropBefore(firstLimit)
                buffers.pointee.second.dropBefore(secondLimit)
                var expiry = Int64.min
                if !buffers.pointee.first.isEmpty { expiry = buffers.pointee.first.lastTime &+ upper }
                if !buffers.pointee.second.isEmpty { expiry = max(expiry, buffers.pointee.second.lastTime &- lower) }
                if expiry == .min {
                    buffers.pointee.isListed = false
                    column.clear(slot)
                    table.remove(slot: slot)
                } else {
                    expiries.add(slot, expiry: expiry)
                }
            }
        }
    }

    @inlinable
    public func flushSides() throws {
        try errors.flush()
        try lateFirst.flush()
        try lateSecond.flush()
    }

    @usableFromInline
    static var untimed: ThalwegError {
        ThalwegError(
            .job, "an interval join has records without timestamps",
            hint: "call timestamps(by:watermark:) on both streams before they are keyed")
    }
}
