// SPDX-License-Identifier: Apache-2.0
//  A moment in event time.

/// A moment in event time: milliseconds since 1970-01-01T00:00:00Z.
///
/// Coded as one `Int64`. Text formats also accept ISO 8601 (`2015-07-15T00:00:02.000`, read as UTC unless it
/// carries an offset).
@frozen
public struct EventTime: Hashable, Comparable, Sendable {
    /// Milliseconds since 1970 UTC.
    public var milliseconds: Int64

    @inlinable
    public init(milliseconds: Int64) { self.milliseconds = milliseconds }

    /// The earliest moment; also stands for "this record has no timestamp".
    @inlinable public static var min: EventTime { EventTime(milliseconds: .min) }
    /// The latest moment; as a watermark it says that nothing more will come.
    @inlinable public static var max: EventTime { EventTime(milliseconds: .max) }

    @inlinable
    public static func < (left: EventTime, right: EventTime) -> Bool { left.milliseconds < right.milliseconds }

    /// The moment `duration` later, clamped to the representable range.
    @inlinable
    public static func + (time: EventTime, duration: Duration) -> EventTime {
        time.advanced(byMilliseconds: duration.wholeMilliseconds)
    }

    /// The moment `duration` earlier, clamped to the representable range.
    @inlinable
    public static func - (time: EventTime, duration: Duration) -> EventTime {
        let milliseconds = duration.wholeMilliseconds
        return time.advanced(byMilliseconds: milliseconds == .min ? .max : -milliseconds)
    }

    /// The moment `delta` milliseconds later, clamped: absurd inputs never wrap around.
    @inlinable
    public func advanced(byMilliseconds delta: Int64) -> EventTime {
        let (sum, overflow) = milliseconds.addingReportingOverflow(delta)
        return EventTime(milliseconds: overflow ? (delta > 0 ? .max : .min) : sum)
    }
}

extension EventTime: Codable {
    public init(from decoder: any Decoder) throws {
        self.init(milliseconds: try decoder.singleValueContainer().decode(Int64.self))
    }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(milliseconds)
    }
}

extension Duration {
    /// The whole milliseconds in this duration (rounded towards zero, clamped to `Int64`).
    @inlinable
    public var wholeMilliseconds: Int64 {
        let (seconds, attoseconds) = components
        let (thousands, overflow) = seconds.multipliedReportingOverflow(by: 1000)
        if overflow { return seconds > 0 ? .max : .min }
        let (sum, second) = thousands.addingReportingOverflow(attoseconds / 1_000_000_000_000_000)
        return second ? (seconds > 0 ? .max : .min) : sum
    }

    @inlinable
    public static func minutes(_ count: some BinaryInteger) -> Duration { .seconds(Int64(count) * 60) }
    @inlinable
    public static func hours(_ count: some BinaryInteger) -> Duration { .seconds(Int64(count) * 3600) }
}
