// SPDX-License-Identifier: Apache-2.0
//  The triggers that come with the engine.

import ThalwegBase

/// Fires when the watermark passes the window's end, and again for each late record: what windows do without a trigger.
@frozen
public struct EventTimeTrigger<Element>: WindowTrigger {
    @inlinable
    public init() {}
    @inlinable
    public func makeState() -> NoTriggerState { NoTriggerState() }
    @inlinable
    public func onElement(
        _ element: Element, at time: EventTime, _ state: inout NoTriggerState, _ context: TriggerContext
    ) -> TriggerResult {
        let last = context.window.maxTimestamp
        if last <= context.watermark.time { return .fire }
        context.registerEventTimeTimer(at: last)
        return .continue
    }
    @inlinable
    public func onEventTime(
        _ time: EventTime, _ state: inout NoTriggerState, _ context: TriggerContext
    ) -> TriggerResult { time == context.window.maxTimestamp ? .fire : .continue }
    @inlinable public var canMerge: Bool { true }
    @inlinable
    public func onMerge(_ state: inout NoTriggerState, _ context: TriggerContext) {
        let last = context.window.maxTimestamp
        if last > context.watermark.time { context.registerEventTimeTimer(at: last) }
    }
}

/// Fires when processing time reaches the window's end.
@frozen
public struct ProcessingTimeTrigger<Element>: WindowTrigger {
    @inlinable
    public init() {}
    @inlinable
    public func makeState() -> NoTriggerState { NoTriggerState() }
    @inlinable
    public func onElement(
        _ element: Element, at time: EventTime, _ state: inout NoTriggerState, _ context: TriggerContext
    ) -> TriggerResult {
        context.registerProcessingTimeTimer(at: context.window.end)
        return .continue
    }
    @inlinable
    public func onProcessingTime(
        _ time: EventTime, _ state: inout NoTriggerState, _ context: TriggerContext
    ) -> TriggerResult { .fire }
    @inlinable public var canMerge: Bool { true }
    @inlinable
    public func onMerge(_ state: inout NoTriggerState, _ context: TriggerContext) {
        if context.window.end > context.processingTime { context.registerProcessingTimeTimer(at: context.window.end) }
    }
}

/// Fires with every `count` records of a window.
@frozen
public struct CountTrigger<Element>: WindowTrigger {
    @usableFromInline let count: Int64

    /// - Parameter count: how many records a firing needs, at least one.
    @inlinable
    public init(_ count: Int) {
        precondition(count > 0, "a count trigger fires after at least one record")
        self.count = Int64(count)
    }
    @inlinable
    public func makeState() -> Int64 { 0 }
    @inlinable
    public func onElement(
        _ element: Element, at time: EventTime, _ state: inout Int64, _ context: TriggerContext
    ) -> TriggerResult {
        state += 1
        if state < count { return .continue }
        state = 0
        return .fire
    }
    @inlinable public var canMerge: Bool { true }
    @inlinable
    public func merge(_ other: Int64, into state: inout Int64) { state += other }
}

/// Fires at every multiple of an interval of event time as long as records come, and at the window's end.
@frozen
public struct ContinuousEventTimeTrigger<Element>: WindowTrigger {
    @usableFromInline let interval: Int64

    /// - Parameter interval: at least one millisecond.
    @inlinable
    public init(every interval: Duration) {
        precondition(interval.wholeMilliseconds > 0, "a trigger's interval is at least 1 ms")
        self.interval = interval.wholeMilliseconds
    }
    /// The next firing before the window's end.
    @inlinable
    public func makeState() -> EventTime? { nil }
    @inlinable
    public func onElement(
        _ element: Element, at time: EventTime, _ state: inout EventTime?, _ context: TriggerContext
    ) -> TriggerResult {
        let last = context.window.maxTimestamp
        if last <= context.watermark.time { return .fire }
        context.registerEventTimeTimer(at: last)
        if state == nil { schedule(&state, after: time, context) }
        return .continue
    }
    @inlinable
    public func onEventTime(
        _ time: EventTime, _ state: inout EventTime?, _ context: TriggerContext
    ) -> TriggerResult {
        if time == context.window.maxTimestamp { return .fire }
        guard time == state else { return .continue }
        schedule(&state, after: time, context)
        return .fire
    }
    @inlinable public var canMerge: Bool { true }
    @inlinable
    public func merge(_ other: EventTime?, into state: inout EventTime?) {
        if let other { state = min(state ?? other, other) }
    }
    @inlinable
    public func onMerge(_ state: inout EventTime?, _ context: TriggerContext) {
        if let state { context.registerEventTimeTimer(at: state) }
        let last = context.window.maxTimestamp
        if last > context.watermark.time { context.registerEventTimeTimer(at: last) }
    }
    @inlinable
    func schedule(_ state: inout EventTime?, after time: EventTime, _ context: TriggerContext) {
        let start = time.advanced(byMilliseconds: -time.milliseconds.flooredDivision(by: interval).remainder)
        let next = min(start.advanced(byMilliseconds: interval), context.window.maxTimestamp)
        context.registerEventTimeTimer(at: next)
        state = next
    }
}

/// Fires at every multiple of an interval of processing time as long as records come.
@frozen
public struct ContinuousProcessingTimeTrigger<Element>: WindowTrigger {
    @usableFromInline let interval: Int64

    /// - Parameter interval: at least one millisecond.
    @inlinable
    public init(every interval: Duration) {
        precondition(interval.wholeMilliseconds > 0, "a trigger's interval is at least 1 ms")
        self.interval = interval.wholeMilliseconds
    }
    /// The next firing.
    @inlinable
    public func makeState() -> EventTime? { nil }
    @inlinable
    public func onElement(
        _ element: Element, at time: EventTime, _ state: inout EventTime?, _ context: TriggerContext
    ) -> TriggerResult {
        if state == nil { schedule(&state, context) }
        return .continue
    }
    @inlinable
    public func onProcessingTime(
        _ time: EventTime, _ state: inout EventTime?, _ context: TriggerContext
    ) -> TriggerResult {
        guard time == state else { return .continue }
        schedule(&state, context)
        return .fire
    }
    @inlinable public var canMerge: Bool { true }
    @inlinable
    public func merge(_ other: EventTime?, into state: inout EventTime?) {
        if let other { state = min(state ?? other, other) }
    }
    @inlinable
    public func onMerge(_ state: inout EventTime?, _ context: TriggerContext) {
        if let state { context.registerProcessingTimeTimer(at: state) }
    }
    @inlinable
    func schedule(_ state: inout EventTime?, _ context: TriggerContext) {
        let now = context.processingTime
        let start = now.advanced(byMilliseconds: -now.milliseconds.flooredDivision(by: interval).remainder)
        let next = start.advanced(byMilliseconds: interval)
        context.registerProcessingTimeTimer(at: next)
        state = next
    }
}

/// Fires when another trigger does, and forgets the records each time.
@frozen
public struct PurgingTrigger<Inner: WindowTrigger>: WindowTrigger {
    public typealias Element = Inner.Element
    public typealias State = Inner.State
    @usableFromInline let inner: Inner

    @inlinable
    public init(of inner: Inner) { self.inner = inner }
    @inlinable
    public func makeState() -> State { inner.makeState() }
    @inlinable
    public func onElement(
        _ element: Element, at time: EventTime, _ state: inout State, _ context: TriggerContext
    ) -> TriggerResult { purging(inner.onElement(element, at: time, &state, context)) }
    @inlinable
    public func onEventTime(_ time: EventTime, _ state: inout State, _ context: TriggerContext) -> TriggerResult {
        purging(inner.onEventTime(time, &state, context))
    }
    @inlinable
    public func onProcessingTime(_ time: EventTime, _ state: inout State, _ context: TriggerContext) -> TriggerResult {
        purging(inner.onProcessingTime(time, &state, context))
    }
    @inlinable public var canMerge: Bool { inner.canMerge }
    @inlinable
    public func merge(_ other: State, into state: inout State) { inner.merge(other, into: &state) }
    @inlinable
    public func onMerge(_ state: inout State, _ context: TriggerContext) { inner.onMerge(&state, context) }
    @inlinable
    func purging(_ result: TriggerResult) -> TriggerResult { result.isFire ? .fireAndPurge : result }
}

/// Never fires.
@frozen
public struct NeverTrigger<Element>: WindowTrigger {
    @inlinable
    public init() {}
    @inlinable
    public func makeState() -> NoTriggerState { NoTriggerState() }
    @inlinable
    public func onElement(
        _ element: Element, at time: EventTime, _ state: inout NoTriggerState, _ context: TriggerContext
    ) -> TriggerResult { .continue }
    @inlinable public var canMerge: Bool { true }
}
