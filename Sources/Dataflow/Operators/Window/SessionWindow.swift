// SPDX-License-Identifier: Apache-2.0
//  Windows that end when a key falls silent.

import ThalwegBase
import ThalwegData
import ThalwegOperator
import ThalwegState
import ThalwegStorage

/// One session of a key.
@frozen
public struct Session<Accumulator: Codable & Sendable>: Codable, Sendable {
    public var start: Int64
    /// One gap after the last record.
    public var end: Int64
    public var accumulator: Accumulator
    /// Whether the session has fired and is only kept for late records.
    public var hasFired: Bool

    @inlinable
    init(start: Int64, end: Int64, accumulator: Accumulator) {
        self.start = start
        self.end = end
        self.accumulator = accumulator
        hasFired = false
    }
}

/// Aggregates a keyed stream in session windows. Sessions that a record joins merge.
public final class SessionWindowOperator<Key, Input, Aggregate, Output>: OneInputOperator
where Key: Hashable & Codable & Sendable, Aggregate: AggregateFunction, Aggregate.Input == Input {
    public let collector: Collector<Output>
    @usableFromInline let key: (Input) -> Key
    @usableFromInline let aggregate: Aggregate
    @usableFromInline let emit: (Key, Aggregate.Output, TimeWindow, Collector<Output>) throws -> Void
    @usableFromInline let gap: Int64
    @usableFromInline let late: LateHandling<Input>
    /// How long closed sessions wait for late records; on processing time nothing is late.
    @usableFromInline let lateness: Int64
    @usableFromInline let clock: RecordClock
    @usableFromInline let service: any ProcessingTimeService
    @usableFromInline let isProcessingTime: Bool
    @usableFromInline let runtime: KeyedRuntime<Key>
    @usableFromInline let sessions = ListState<Session<Aggregate.Accumulator>>()
    // Used by one task alone.
    @exclusivity(unchecked) @usableFromInline var time = Int64.min

    /// - Parameter result: makes the one result of a session.
    @inlinable
    public convenience init(
        gap: Int64, isProcessingTime: Bool, aggregate: Aggregate, key: @escaping (Input) -> Key,
        late: LateHandling<Input>, in context: OperatorContext,
        result: @escaping (Key, Aggregate.Output, TimeWindow) throws -> Output
    ) throws {
        try self.init(
            gap: gap, isProcessingTime: isProcessingTime, aggregate: aggregate, key: key, late: late, in: context,
            emit: { key, value, window, out in out.emit(try result(key, value, window)) })
    }

    /// - Parameter emit: emits the results of a session; their timestamp is its last millisecond.
    @inlinable
    public init(
        gap: Int64, isProcessingTime: Bool, aggregate: Aggregate, key: @escaping (Input) -> Key,
        late: LateHandling<Input>, in context: OperatorContext,
        emit: @escaping (Key, Aggregate.Output, TimeWindow, Collector<Output>) throws -> Void
    ) throws {
        self.gap = gap
        self.isProcessingTime = isProcessingTime
        self.aggregate = aggregate
        self.key = key
        self.late = late
        self.emit = emit
        lateness = isProcessingTime ? 0 : late.lateness
        collector = context.mainCollector()
        clock = context.recordClock
        service = context.processingTime
        runtime = try KeyedRuntime(context)
        try sessions.bind("sessions", to: runtime.store)
        runtime.keep(
            "sessions", for: StoredWindow(.session(gap: gap), isProcessingTime: isProcessingTime, lateness: lateness))
        runtime.context.onProcessingTime = { [unowned self] in
            try self.fire(.processingTime, upTo: self.service.now)
            try self.collector.flush()
        }
    }

    @inlinable
    public func process(_ batch: Batch<Input>) throws {
        let (rows, times, count) = (batch.rows, batch.times, batch.count)
        if isProcessingTime {
            let now = service.now
            time = now - 1
            for index in 0..<count { times[index] = now }
        } else if !batch.isTimed {
            throw LateHandling<Input>.untimed
        }
        try runtime.resolve(batch, by: key)
        let (slots, store) = (runtime.slots, runtime.store)
        let (ahead, ownTime) = (runtime.storedTime.ahead(of: time), time)
        defer { time = ownTime }
        for index in 0..<count {
            store.slot = Int(slots[index])
            if let ahead { time = max(ownTime, ahead.time(hash: store.table.hash(at: store.slot))) }
            let moment = times[index]
            clock.time = moment
            let list = sessions.address(ofSlot: store.slot)
            // The common case: the record falls into the key's only session.
            if list.pointee.count == 1, moment >= list.pointee[0].start, moment < list.pointee[0].end,
                !list.pointee[0].hasFired
            {
                aggregate.add(rows[index], to: &list.pointee[0].accumulator)
                list.pointee[0].end = max(list.pointee[0].end, moment &+ gap)
            } else {
                try add(rows[index], at: moment, to: &list.pointee)
            }
            runtime.noteEmptied()
        }
        try runtime.endBatch()
    }

    /// Adds a record, merging the sessions that it joins: those within less than a gap before or after it.
    @inlinable @inline(never)
    func add(_ record: Input, at moment: Int64, to list: inout [Session<Aggregate.Accumulator>]) throws {
        if moment < -TimestampRange.limit || moment > TimestampRange.limit { throw TimestampRange.error(moment) }
        var (start, end) = (moment, moment &+ gap)
        let joined = list.indices.filter { list[$0].start < end && start < list[$0].end }
        for index in joined {
            start = min(start, list[index].start)
            end = max(end, list[index].end)
        }
        if time != .min && end &- 1 &+ lateness <= time {
            late.handle(record, at: moment)
            return
        }
        var session = Session(start: start, end: end, accumulator: aggregate.makeAccumulator())
        if let first = joined.first { session.accumulator = list[first].accumulator }
        for index in joined.dropFirst() { aggregate.merge(list[index].accumulator, into: &session.accumulator) }
        aggregate.add(record, to: &session.accumulator)
        // The timer of a session that has fired stands at the end of its lateness.
        let needsTimer = joined.count != 1 || joined.contains { list[$0].hasFired }
        for index in joined.reversed() { list.remove(at: index) }
        let isDue = time != .min && end &- 1 <= time
        session.hasFired = isDue
        let position = list.firstIndex { $0.start > start } ?? list.count
        list.insert(session, at: position)
        if isDue {
            try fire(session)
            register(at: end &- 1 &+ lateness)
        } else if needsTimer {
            // A session keeps one timer; when that fires early, it is set anew at the end as it is then.
            register(at: end &- 1)
        }
    }

    @inlinable
    func register(at moment: Int64) {
        let time = EventTime(milliseconds: moment)
        if isProcessingTime {
            runtime.context.registerProcessingTimeTimer(at: time.advanced(byMilliseconds: 1))
        } else {
            runtime.context.registerEventTimeTimer(at: time)
        }
    }

    @inlinable
    func fire(_ session: Session<Aggregate.Accumulator>) throws {
        clock.time = session.end &- 1
        try emit(
            runtime.store.currentKey, aggregate.result(session.accumulator), TimeWindow(session.start, session.end),
            collector)
    }

    @inlinable
    public func advance(to watermark: Watermark) throws {
        if isProcessingTime {
            // At the end of the input what is open fires, so that a bounded run loses nothing.
            if watermark == .end { try fire(.processingTime, upTo: .max) }
        } else {
            try fire(.eventTime, upTo: watermark.time.milliseconds)
        }
    }

    @inlinable
    func fire(_ domain: TimeDomain, upTo newTime: Int64) throws {
        time = max(time, isProcessingTime && newTime != .max ? newTime &- 1 : newTime)
        try runtime.fire(domain, upTo: newTime) { moment in
            try visit(sessions.address(ofSlot: runtime.store.slot), isProcessingTime ? moment &- 1 : moment)
        }
    }

    /// Fires the sessions of the current key that are over at `moment` and forgets those that nothing can join.
    @inlinable
    func visit(_ list: UnsafeMutablePointer<[Session<Aggregate.Accumulator>]>, _ moment: Int64) throws {
        var index = 0
        while index < list.pointee.count {
            let session = list.pointee[index]
            if session.end &- 1 > moment {
                register(at: session.end &- 1)
                index += 1
                continue
            }
            if !session.hasFired {
                try fire(session)
                list.pointee[index].hasFired = true
            }
            if session.end &- 1 &+ lateness <= moment {
                list.pointee.remove(at: index)
            } else {
                register(at: session.end &- 1 &+ lateness)
                index += 1
            }
        }
    }

    @inlinable
    public func flushSides() throws { try late.flush() }

    public func snapshot(into snapshot: inout OperatorSnapshot) throws {
        try runtime.snapshot(into: &snapshot, time: time)
    }

    public func declare(_ states: inout StateDeclarations) throws {
        try runtime.declare(&states)
    }

    public func restore(from state: any RestoredState) throws {
        if let time = try runtime.restore(from: state) { self.time = time }
    }
}
