// SPDX-License-Identifier: Apache-2.0
//  The graph as failover sees it: vertices, and edges as groups (FLIP-1).

import ThalwegBase

/// The graph as failover sees it. Its size does not depend on how many channels an edge has.
public struct FailoverGraph: Hashable, Sendable {
    /// Which producers a consumer of an edge reads.
    public enum Pattern: Hashable, Sendable {
        /// Every producer.
        case allToAll
        /// The producer of the same number; both sides have the same parallelism.
        case oneToOne
        /// A few neighbouring ones: see ``FailoverGraph/producers(of:producerCount:consumerCount:)``.
        case rescale
    }

    /// What becomes of the data of an edge once it is sent.
    public enum Result: Hashable, Sendable {
        /// Gone: producer and consumers restart together.
        case pipelined
        /// Kept until it is released: a border of regions.
        case blocking
    }

    public struct Edge: Hashable, Sendable {
        public var producer: Int
        public var consumer: Int
        public var pattern: Pattern
        public var result: Result

        public init(from producer: Int, to consumer: Int, _ pattern: Pattern, _ result: Result = .pipelined) {
            self.producer = producer
            self.consumer = consumer
            self.pattern = pattern
            self.result = result
        }
    }

    /// The number of subtasks of each vertex.
    public let parallelism: [Int]
    public let edges: [Edge]

    /// - Throws: a `ThalwegError(.bug)` for an edge to nowhere or a one-to-one edge between different parallelisms.
    public init(parallelism: [Int], edges: [Edge]) throws {
        self.parallelism = parallelism
        self.edges = edges
        if let vertex = parallelism.firstIndex(where: { $0 < 1 }) {
            throw Self.broken("vertex \(vertex) has \(parallelism[vertex]) subtasks")
        }
        for (index, edge) in edges.enumerated() {
            guard parallelism.indices.contains(edge.producer), parallelism.indices.contains(edge.consumer) else {
                throw Self.broken("edge \(index) from \(edge.producer) to \(edge.consumer) leaves the graph")
            }
            let counts = (parallelism[edge.producer], parallelism[edge.consumer])
            guard edge.pattern != .oneToOne || counts.0 == counts.1 else {
                throw Self.broken("edge \(index) is one to one between \(counts.0) and \(counts.1) subtasks")
            }
        }
    }

    private static func broken(_ detail: String) -> ThalwegError {
        ThalwegError(.bug, "graph for failover is broken", detail: detail, hint: "report this with the job's plan")
    }

    /// The producers that a consumer of a rescaling edge reads: neighbours share nothing when there are more producers
    /// than consumers, and share one producer otherwise.
    public static func producers(of consumer: Int, producerCount: Int, consumerCount: Int) -> Range<Int> {
        let start = consumer * producerCount / consumerCount
        guard producerCount > consumerCount else { return start..<(start + 1) }
        return start..<((consumer + 1) * producerCount / consumerCount)
    }

    /// The other direction of `producers(of:producerCount:consumerCount:)`.
    public static func consumers(of producer: Int, producerCount: Int, consumerCount: Int) -> Range<Int> {
        if producerCount > consumerCount {
            let consumer = ((producer + 1) * consumerCount - 1) / producerCount
            return consumer..<(consumer + 1)
        }
        let start = (producer * consumerCount + producerCount - 1) / producerCount
        return start..<(((producer + 1) * consumerCount + producerCount - 1) / producerCount)
    }
}

/// What one subtask has produced for one blocking edge.
public struct ResultID: Hashable, Sendable {
    /// The edge, by its place in ``FailoverGraph/edges``.
    public var edge: Int
    /// The producing subtask.
    public var producer: Int

    public init(edge: Int, producer: Int) {
        self.edge = edge
        self.producer = producer
    }
}
