// SPDX-License-Identifier: Apache-2.0
//  How event time is derived from timestamps.

import ThalwegBase
import ThalwegOperator

/// How a stream's watermarks follow its timestamps, per split.
public struct WatermarkStrategy: Sendable {
    /// How far behind the greatest timestamp the watermark stays; nil for streams without watermarks.
    public var delay: Duration?
    /// After so long without a record a split no longer holds back event time; nil means it always does. The time it
    /// spends paused or held up by back-pressure does not count.
    public var idleness: Duration?
    /// Keeps this stream's splits within a drift of the slowest of a named group; nil lets them run ahead.
    public var alignment: Alignment?

    /// A group of splits, of one or several sources, that keep step in event time (FLIP-27, FLIP-182).
    public struct Alignment: Sendable, Hashable {
        public var group: String
        public var maxDrift: Duration
    }

    /// Records are at most `delay` out of order: the watermark is the greatest timestamp less `delay` less 1 ms.
    public static func boundedOutOfOrderness(_ delay: Duration) -> WatermarkStrategy { WatermarkStrategy(delay: delay) }

    /// Timestamps never fall within a split.
    public static var ascending: WatermarkStrategy { WatermarkStrategy(delay: .zero) }

    /// No watermarks until the end of the input.
    public static var none: WatermarkStrategy { WatermarkStrategy(delay: nil) }

    /// The same strategy with splits excluded after `timeout` without records.
    public func withIdleness(_ timeout: Duration) -> WatermarkStrategy {
        var strategy = self
        strategy.idleness = timeout
        return strategy
    }

    /// The same strategy with splits kept within `maxDrift` of the slowest of `group`.
    public func aligned(group: String, maxDrift: Duration) -> WatermarkStrategy {
        var strategy = self
        strategy.alignment = Alignment(group: group, maxDrift: maxDrift)
        return strategy
    }
}
