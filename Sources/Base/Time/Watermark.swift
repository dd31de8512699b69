// SPDX-License-Identifier: Apache-2.0
//  How far event time has come.

/// A promise on a stream: no record with a timestamp at or before `time` will follow (late records break it and are
/// treated as late).
@frozen
public struct Watermark: Hashable, Comparable, Sendable {
    public var time: EventTime

    @inlinable
    public init(_ time: EventTime) { self.time = time }

    /// Nothing is promised yet.
    @inlinable public static var none: Watermark { Watermark(.min) }
    /// Nothing more will come.
    @inlinable public static var end: Watermark { Watermark(.max) }

    @inlinable
    public static func < (left: Watermark, right: Watermark) -> Bool { left.time < right.time }
}
