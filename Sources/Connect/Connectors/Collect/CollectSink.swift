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

    func append(_ elements: [(Element, EventTime)]) { contents.withLock { $0 += elements } }
}

/// A sink that gathers records in memory: for tests and small results.
public struct CollectSink<Element: Sendable>: Sink {
    /// When records can be seen.
    public enum Visibility: Sendable, Hashable {
        /// As soon as they arrive; after a failure some may come twice.
        case atOnce
        /// When they are committed: with the checkpoint they belong to, or at the end. Exactly once.
        case whenCommitted
    }

    public let kind = "collect"
    public let target: Collected<Element>
    public let visibility: Visibility

    public init(_ target: Collected<Element>, visible visibility: Visibility = .atOnce) {
        self.target = target
        self.visibility = visibility
    }

    public func makeWriter(_ context: SinkContext) -> Writer { Writer(target, visibility) }

    public final class Writer: SinkWriter {
        private let target: Collected<Element>
        private let visibility: Visibility
        private var pending: [(Element, EventTime)] = []

        init(_ target: Collected<Element>, _ visibility: Visibility) {
            self.target = target
            self.visibility = visibility
        }

        public func write(_ batch: Batch<Element>) {
            let elements = (0..<batch.count).map { index in
                (batch.rows[index], EventTime(milliseconds: batch.time(at: index)))
            }
            switch visibility {
            case .atOnce: target.append(elements)
            case .whenCommitted: pending += elements
            }
        }

        public func prepare(_ request: PrepareRequest) -> PreparedOutput<NoCommittable, NoWriterState> {
            guard !pending.isEmpty else { return PreparedOutput() }
            let (target, elements) = (target, pending)
            pending = []
            return PreparedOutput(publish: SinkCommit("collect", commit: { target.append(elements) }))
        }
    }
}

extension Sink {
    /// Gathers records in memory.
    public static func collect<Element: Sendable>(
        _ target: Collected<Element>, visible visibility: CollectSink<Element>.Visibility = .atOnce
    ) -> CollectSink<Element> where Self == CollectSink<Element> { CollectSink(target, visible: visibility) }
}
