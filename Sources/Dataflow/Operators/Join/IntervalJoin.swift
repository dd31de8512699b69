// SPDX-License-Identifier: Apache-2.0
//  Pairs the records of two keyed streams that lie close in time.

import CThalweg
import ThalwegBase
import ThalwegData
import ThalwegOperator
import ThalwegState
import ThalwegStorage

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
/// A record that is not late (its time is not before the watermark) is joined with what has come from the other side
/// and waits for what may still come; a pair is emitted exactly once, by the later arrival. A key's records leave as
/// the watermark passes; keys that fall silent are found through expiry lists and their slots are given back.
public final class IntervalJoinOperator<Key, First, Second, Output>: TwoInputOperator
where Key: Hashable & Codable & Sendable, First: Codable & Sendable, Second: Codable & Sendable {
    public let collector: Collector<Output>
    @usableFromInline let interval: JoinInterval
    @usableFromInline let firstKey: (First) -> Key
    @usableFromInline let secondKey: (Second) -> Key
    @usableFromInline let result: (First, Second) throws -> Output
    @usableFromInline let runtime: KeyedRuntime<Key>
    @usableFromInline let column: IntervalColumn<First, Second>
    @usableFromInline let expiries: ExpiryLists
    @usableFromInline let lateFirst: LateHandling<First>
    @usableFromInline let lateSecond: LateHandling<Second>
    @usableFromInline let errors: RecordErrorHandler
    // Used by one task alone.
    /// The watermark: records before it are late.
    @exclusivity(unchecked) @usableFromInline var time = -TimestampRange.limit
    @exclusivity(unchecked) @usableFromInline var pairs = 0
    @exclusivity(unchecked) @usableFromInline var due: [Int32] = []

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
        column = try IntervalColumn(isTiered: context.rowPlace != nil)
        try runtime.store.register("buffers", column)
        for side in ["first", "second"] {
            runtime.keep(
                "buffers.\(side)",
                for: StoredWindow(
                    .interval(lower: interval.lower, upper: interval.upper), isProcessingTime: false, lateness: 0))
        }
        runtime.store.mergeFilter = { [unowned self] in self.keptAtRest }
    }

    /// Rows at rest are not looked at when their records expire: those go when files are made one.
    @usableFromInline var keptAtRest: MergeFilter {
        let (firstLimit, secondLimit) = (firstLimit, secondLimit)
        return { state in
            guard state.kind == .buffer else { return nil }
            let limit = state.name == "buffers.first" ? firstLimit : secondLimit
            return { key, _ in
                var reader = ByteReader(UnsafeRawBufferPointer(rebasing: key.suffix(12)))
                // What cannot be read is damage, which whoever restores it is told.
                return (try? reader.readOrdered()).map { $0 >= limit } ?? true
            }
        }
    }

    // MARK: Records

    /// Before this a first record has no partner to come.
    @inlinable var firstLimit: Int64 { time == .max ? .max : time &- interval.upper }
    /// Before this a second record has no partner to come.
    @inlinable var secondLimit: Int64 { time == .max ? .max : time &+ interval.lower }

    @inlinable
    public func processFirst(_ batch: Batch<First>) throws {
        guard batch.isTimed else { throw Self.untimed }
        try TimestampRange.check(batch.times, count: batch.count)
        try runtime.resolve(batch, by: firstKey)
        let (rows, times, count, slots) = (batch.rows, batch.times, batch.count, runtime.slots)
        let (time, limit, otherLimit, lower, upper) = (time, firstLimit, secondLimit, interval.lower, interval.upper)
        let (column, collector, result) = (column, collector, result)
        let ahead = runtime.storedTime.ahead(of: time)
        prefetch(slots, count)
        for index in 0..<count {
            let moment = times[index]
            if moment < time || ahead != nil && isLate(moment, slots[index]) {
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
            buffers.pointee.first.insert(rows[index], at: moment, limit: limit, column.spareFirst)
            buffers.pointee.isIdle = false
            if !buffers.pointee.isListed { list(slot, buffers, expiry: moment &+ upper) }
        }
        if runtime.store.isTiered { listLoaded(count) }
        try runtime.endBatch()
    }

    @inlinable
    public func processSecond(_ batch: Batch<Second>) throws {
        guard batch.isTimed else { throw Self.untimed }
        try TimestampRange.check(batch.times, count: batch.count)
        try runtime.resolve(batch, by: secondKey)
        let (rows, times, count, slots) = (batch.rows, batch.times, batch.count, runtime.slots)
        let (time, limit, otherLimit, lower, upper) = (time, secondLimit, firstLimit, interval.lower, interval.upper)
        let (column, collector, result) = (column, collector, result)
        let ahead = runtime.storedTime.ahead(of: time)
        prefetch(slots, count)
        for index in 0..<count {
            let moment = times[index]
            if moment < time || ahead != nil && isLate(moment, slots[index]) {
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
            buffers.pointee.second.insert(rows[index], at: moment, limit: limit, column.spareSecond)
            buffers.pointee.isIdle = false
            if !buffers.pointee.isListed { list(slot, buffers, expiry: moment &- lower) }
        }
        if runtime.store.isTiered { listLoaded(count) }
        try runtime.endBatch()
    }

    /// Whether a record comes before the time that its key group had come to before a restore.
    @inlinable @inline(never)
    func isLate(_ moment: Int64, _ slot: Int32) -> Bool {
        guard let ahead = runtime.storedTime.ahead else { return false }
        return moment < ahead.time(hash: runtime.store.table.hash(at: Int(slot)))
    }

    /// Has the buffers of a batch on their way from memory while the loop begins.
    @inlinable @inline(__always)
    func prefetch(_ slots: UnsafePointer<Int32>, _ count: Int) {
        // What fits the cache gains nothing.
        if runtime.store.table.slotLimit < 1024 { return }
        let column = column
        for index in 0..<count { thalweg_prefetch_read(column.pages.address(Int(slots[index]))) }
        for index in 0..<count {
            let buffers = column.pages.address(Int(slots[index]))
            if let memory = buffers.pointee.first.memory {
                thalweg_prefetch_read(memory + Int(buffers.pointee.first.head) &* 8)
                thalweg_prefetch_read(buffers.pointee.first.values(memory) + Int(buffers.pointee.first.head))
            }
            if let memory = buffers.pointee.second.memory {
                thalweg_prefetch_read(memory + Int(buffers.pointee.second.head) &* 8)
                thalweg_prefetch_read(buffers.pointee.second.values(memory) + Int(buffers.pointee.second.head))
            }
        }
    }

    @inlinable @inline(never)
    func list(_ slot: Int, _ buffers: UnsafeMutablePointer<IntervalBuffers<First, Second>>, expiry: Int64) {
        buffers.pointee.isListed = true
        expiries.add(slot, expiry: expiry)
    }

    /// Lists the slots of a batch whose rows came from files and have got nothing new.
    @usableFromInline
    func listLoaded(_ count: Int) {
        for index in 0..<count {
            let slot = Int(runtime.slots[index])
            let buffers = column.pages.address(slot)
            guard !buffers.pointee.isListed,
                let expiry = buffers.pointee.expiry(lower: interval.lower, upper: interval.upper)
            else { continue }
            list(slot, buffers, expiry: expiry)
        }
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
        while expiries.popDue(time, into: &due) {
            due.withUnsafeBufferPointer { slots in
                guard let base = slots.baseAddress else { return }
                for start in stride(from: 0, to: slots.count, by: 256) {
                    let count = min(256, slots.count - start)
                    prefetch(base + start, count)
                    for index in start..<start + count { expire(Int(slots[index])) }
                }
            }
        }
    }

    @inlinable @inline(__always)
    func expire(_ slot: Int) {
        guard runtime.store.table.isUsed(slot) else {
            // Its row has left memory.
            runtime.store.open(slot)
            column.pages.address(slot).pointee.isListed = false
            return
        }
        runtime.store.select(slot)
        let buffers = column.pages.address(slot)
        let (lower, upper) = (interval.lower, interval.upper)
        buffers.pointee.first.dropBefore(firstLimit)
        buffers.pointee.second.dropBefore(secondLimit)
        let patience = (upper &- lower) / 2
        if let expiry = buffers.pointee.expiry(lower: lower, upper: upper) {
            expiries.add(slot, expiry: expiry &+ patience)
        } else if !buffers.pointee.isIdle && time != .max {
            // A key seen lately is likely to come again: its slot stays for a while.
            buffers.pointee.isIdle = true
            expiries.add(slot, expiry: time &+ patience)
        } else {
            column.clear(slot)
            buffers.pointee.isListed = false
            runtime.store.remove(slot: slot)
        }
    }

    // MARK: Snapshots

    public func snapshot(into snapshot: inout OperatorSnapshot) throws {
        try runtime.snapshot(into: &snapshot, time: time)
    }

    public func declare(_ states: inout StateDeclarations) throws {
        try runtime.declare(&states)
    }

    public func restore(from state: any RestoredState) throws {
        if let time = try runtime.restore(from: state) { self.time = max(self.time, time) }
        let (lower, upper) = (interval.lower, interval.upper)
        for slot in 0..<runtime.store.table.slotLimit {
            let buffers = column.pages.address(slot)
            if let expiry = buffers.pointee.expiry(lower: lower, upper: upper) { list(slot, buffers, expiry: expiry) }
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
