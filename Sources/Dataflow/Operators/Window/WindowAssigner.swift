// SPDX-License-Identifier: Apache-2.0
//  Which windows a record belongs to.

import ThalwegBase

/// A stretch of time from `start` up to and without `end`.
@frozen
public struct TimeWindow: Hashable, Comparable, Codable, Sendable {
    public var start: EventTime
    public var end: EventTime

    @inlinable
    public init(start: EventTime, end: EventTime) {
        self.start = start
        self.end = end
    }

    @inlinable
    public init(_ start: Int64, _ end: Int64) {
        self.init(start: EventTime(milliseconds: start), end: EventTime(milliseconds: end))
    }

    /// The last millisecond that belongs to the window: results carry it as their timestamp.
    @inlinable public var maxTimestamp: EventTime { end.advanced(byMilliseconds: -1) }

    @inlinable
    public static func < (left: TimeWindow, right: TimeWindow) -> Bool {
        left.start != right.start ? left.start < right.start : left.end < right.end
    }

    /// The one window of `.global`.
    @inlinable public static var global: TimeWindow { TimeWindow(.min, .max) }
}

/// How a keyed stream is cut into windows.
public enum WindowAssigner: Hashable, Sendable {
    /// Windows of equal size, one after the other; they start at multiples of `size` after `offset`.
    case tumbling(size: Duration, offset: Duration = .zero)
    /// Windows of equal size that start every `slide`.
    case sliding(size: Duration, slide: Duration, offset: Duration = .zero)
    /// Windows that end when no record has come for `gap`: a record exactly `gap` after the last opens a new one.
    case session(gap: Duration)
    /// One window for ever; fires only by a trigger.
    case global
    /// As `tumbling`, by the time of day at which records are processed.
    case processingTimeTumbling(size: Duration, offset: Duration = .zero)
    /// As `sliding`, by the time of day at which records are processed.
    case processingTimeSliding(size: Duration, slide: Duration, offset: Duration = .zero)
    /// As `session`, by the time of day at which records are processed.
    case processingTimeSession(gap: Duration)

    /// Windows of equal size, one after the other.
    public static func tumbling(_ size: Duration) -> WindowAssigner { .tumbling(size: size) }

    /// Which clock closes the windows.
    public var domain: TimeDomain {
        switch self {
        case .tumbling, .sliding, .session, .global: .eventTime
        case .processingTimeTumbling, .processingTimeSliding, .processingTimeSession: .processingTime
        }
    }

    /// For windows of fixed size: how they lie on the time line.
    public func grid() throws(ThalwegError) -> WindowGrid? {
        switch self {
        case .tumbling(let size, let offset), .processingTimeTumbling(let size, let offset):
            try WindowGrid(size: size, slide: size, offset: offset)
        case .sliding(let size, let slide, let offset), .processingTimeSliding(let size, let slide, let offset):
            try WindowGrid(size: size, slide: slide, offset: offset)
        case .session, .processingTimeSession, .global: nil
        }
    }

    /// For session windows: the gap in milliseconds.
    public var gap: Duration? {
        switch self {
        case .session(let gap), .processingTimeSession(let gap): gap
        default: nil
        }
    }
}

/// Windows of fixed size on the time line, cut into panes: the greatest stretches that lie wholly inside or outside of
/// every window. All in milliseconds.
@frozen
public struct WindowGrid: Hashable, Sendable {
    public let size: Int64
    public let slide: Int64
    public let offset: Int64
    /// The length of a pane: the greatest common divisor of size and slide.
    public let pane: Int64

    /// - Throws: `ThalwegError(.job)` for sizes and slides that are not whole, positive milliseconds.
    public init(size: Duration, slide: Duration, offset: Duration) throws(ThalwegError) {
        let (size, slide, offset) = (size.wholeMilliseconds, slide.wholeMilliseconds, offset.wholeMilliseconds)
        guard size > 0, slide > 0, size < 1 << 50, slide < 1 << 50, offset > -slide, offset < slide else {
            throw ThalwegError(
                .job, "a window's size, slide or offset is out of range",
                detail: "size \(size) ms, slide \(slide) ms, offset \(offset) ms",
                hint: "size and slide are at least 1 ms, the offset is smaller than the slide")
        }
        self.size = size
        self.slide = slide
        self.offset = offset
        var (a, b) = (size, slide)
        while b != 0 { (a, b) = (b, a % b) }
        pane = a
    }

    /// The start of the pane of a moment.
    @inlinable
    public func paneStart(_ time: Int64) -> Int64 { time &- (time &- offset).flooredDivision(by: pane).remainder }

    /// The end of the earliest window that contains a pane; beyond `lastEnd` when none does (slide > size).
    @inlinable
    public func firstEnd(pane start: Int64) -> Int64 {
        let remainder = (start &- offset &- size).flooredDivision(by: slide).remainder
        return start &+ slide &- remainder
    }

    /// The end of the latest window that contains a pane.
    @inlinable
    public func lastEnd(pane start: Int64) -> Int64 {
        start &- (start &- offset).flooredDivision(by: slide).remainder &+ size
    }
}
