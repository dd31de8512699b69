// SPDX-License-Identifier: Apache-2.0
//  Gathers a stream in memory.

import Synchronization
import ThalwegBase
import ThalwegData
import ThalwegOperator

/// The records a ``CollectSink`` has gathered. Shared with the running job.
public final class Collected<Element: Sendable>: Sendable {
    private let contents = Guarded<[(Element, EventTime)]>([])

    public init() {}

    /// The records so far, in order of arrival (with one subtask: in stream order).
    public var elements: [Element] { contents.withLock { $0.map(\.0) } }
    /// The records so far with their timestamps; `EventTime.min` when a record has none.
    public var timed: [(element: Element, time: EventTime)] { contents.withLock { $0.map { ($0.0, $0.1) } } }
    public var count: Int { contents.withLock { $0.count } }

    func append(_ batch: Batch<Element>) {
        contents.withLock { contents in
            for index in 0..<batch.count {
                contents.append((batch.rows[index], EventTime(milliseconds: batch.time(at: index))))
            }
        }
    }
}

/// A sink that gathers records in memory: for tests and small results.
public struct CollectSink<Element: Sendable>: Sink {
    public let kind = "collect"
    public let target: Collected<Element>

    public init(_ target: Collected<Element>) { self.target = target }

    public func makeWriter(_ context: SinkContext) -> Writer { Writer(target) }

    public final class Writer: SinkWriter {
        private let target: Collected<Element>
        init(_ target: Collected<Element>) { self.target = target }
        public func write(_ batch: Batch<Element>) { target.append(batch) }
        public func finish() -> [SinkCommit] { [] }
    }
}

extension Sink {
    /// Gathers records in memory.
    public static func collect<Element: Sendable>(
        _ target: Collected<Element>
    ) -> CollectSink<Element> where Self == CollectSink<Element> { CollectSink(target) }
}
