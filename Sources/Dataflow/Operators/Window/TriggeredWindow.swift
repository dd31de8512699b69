// SPDX-License-Identifier: Apache-2.0
//  Windows of every kind that fire as a trigger decides.

import ThalwegBase
import ThalwegData
import ThalwegOperator
import ThalwegState
import ThalwegStorage

/// One window of one key.
@frozen
public struct TriggeredCell<Accumulator: Codable & Sendable, Memory: Codable & Sendable>: Codable, Sendable {
    @usableFromInline var window: TimeWindow
    /// What the records make up; nil when there are none, or none since a purge.
    @usableFromInline var accumulator: Accumulator?
    @usableFromInline var memory: Memory
    @usableFromInline var timers = WindowTimers()

    @inlinable
    init(window: TimeWindow, memory: Memory) {
        self.window = window
        self.memory = memory
    }
}

/// Which windows a record belongs to, in milliseconds.
@frozen
public enum WindowShape: Hashable, Sendable {
    case grid(WindowGrid)
    case session(gap: Int64)
    case global
}

extension WindowShape {
    @usableFromInline var stored: StoredWindow.Shape {
        switch self {
        case .grid(let grid): .grid(size: grid.size, slide: grid.slide, offset: grid.offset, isInPanes: false)
        case .session(let gap): .session(gap: gap)
        case .global: .global
        }
    }
}

/// Aggregates a keyed stream in windows that fire as a trigger decides: the general case, one accumulator per key and
/// window. Windows without a trigger have faster operators.
public final class TriggeredWindowOperator<Key, Input, Aggregate, Trigger, Output>: OneInputOperator
where
    Key: Hashable & Codable & Sendable, Aggregate: AggregateFunction, Aggregate.Input == Input, Trigger: WindowTrigger,
    Trigger.Element == Input
{
    public let collector: Collector<Output>
    @usableFromInline typealias Cell = TriggeredCell<Aggregate.Accumulator, Trigger.State>
    @usableFromInline typealias Cells = UnsafeMutablePointer<[Cell]>
    @usableFromInline let key: (Input) -> Key
    @usableFromInline let aggregate: Aggregate
    @usableFromInline let trigger: Trigger
    @usableFromInline let emit: (Key, Aggregate.Output, TimeWindow, Collector<Output>) throws -> Void
    @usableFromInline let shape: WindowShape
    @usableFromInline let isProcessingTime: Bool
    @usableFromInline let late: LateHandling<Input>
    @usableFromInline let clock: RecordClock
    @usableFromInline let service: any ProcessingTimeService
    @usableFromInline let runtime: KeyedRuntime<Key>
    @usableFromInline let cells = ListState<Cell>()
    @usableFromInline let context = TriggerContext()
    // Used by one task alone.
    @exclusivity(unchecked) @usableFromInline var time = Int64.min
    /// The input has ended: the global window starts nothing new.
    @exclusivity(unchecked) @usableFromInline var isEnding = false

    @inlinable
    public init(
        _ shape: WindowShape, isProcessingTime: Bool, aggregate: Aggregate, trigger: Trigger,
        key: @escaping (Input) -> Key, late: LateHandling<Input>, in context: OperatorContext,
        emit: @escaping (Key, Aggregate.Output, TimeWindow, Collector<Output>) throws -> Void
    ) throws {
        self.shape = shape
        self.isProcessingTime = isProcessingTime
        self.aggregate = aggregate
        self.trigger = trigger
        self.key = key
        self.late = late
        self.emit = emit
        collector = context.mainCollector()
        clock = context.recordClock
        service = context.processingTime
        runtime = try KeyedRuntime(context)
        try cells.bind("windows", to: runtime.store)
        runtime.keep(
            "windows",
            for: StoredWindow(
                shape.stored, isProcessingTime: isProcessingTime, lateness: isProcessingTime ? 0 : late.lateness))
        runtime.context.onProcessingTime = { [unowned self] in
            try self.fire(.processingTime, upTo: self.service.now)
            try self.collector.flush()
        }
    }

    // MARK: Records

    @inlinable
    public func process(_ batch: Batch<Input>) throws {
        let (rows, times, count, isTimed) = (batch.rows, batch.times, batch.count, batch.isTimed || isProcessingTime)
        if isProcessingTime {
            let now = service.now
            for index in 0..<count { times[index] = now }
        } else if !isTimed && shape != .global {
            throw LateHandling<Input>.untimed
        }
        try runtime.resolve(batch, by: key)
        let (slots, store) = (runtime.slots, runtime.store)
        let (ahead, ownTime) = (runtime.storedTime.ahead(of: time), time)
        defer { time = ownTime }
        for index in 0..<count {
            store.slot = Int(slots[index])
            if let ahead { time = max(ownTime, ahead.time(hash: store.table.hash(at: store.slot))) }
            let moment = isTimed ? times[index] : .min
            clock.time = moment
            let list = cells.address(ofSlot: store.slot)
            switch shape {
            case .grid(let grid): try add(rows[index], at: moment, to: list, grid)
            case .session(let gap): try add(rows[index], at: moment, to: list, gap: gap)
            case .global: try add(rows[index], at: moment, to: list, place(of: .global, in: list))
            }
            runtime.noteEmptied()
        }
        try runtime.endBatch()
    }

    /// Adds a record to the windows of the grid that contain it.
    @inlinable
    func add(_ record: Input, at moment: Int64, to list: Cells, _ grid: WindowGrid) throws {
        if moment < -TimestampRange.limit || moment > TimestampRange.limit { throw TimestampRange.error(moment) }
        let latest = moment &- (moment &- grid.offset).flooredDivision(by: grid.slide).remainder
        var start = latest &- (latest &+ grid.size &- 1 &- moment) / grid.slide &* grid.slide
        var (added, missed) = (0, 0)
        while start <= latest && moment < start &+ grid.size {
            let window = TimeWindow(start, start &+ grid.size)
            if isLate(window) {
                missed += 1
            } else {
                added += 1
                try add(record, at: moment, to: list, place(of: window, in: list))
                clock.time = moment
            }
            start = start &+ grid.slide
        }
        if added > 0 {
            if missed > 0 { late.countPartial(missed) }
        } else if missed > 0 || isLate(TimeWindow(moment, moment &+ 1)) {
            late.handle(record, at: moment)
        } else {
            late.countOutside(1)
        }
    }

    /// Adds a record to its session, merging the sessions that it joins.
    @inlinable
    func add(_ record: Input, at moment: Int64, to list: Cells, gap: Int64) throws {
        if moment < -TimestampRange.limit || moment > TimestampRange.limit { throw TimestampRange.error(moment) }
        var (start, end) = (moment, moment &+ gap)
        let joined = list.pointee.indices.filter {
            let window = list.pointee[$0].window
            return window.start.milliseconds < end && start < window.end.milliseconds
        }
        for index in joined {
            start = min(start, list.pointee[index].window.start.milliseconds)
            end = max(end, list.pointee[index].window.end.milliseconds)
        }
        let window = TimeWindow(start, end)
        if isLate(window) {
            late.handle(record, at: moment)
            return
        }
        let isKnown = joined.isEmpty || joined.count == 1 && list.pointee[joined[0]].window == window
        if !isKnown { merge(joined, of: list, into: window) }
        try add(record, at: moment, to: list, place(of: window, in: list))
    }

    @inlinable
    func merge(_ joined: [Int], of list: Cells, into window: TimeWindow) {
        let old = joined.map { list.pointee[$0] }
        for index in joined.reversed() { remove(index, from: list) }
        let index = place(of: window, in: list)
        list.pointee[index].accumulator = old[0].accumulator
        list.pointee[index].memory = old[0].memory
        for cell in old.dropFirst() {
            trigger.merge(cell.memory, into: &list.pointee[index].memory)
            guard let more = cell.accumulator else { continue }
            if list.pointee[index].accumulator == nil {
                list.pointee[index].accumulator = more
            } else {
                aggregate.merge(more, into: &list.pointee[index].accumulator!)  // not nil on this path
            }
        }
        ask(list, index, processingTime: service.now) { memory in trigger.onMerge(&memory, context) }
    }

    @inlinable
    func add(_ record: Input, at moment: Int64, to list: Cells, _ index: Int) throws {
        if list.pointee[index].accumulator == nil { list.pointee[index].accumulator = aggregate.makeAccumulator() }
        aggregate.add(record, to: &list.pointee[index].accumulator!)  // set on the line above when it was nil
        let result = ask(list, index, processingTime: service.now) { memory in
            trigger.onElement(record, at: EventTime(milliseconds: moment), &memory, context)
        }
        try apply(result, list, index)
        forgetUnused(list, index)
    }

    // MARK: Windows

    /// Whether nothing can be added to a window any more.
    @inlinable
    func isLate(_ window: TimeWindow) -> Bool {
        !isProcessingTime && shape != .global && time != .min
            && window.end.milliseconds &- 1 &+ late.lateness <= time
    }

    /// When a window goes away, on the clock of its assigner; nil for the global one.
    @inlinable
    func cleanup(of window: TimeWindow) -> Int64? {
        if shape == .global { return nil }
        return isProcessingTime ? window.end.milliseconds : window.end.milliseconds &- 1 &+ late.lateness
    }

    /// The place of a window among those of the current key; made when it is new.
    @inlinable
    func place(of window: TimeWindow, in list: Cells) -> Int {
        var index = list.pointee.count
        while index > 0 && !(list.pointee[index - 1].window < window) {
            index -= 1
            if list.pointee[index].window == window { return index }
        }
        list.pointee.insert(Cell(window: window, memory: trigger.makeState()), at: index)
        if let cleanup = cleanup(of: window) { register(cleanup, isProcessingTime ? .processingTime : .eventTime) }
        return index
    }

    /// Removes a window of the current key with its timers.
    @inlinable
    func remove(_ index: Int, from list: Cells) {
        let cell = list.pointee.remove(at: index)
        for time in cell.timers.event { unregister(time, .eventTime, list) }
        for time in cell.timers.processing { unregister(time, .processingTime, list) }
        if let cleanup = cleanup(of: cell.window) {
            unregister(cleanup, isProcessingTime ? .processingTime : .eventTime, list)
        }
        runtime.store.mayBeEmpty = true
    }

    /// A global window about which nothing is known any more takes no memory.
    @inlinable
    func forgetUnused(_ list: Cells, _ index: Int) {
        guard shape == .global, list.pointee[index].accumulator == nil, list.pointee[index].timers.isEmpty,
            list.pointee[index].memory == trigger.makeState()
        else { return }
        remove(index, from: list)
    }

    // MARK: The trigger

    /// Has the trigger look at a window of the current key, and carries out what it does to timers.
    @inlinable
    @discardableResult
    func ask<Answer>(
        _ list: Cells, _ index: Int, processingTime: Int64, _ question: (inout Trigger.State) -> Answer
    ) -> Answer {
        context.begin(list.pointee[index].window, watermark: time, processingTime: processingTime)
        swap(&context.timers, &list.pointee[index].timers)
        let answer = question(&list.pointee[index].memory)
        swap(&context.timers, &list.pointee[index].timers)
        if !context.deleted.isEmpty {
            for time in context.deleted.event { unregister(time, .eventTime, list) }
            for time in context.deleted.processing { unregister(time, .processingTime, list) }
            context.deleted = WindowTimers()
        }
        if context.hasRegistered {
            for time in list.pointee[index].timers.event { register(time, .eventTime) }
            for time in list.pointee[index].timers.processing { register(time, .processingTime) }
        }
        return answer
    }

    @inlinable
    func apply(_ result: TriggerResult, _ list: Cells, _ index: Int) throws {
        if result.isFire, let accumulator = list.pointee[index].accumulator {
            let window = list.pointee[index].window
            if shape != .global { clock.time = window.end.milliseconds &- 1 }
            try emit(runtime.store.currentKey, aggregate.result(accumulator), window, collector)
        }
        if result.isPurge { list.pointee[index].accumulator = nil }
    }

    // MARK: Time

    @inlinable
    func register(_ moment: Int64, _ domain: TimeDomain) {
        // At the end of the input the global window would go on for ever; no clock ever comes to its own end.
        if moment == .max || isEnding && shape == .global { return }
        let time = EventTime(milliseconds: moment)
        switch domain {
        case .eventTime: runtime.context.registerEventTimeTimer(at: time)
        case .processingTime: runtime.context.registerProcessingTimeTimer(at: time)
        }
    }

    /// Takes a timer back unless another window of the current key waits for the same moment.
    @inlinable
    func unregister(_ moment: Int64, _ domain: TimeDomain, _ list: Cells) {
        let isCleanup = (domain == .processingTime) == isProcessingTime
        for cell in list.pointee {
            let timers = domain == .eventTime ? cell.timers.event : cell.timers.processing
            if timers.contains(moment) || isCleanup && cleanup(of: cell.window) == moment { return }
        }
        let time = EventTime(milliseconds: moment)
        switch domain {
        case .eventTime: runtime.context.deleteEventTimeTimer(at: time)
        case .processingTime: runtime.context.deleteProcessingTimeTimer(at: time)
        }
    }

    @inlinable
    public func advance(to watermark: Watermark) throws {
        time = max(time, watermark.time.milliseconds)
        isEnding = watermark == .end
        try fire(.eventTime, upTo: time)
        // At the end of the input what is open by the time of day fires, so that a bounded run loses nothing.
        if isEnding && (isProcessingTime || shape == .global) { try fire(.processingTime, upTo: .max) }
    }

    @inlinable
    func fire(_ domain: TimeDomain, upTo limit: Int64) throws {
        try runtime.fire(domain, upTo: limit) { moment in
            try fire(moment, domain, cells.address(ofSlot: runtime.store.slot))
        }
    }

    /// Asks the windows of the current key that wait for a moment, and removes those whose time is over.
    @inlinable
    func fire(_ moment: Int64, _ domain: TimeDomain, _ list: Cells) throws {
        let isCleanup = (domain == .processingTime) == isProcessingTime
        var index = 0
        while index < list.pointee.count {
            let window = list.pointee[index].window
            if takeTimer(moment, domain, &list.pointee[index].timers) {
                clock.time = min(moment, TimestampRange.limit)
                let now = domain == .eventTime ? service.now : max(service.now, moment)
                let result = ask(list, index, processingTime: now) { memory in
                    let time = EventTime(milliseconds: moment)
                    return domain == .eventTime
                        ? trigger.onEventTime(time, &memory, context) : trigger.onProcessingTime(time, &memory, context)
                }
                try apply(result, list, index)
            }
            let count = list.pointee.count
            if isCleanup && cleanup(of: window) == moment {
                remove(index, from: list)
            } else {
                forgetUnused(list, index)
            }
            if list.pointee.count == count { index += 1 }
        }
    }

    @inlinable
    func takeTimer(_ moment: Int64, _ domain: TimeDomain, _ timers: inout WindowTimers) -> Bool {
        switch domain {
        case .eventTime:
            guard let index = timers.event.firstIndex(of: moment) else { return false }
            timers.event.remove(at: index)
        case .processingTime:
            guard let index = timers.processing.firstIndex(of: moment) else { return false }
            timers.processing.remove(at: index)
        }
        return true
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
