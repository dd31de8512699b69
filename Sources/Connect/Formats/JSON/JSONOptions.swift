// SPDX-License-Identifier: Apache-2.0
//  How JSON lines are written.

import ThalwegBase

/// The choices in writing JSON lines. Reading understands all of them.
@frozen
public struct JSONOptions: Hashable, Sendable {
    /// What becomes of nil.
    @frozen
    public enum Nulls: Hashable, Sendable {
        /// The field is there, with `null`.
        case written
        /// The field is left out.
        case omitted
    }

    /// How moments are written.
    @frozen
    public enum TimeFormat: Hashable, Sendable {
        /// A number: milliseconds since 1970 UTC.
        case milliseconds
        /// A string: `2015-07-15T00:00:02.000`, in UTC.
        case iso8601
        /// A string: `2015-07-15T00:00:02`, in UTC; what is finer than a second is cut.
        case iso8601Seconds
    }

    public var nulls = Nulls.written
    public var timeFormat = TimeFormat.milliseconds

    @inlinable
    public init(nulls: Nulls = .written, timeFormat: TimeFormat = .milliseconds) {
        self.nulls = nulls
        self.timeFormat = timeFormat
    }
}
