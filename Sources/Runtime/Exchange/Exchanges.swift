// SPDX-License-Identifier: Apache-2.0
//  Which subtasks an edge of the graph joins.

import ThalwegControl
import ThalwegGraph
import ThalwegOperator

extension StreamEdge {
    /// What a record takes in a batch of the edge's channels.
    var exchangedRowBytes: Int { (combined?.type ?? type).rowBytes }
}

extension JobGraph {
    /// The producer subtasks that send to a consumer subtask over an edge.
    func senders(of edge: StreamEdge, into node: Int, _ subtask: Int) -> [Int] {
        (0..<parallelism(of: edge.source)).filter { receivers(of: edge, into: node, from: $0).contains(subtask) }
    }

    /// The consumer subtasks that a producer subtask sends to over an edge.
    func receivers(of edge: StreamEdge, into node: Int, from subtask: Int) -> [Int] {
        let (producers, consumers) = (parallelism(of: edge.source), parallelism(of: node))
        switch partitioning(of: edge, into: node) {
        case .forward: return [subtask]
        case .global: return [0]
        case .rescale:
            return Array(
                FailoverGraph.consumers(of: subtask, producerCount: producers, consumerCount: consumers))
        case .hash, .rebalance, .broadcast: return Array(0..<consumers)
        }
    }

    /// All edges that are not chained, with their channels.
    var exchanges: [ExchangeEdge] {
        streamGraph.nodes.flatMap { node in
            node.inputs.filter { !isChained($0, into: node.id) }.map { edge in
                let channels = (0..<parallelism(of: edge.source)).reduce(0) {
                    $0 + receivers(of: edge, into: node.id, from: $1).count
                }
                return ExchangeEdge(channels: channels, rowBytes: edge.exchangedRowBytes)
            }
        }
    }
}
