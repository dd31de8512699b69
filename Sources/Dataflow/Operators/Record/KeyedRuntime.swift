// SPDX-License-Identifier: Apache-2.0
//  What all keyed operators share: keys resolved to slots a batch at a time, state, timers.

import ThalwegBase
import ThalwegData
import ThalwegOperator
import ThalwegState
import ThalwegStorage

/// Keys, state and timers of one keyed operator in one subtask.
public final class KeyedRuntime<Key: Hashable & Codable & Sendable> {
    public let store: KeyedStore<Key>
    public let eventTimers = TimerQueue()
    public let processingTimers = TimerQueue()
    public let context: KeyedContext<Key>
    public let storedTime: StoredTime
    @usableFromInline let hasher: KeyHasher<Key>
    @usableFromInline let keys: UnsafeMutablePointer<Key>
    @usableFromInline let hashes: UnsafeMutablePointer<UInt64>
    /// The slots of the batch being processed.
    public let slots: UnsafeMutablePointer<Int32>
    // Used by one task alone.
    @exclusivity(unchecked) @usableFromInline var emptied: [Int32] = []

    @inlinable
    public init(_ operatorContext: OperatorContext) throws {
        store = KeyedStore(try RecordType<Key>.learn())
        hasher = store.hasher
        storedTime = try StoredTime(operatorContext)
        let capacity = operatorContext.batchCapacity
        keys = .allocate(capacity: capacity)
        hashes = .allocate(capacity: capacity)
        slots = .allocate(capacity: capacity)
        context = KeyedContext(
            store: store, eventTimers: eventTimers, processingTimers: processingTimers, operatorContext)
        store.time = context.expiry.time
        if let layering = operatorContext.layering {
            store.keepLayers(
                RowLayers(operatorContext.rowOwner, root: layering.root, leases: layering.leases))
            if let place = operatorContext.rowPlace { try store.rest(in: place) }
        }
        try store.register(TimerQueue.eventName, eventTimers)
        try store.register(TimerQueue.processingName, processingTimers)
    }

    deinit {
        keys.deallocate()
        hashes.deallocate()
        slots.deallocate()
    }

    /// Resolves the keys of a batch; afterwards `slots` holds the slot of each record.
    ///
    /// - Throws: what the disk says when rows at rest are needed, kind `corrupt` when they are damaged.
    @inlinable @inline(__always)
    public func resolve<Element>(_ batch: Batch<Element>, by key: (Element) -> Key) throws {
        let (rows, count, keys, hashes, hasher) = (batch.rows, batch.count, self.keys, self.hashes, self.hasher)
        var made = 0
        defer { keys.deinitialize(count: made) }
        while made < count {
            let value = (rows + made).lend(key)
            hashes[made] = hasher.hash(value)
            (keys + made).initialize(to: value)
            made &+= 1
        }
        store.resolve(keys, hashes: hashes, count: count, into: slots)
        if store.isLayered { try store.noteResolved(slots, count: count) }
        if store.hasExpiry { context.expiry.readClock() }
    }

    /// Notes that the current key's state may be empty now; its slot is given back at the end of the batch.
    @inlinable @inline(__always)
    public func noteEmptied() {
        if store.mayBeEmpty {
            store.mayBeEmpty = false
            emptied.append(Int32(truncatingIfNeeded: store.slot))
        }
    }

    /// Gives back the slots of keys for which nothing is stored any more, and sends rows to rest that memory has no
    /// room for.
    ///
    /// - Throws: what the disk says.
    @inlinable
    public func endBatch() throws {
        store.releaseUnused()
        if !emptied.isEmpty { releaseEmptied() }
        if store.isTiered { try store.makeRoom() }
        if store.hasExpiry { context.scheduleProcessingTime() }
    }

    @inlinable @inline(never)
    func releaseEmptied() {
        store.releaseIfEmpty(emptied)
        emptied.removeAll(keepingCapacity: true)
    }

    // MARK: Timers

    /// Calls `body` with the time of each timer that is due at `limit`, its key made the current one.
    @inlinable @inline(__always)
    public func fire(_ domain: TimeDomain, upTo limit: Int64, _ body: (Int64) throws -> Void) throws {
        let timers = domain == .eventTime ? eventTimers : processingTimers
        var isMoreAtRest = store.nextTimeAtRest(domain.ttl) <= limit
        guard timers.nextTime <= limit || isMoreAtRest else { return }
        var end = limit
        repeat {
            if isMoreAtRest { (end, isMoreAtRest) = try store.wake(domain.ttl, upTo: limit) }
            while let timer = timers.popDue(end) {
                store.select(Int(timer.slot))
                store.mayBeEmpty = true
                try body(timer.time)
                noteEmptied()
            }
            try endBatch()
        } while isMoreAtRest
    }

    /// Calls a function's `onTimer` for each timer that is due.
    @inlinable @inline(__always)
    func fire(
        _ domain: TimeDomain, upTo limit: Int64, _ errors: RecordErrorHandler,
        onTimer: (EventTime) throws -> Void
    ) throws {
        if store.hasExpiry { context.expiry.begin(domain) }
        try fire(domain, upTo: limit) { moment in
            context.clock.time = moment
            let time = EventTime(milliseconds: moment)
            do { try onTimer(time) } catch {
                throw errors.timerFailure(error, at: time, key: store.currentKey)
            }
        }
        if store.hasExpiry { try expire(domain, upTo: limit) }
    }

    /// Removes state whose time has passed. After the timers, so that they see what still lived at their moment.
    ///
    /// By processing time that is done in pieces between batches: ``KeyedContext/scheduleProcessingTime()`` asks for
    /// the next. By event time all is done before the watermark goes on: what `onExpired` emits would come late else.
    @usableFromInline
    func expire(_ domain: TimeDomain, upTo limit: Int64) throws {
        context.expiry.end(domain, upTo: limit)
        store.sweep(
            domain.ttl, now: limit, entriesMax: domain == .eventTime ? .max : ExpiryClock.pieceSize, emptied: &emptied)
        try endBatch()
    }

    // MARK: Snapshots

    /// Says which windows a state is kept for.
    @usableFromInline
    func keep(_ state: String, for window: StoredWindow) {
        store.properties[state] = [StoredWindow.propertyName: window.text]
    }

    /// Freezes keys, states and timers, and stores how far event time has come.
    public func snapshot(into snapshot: inout OperatorSnapshot, time: Int64) throws {
        if store.hasExpiry { context.expiry.readClock() }
        if snapshot.isFinal { store.takeBackRows() }
        if let rows = try store.freezeRows(
            operatorName: snapshot.operatorName, maxParallelism: snapshot.maxParallelism,
            checkpoint: snapshot.barrier.checkpoint, isSelfContained: snapshot.barrier.kind.isUserOwned)
        {
            snapshot.release { [store] in store.releaseRows(rows) }
            snapshot.add(rows)
        } else {
            let parts = store.freeze(
                operatorName: snapshot.operatorName, maxParallelism: snapshot.maxParallelism)
            snapshot.release { [store] in store.release() }
            for part in parts { snapshot.add(part) }
        }
        try storedTime.add(time, to: &snapshot)
    }

    /// Declares keys, states and timers.
    public func declare(_ states: inout StateDeclarations) throws {
        try store.declare(&states)
        try storedTime.declare(&states)
    }

    /// Takes over the keys of this subtask with their states and timers.
    ///
    /// - Returns: the event time to go on from; nil when the snapshot knows none.
    public func restore(from state: any RestoredState) throws -> Int64? {
        let time = try storedTime.restore(from: state)
        // Entries stored without a time to live begin to live now.
        context.expiry.readClock()
        if let time { context.expiry.time.advanceEventTime(to: time) }
        try store.restore(from: storedTime.source(state))
        context.scheduleProcessingTime()
        return time
    }
}

/// What a keyed function may ask and set while it processes a record or a timer.
public final class KeyedContext<Key: Hashable & Codable & Sendable> {
    @usableFromInline let store: KeyedStore<Key>
    @usableFromInline let clock: RecordClock
    private let eventTimers: TimerQueue
    private let processingTimers: TimerQueue
    @usableFromInline let expiry: ExpiryClock
    private let service: any ProcessingTimeService
    /// When callbacks are scheduled, descending: a new one is always earlier than all others.
    private var wakes: [Int64] = []
    /// Fires due processing-time timers; set by the operator.
    public var onProcessingTime: (() throws -> Void)?
    /// This subtask's number, from 0.
    public let subtask: Int
    public let parallelism: Int

    @usableFromInline
    init(
        store: KeyedStore<Key>, eventTimers: TimerQueue, processingTimers: TimerQueue, _ context: OperatorContext
    ) {
        self.store = store
        self.eventTimers = eventTimers
        self.processingTimers = processingTimers
        clock = context.recordClock
        service = context.processingTime
        expiry = ExpiryClock(context)
        subtask = context.subtask
        parallelism = context.parallelism
    }

    /// The key of the record or timer being processed.
    @inlinable public var key: Key { store.currentKey }

    /// The event time of the record or timer being processed; nil when the stream has no timestamps.
    @inlinable public var timestamp: EventTime? {
        clock.time == .min ? nil : EventTime(milliseconds: clock.time)
    }

    /// How far event time has come at this operator.
    @inlinable public var watermark: Watermark { Watermark(EventTime(milliseconds: clock.watermark)) }

    /// Milliseconds of processing time since 1970 UTC.
    public var processingTime: EventTime { EventTime(milliseconds: service.now) }

    /// Calls `onTimer` for the current key once the watermark reaches `time`. Registering it again changes nothing.
    ///
    /// Once the input has ended nothing is registered any more: a timer that sets itself again would never let a
    /// bounded job end.
    public func registerEventTimeTimer(at time: EventTime) {
        if clock.watermark == .max { return }
        eventTimers.register(time: time.milliseconds, slot: store.slot)
    }

    public func deleteEventTimeTimer(at time: EventTime) {
        eventTimers.delete(time: time.milliseconds, slot: store.slot)
        store.mayBeEmpty = true
    }

    /// Calls `onTimer` for the current key once processing time reaches `time`.
    public func registerProcessingTimeTimer(at time: EventTime) {
        processingTimers.register(time: time.milliseconds, slot: store.slot)
        scheduleProcessingTime()
    }

    public func deleteProcessingTimeTimer(at time: EventTime) {
        processingTimers.delete(time: time.milliseconds, slot: store.slot)
        store.mayBeEmpty = true
    }

    @usableFromInline
    func scheduleProcessingTime() {
        let next = min(
            processingTimers.nextTime, store.nextTimeAtRest(.processingTime), store.nextExpiry(.processingTime))
        guard next < wakes.last ?? .max else { return }
        wakes.append(next)
        service.schedule(at: next) { [weak self] in
            guard let self else { return }
            self.wakes.removeLast()
            try self.onProcessingTime?()
            self.scheduleProcessingTime()
        }
    }
}

/// Which clock a timer ran on.
@frozen
public enum TimeDomain: String, Sendable, Hashable, Codable {
    case eventTime, processingTime
}
