// SPDX-License-Identifier: Apache-2.0
//  When a window fires, as a user may decide it.

import ThalwegBase
import ThalwegState

/// What a trigger decides.
@frozen
public enum TriggerResult: String, Codable, Sendable, Hashable {
    /// Nothing happens.
    case `continue`
    /// The window's result so far is emitted.
    case fire
    /// The window's records are forgotten; the window stays.
    case purge
    /// The window's result is emitted, then its records are forgotten.
    case fireAndPurge

    @inlinable public var isFire: Bool { self == .fire || self == .fireAndPurge }
    @inlinable public var isPurge: Bool { self == .purge || self == .fireAndPurge }
}

/// Decides when the windows of a stream fire. A trigger is a value; what it must remember of a window is its `State`.
///
///     struct EveryTenth: WindowTrigger {
///         func makeState() -> Int { 0 }
///         func onElement(_ bid: Bid, at time: EventTime, _ state: inout Int, _ context: TriggerContext) -> TriggerResult {
///             state += 1
///             return state % 10 == 0 ? .fire : .continue
///         }
///     }
///
/// All calls concern one window of one key. Timers that a window has registered go away with it. Results of windows
/// carry the window's last millisecond, those of the global window the time of the record or timer that fired it.
public protocol WindowTrigger<Element>: Sendable {
    associatedtype Element
    /// What is remembered of one window of one key. A global window without records whose state is again as
    /// ``makeState()`` made it is forgotten.
    associatedtype State: Codable & Sendable & Equatable
    func makeState() -> State
    /// A record has been added to the window.
    func onElement(
        _ element: Element, at time: EventTime, _ state: inout State, _ context: TriggerContext) -> TriggerResult
    /// The watermark has reached an event-time timer of the window.
    func onEventTime(_ time: EventTime, _ state: inout State, _ context: TriggerContext) -> TriggerResult
    /// Processing time has reached a timer of the window.
    func onProcessingTime(_ time: EventTime, _ state: inout State, _ context: TriggerContext) -> TriggerResult
    /// Whether sessions may merge under this trigger.
    var canMerge: Bool { get }
    /// Folds in the state of a window that has become part of this one.
    func merge(_ other: State, into state: inout State)
    /// Windows have merged into the one at hand; their timers are gone: registers those of the new one.
    func onMerge(_ state: inout State, _ context: TriggerContext)
}

extension WindowTrigger {
    @inlinable
    public func onEventTime(_ time: EventTime, _ state: inout State, _ context: TriggerContext) -> TriggerResult {
        .continue
    }
    @inlinable
    public func onProcessingTime(_ time: EventTime, _ state: inout State, _ context: TriggerContext) -> TriggerResult {
        .continue
    }
    @inlinable public var canMerge: Bool { false }
    @inlinable
    public func merge(_ other: State, into state: inout State) {}
    @inlinable
    public func onMerge(_ state: inout State, _ context: TriggerContext) {}
}

/// What a trigger may ask and set: the window at hand, the clocks, the window's timers.
public final class TriggerContext {
    // Used by one task alone; the operator sets these before each call.
    /// The window at hand.
    @exclusivity(unchecked) public private(set) var window = TimeWindow.global
    /// How far event time has come.
    @exclusivity(unchecked) public private(set) var watermark = Watermark.none
    /// The time of day.
    @exclusivity(unchecked) public private(set) var processingTime = EventTime.min
    /// The timers of the window at hand, and those that the call has taken back.
    @exclusivity(unchecked) @usableFromInline var timers = WindowTimers()
    @exclusivity(unchecked) @usableFromInline var deleted = WindowTimers()
    /// Whether the call has registered a timer.
    @exclusivity(unchecked) @usableFromInline var hasRegistered = false

    @usableFromInline
    init() {}

    @usableFromInline
    func begin(_ window: TimeWindow, watermark: Int64, processingTime: Int64) {
        self.window = window
        self.watermark = Watermark(EventTime(milliseconds: watermark))
        self.processingTime = EventTime(milliseconds: processingTime)
        hasRegistered = false
    }

    /// Calls ``WindowTrigger/onEventTime(_:_:_:)`` once the watermark reaches `time`. Twice is once.
    public func registerEventTimeTimer(at time: EventTime) {
        if timers.event.contains(time.milliseconds) { return }
        timers.event.append(time.milliseconds)
        hasRegistered = true
    }

    public func deleteEventTimeTimer(at time: EventTime) {
        guard let index = timers.event.firstIndex(of: time.milliseconds) else { return }
        deleted.event.append(timers.event.remove(at: index))
    }

    /// Calls ``WindowTrigger/onProcessingTime(_:_:_:)`` once processing time reaches `time`. Twice is once.
    public func registerProcessingTimeTimer(at time: EventTime) {
        if timers.processing.contains(time.milliseconds) { return }
        timers.processing.append(time.milliseconds)
        hasRegistered = true
    }

    public func deleteProcessingTimeTimer(at time: EventTime) {
        guard let index = timers.processing.firstIndex(of: time.milliseconds) else { return }
        deleted.processing.append(timers.processing.remove(at: index))
    }
}

/// The timers that the trigger of one window has registered.
@frozen
public struct WindowTimers: Codable, Sendable, Hashable {
    @usableFromInline var event: [Int64] = []
    @usableFromInline var processing: [Int64] = []

    @inlinable
    init() {}

    @inlinable var isEmpty: Bool { event.isEmpty && processing.isEmpty }
}

/// The state of triggers that remember nothing.
@frozen
public struct NoTriggerState: Codable, Sendable, Hashable {
    @inlinable
    public init() {}
}
