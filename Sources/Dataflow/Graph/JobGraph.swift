// SPDX-License-Identifier: Apache-2.0
//  What will run: vertices of chained steps and the exchanges between them.

import ThalwegBase
import ThalwegOperator

/// A chain of steps that run as one task per subtask.
public struct JobVertex: Sendable {
    public let id: Int
    /// The node numbers, inputs before consumers.
    public fileprivate(set) var nodes: [Int]
    public let parallelism: Int
}

/// The graph after chaining: which steps share a task and what crosses between tasks.
public struct JobGraph: Sendable {
    public let streamGraph: StreamGraph
    public private(set) var vertices: [JobVertex] = []
    /// The vertex of each node.
    public private(set) var vertexOf: [Int] = []
    public let maxParallelism: Int

    /// Chains the steps of a program.
    ///
    /// A step joins the task of its inputs when all of them come from one task of the same parallelism and no record
    /// can need another subtask: over forward edges, and over any edge when there is one subtask.
    ///
    /// - Throws: `ThalwegError(.job)` for a graph that cannot run.
    public init(_ graph: StreamGraph, parallelism: Int, maxParallelism: Int) throws(ThalwegError) {
        streamGraph = graph
        self.maxParallelism = maxParallelism
        guard !graph.nodes.isEmpty else {
            throw ThalwegError(.job, "the job has no steps", hint: "read a source and write to a sink in build(_:)")
        }
        guard (1...KeyGroup.countMax).contains(maxParallelism) else {
            throw ThalwegError(
                .job, "the maximum parallelism is out of range",
                detail: "\(maxParallelism) is not in 1...\(KeyGroup.countMax)",
                hint: "it is the number of key groups: a few for each subtask there will ever be, 128 by default")
        }
        guard (1...maxParallelism).contains(parallelism) else {
            throw ThalwegError(
                .job, "the parallelism is out of range", detail: "\(parallelism) is not in 1...\(maxParallelism)",
                hint: "choose a parallelism up to the maximum parallelism, or raise the latter")
        }
        var names: Set<String> = []
        if let twice = graph.nodes.first(where: { !names.insert($0.name).inserted }) {
            throw ThalwegError(
                .job, "two steps have the same name", detail: "\"\(twice.name)\"",
                hint: "give each step its own name: its state is known by it")
        }
        var places: [String: String] = [:]
        for node in graph.nodes where node.kind == "sink" {
            guard let place = node.details["writes to"] else { continue }
            if let other = places.updateValue(node.name, forKey: place) {
                throw ThalwegError(
                    .job, "two sinks write to the same place", detail: "\"\(other)\" and \"\(node.name)\": \(place)",
                    hint: "union the streams before one sink, or name another output")
            }
        }
        for node in graph.nodes {
            let wanted = node.parallelism ?? parallelism
            let width = min(wanted, node.parallelismMax ?? wanted)
            try Self.check(node, width: width, maxParallelism: maxParallelism)
            if let vertex = Self.chain(of: node, width: width, vertices: vertices, vertexOf: vertexOf) {
                vertices[vertex].nodes.append(node.id)
                vertexOf.append(vertex)
            } else {
                vertices.append(JobVertex(id: vertices.count, nodes: [node.id], parallelism: width))
                vertexOf.append(vertices.count - 1)
            }
        }
    }

    private static func check(_ node: StreamNode, width: Int, maxParallelism: Int) throws(ThalwegError) {
        guard (1...maxParallelism).contains(width) else {
            throw ThalwegError(
                .job, "the parallelism of a step is out of range",
                detail: "step \"\(node.name)\": \(width) is not in 1...\(maxParallelism)",
                hint: "choose a parallelism up to the maximum parallelism, or raise the latter")
        }
        var types: [String: String] = [:]
        for output in node.outputs {
            if let known = types[output.id], known != output.type {
                throw ThalwegError(
                    .job, "a side output is declared twice with different types",
                    detail: "step \"\(node.name)\" declares \"\(output.id)\" of \(known) and of \(output.type)",
                    hint: "give each side output its own id")
            }
            types[output.id] = output.type
        }
    }

    private static func chain(of node: StreamNode, width: Int, vertices: [JobVertex], vertexOf: [Int]) -> Int? {
        guard let first = node.inputs.first, !node.startsChain else { return nil }
        let vertex = vertexOf[first.source]
        let joins = node.inputs.allSatisfy { edge in
            vertexOf[edge.source] == vertex && vertices[vertex].parallelism == width
                && (edge.partitioning == .forward || width == 1)
        }
        return joins ? vertex : nil
    }

    /// The number of each vertex's first task when all tasks are counted through.
    public var firstTask: [Int] {
        var (first, next) = ([Int](), 0)
        for vertex in vertices {
            first.append(next)
            next += vertex.parallelism
        }
        return first
    }

    /// The number of tasks.
    public var taskCount: Int { vertices.reduce(0) { $0 + $1.parallelism } }

    /// How records of an edge find their subtask. A plain hand-over between steps of different parallelism rebalances.
    public func partitioning(of edge: StreamEdge, into node: Int) -> Partitioning {
        let same = parallelism(of: edge.source) == parallelism(of: node)
        return edge.partitioning == .forward && !same ? .rebalance : edge.partitioning
    }

    /// Whether an edge stays inside a task.
    public func isChained(_ edge: StreamEdge, into node: Int) -> Bool { vertexOf[edge.source] == vertexOf[node] }

    public func parallelism(of node: Int) -> Int { vertices[vertexOf[node]].parallelism }
}
