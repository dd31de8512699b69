// SPDX-License-Identifier: Apache-2.0
//  Swallows a stream.

import ThalwegBase
import ThalwegData
import ThalwegOperator

/// A sink that drops every record: for measuring.
public struct BlackHoleSink<Element: Sendable>: Sink {
    public let kind = "blackhole"

    @inlinable
    public init() {}

    @inlinable
    public func makeWriter(_ context: SinkContext) -> Writer { Writer() }

    public final class Writer: SinkWriter {
        @inlinable
        init() {}
        @inlinable
        public func write(_ batch: Batch<Element>) {}
    }
}

extension Sink {
    /// Drops every record.
    @inlinable
    public static func blackHole<Element: Sendable>() -> BlackHoleSink<Element> where Self == BlackHoleSink<Element> {
        BlackHoleSink()
    }
}
