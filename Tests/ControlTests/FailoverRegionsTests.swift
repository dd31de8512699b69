// SPDX-License-Identifier: Apache-2.0
//  Regions and restart sets, against a naive twin that draws every channel.

import Testing
import ThalwegBase
import ThalwegControl

@Test func chainsAreRegionsOfTheirOwn() throws {
    let graph = try FailoverGraph(
        parallelism: [4, 4, 4], edges: [.init(from: 0, to: 1, .oneToOne), .init(from: 1, to: 2, .oneToOne)])
    let regions = FailoverRegions(graph)
    #expect(regions.count == 4)
    let failed = TaskID(vertex: 1, subtask: 2)
    let set = regions.restartSet(failed: [failed])
    #expect(set.tasks == (0..<3).map { TaskID(vertex: $0, subtask: 2) })
    #expect(regions.region(of: failed) == 2)
    #expect(regions.region(of: TaskID(vertex: 3, subtask: 0)) == nil)
    #expect(regions.everything.tasks.count == 12)
}

@Test func allToAllMakesOneRegion() throws {
    let edges = [FailoverGraph.Edge(from: 0, to: 1, .oneToOne), .init(from: 1, to: 2, .allToAll)]
    #expect(FailoverRegions(try FailoverGraph(parallelism: [3, 3, 5], edges: edges)).count == 1)
}

@Test func blockingEdgesAreBorders() throws {
    let graph = try FailoverGraph(parallelism: [4, 4], edges: [.init(from: 0, to: 1, .allToAll, .blocking)])
    let regions = FailoverRegions(graph)
    let consumer = TaskID(vertex: 1, subtask: 3)
    #expect(regions.restartSet(failed: [consumer]).tasks == [consumer])
    let lost: Set = [ResultID(edge: 0, producer: 1)]
    let consumers = tasks(4, vertex: 1)
    let producer = TaskID(vertex: 0, subtask: 1)
    #expect(regions.restartSet(failed: [consumer], unavailable: lost).tasks == [producer] + consumers)
    #expect(
        regions.restartSet(failed: [consumer], unavailable: lost, neverScheduled: [5, 6]).tasks
            == [producer, consumers[0], consumers[3]])
    #expect(regions.restartSet(failed: [producer]).tasks == [producer] + consumers)
}

@Test func brokenGraphsAreRefused() {
    #expect(throws: ThalwegError.self) {
        try FailoverGraph(parallelism: [2, 3], edges: [.init(from: 0, to: 1, .oneToOne)])
    }
    #expect(throws: ThalwegError.self) {
        try FailoverGraph(parallelism: [2], edges: [.init(from: 0, to: 1, .allToAll)])
    }
    #expect(throws: ThalwegError.self) { try FailoverGraph(parallelism: [0], edges: []) }
}

@Test func workDoesNotGrowWithChannels() throws {
    let wide = 10_000
    var edges = [FailoverGraph.Edge(from: 0, to: 1, .allToAll)]
    edges.append(.init(from: 2, to: 3, .oneToOne))
    let regions = FailoverRegions(try FailoverGraph(parallelism: [wide, wide, wide, wide], edges: edges))
    #expect(regions.count == 1 + wide)
    #expect(regions.steps <= 10 * wide)
    #expect(regions.restartSet(failed: [TaskID(vertex: 1, subtask: 77)]).tasks.count == 2 * wide)
    #expect(regions.restartSet(failed: [TaskID(vertex: 3, subtask: 77)]).tasks.count == 2)
}

/// Every channel of a graph: producer, consumer, edge.
private func channels(_ graph: FailoverGraph) -> [(from: TaskID, to: TaskID, edge: Int)] {
    graph.edges.enumerated().flatMap { index, edge in
        let (left, right) = (graph.parallelism[edge.producer], graph.parallelism[edge.consumer])
        return (0..<right).flatMap { consumer in
            (0..<left).filter { producer in
                switch edge.pattern {
                case .allToAll: true
                case .oneToOne: producer == consumer
                case .rescale:
                    left > right
                        ? consumer == ((producer + 1) * right - 1) / left : producer == consumer * left / right
                }
            }.map { producer in
                (
                    TaskID(vertex: Int32(edge.producer), subtask: Int32(producer)),
                    TaskID(vertex: Int32(edge.consumer), subtask: Int32(consumer)), index
                )
            }
        }
    }
}

/// Grows a set by one channel at a time until nothing changes.
private func naiveSet(_ graph: FailoverGraph, failed: TaskID, unavailable: Set<ResultID>) -> [TaskID] {
    var set: Set = [failed]
    var size = 0
    let all = channels(graph)
    while size != set.count {
        size = set.count
        for channel in all {
            let isPipelined = graph.edges[channel.edge].result == .pipelined
            if set.contains(channel.from) { set.insert(channel.to) }
            let isGone = unavailable.contains(ResultID(edge: channel.edge, producer: Int(channel.from.subtask)))
            if set.contains(channel.to), isPipelined || isGone { set.insert(channel.from) }
        }
    }
    return set.sorted()
}

@Test(arguments: 0..<200 as Range<UInt64>) func restartSetsAsDrawnByHand(seed: UInt64) throws {
    var random = SeededRandom(seed: seed)
    let count = Int.random(in: 1...5, using: &random)
    let parallelism = (0..<count).map { _ in Int.random(in: 1...6, using: &random) }
    var edges: [FailoverGraph.Edge] = []
    for consumer in 1..<max(count, 1) where count > 1 {
        for producer in 0..<consumer where Int.random(in: 0..<2, using: &random) == 0 {
            let isSame = parallelism[producer] == parallelism[consumer]
            let patterns: [FailoverGraph.Pattern] = isSame ? [.oneToOne, .rescale, .allToAll] : [.rescale, .allToAll]
            edges.append(
                .init(
                    from: producer, to: consumer, patterns.randomElement(using: &random) ?? .allToAll,
                    Bool.random(using: &random) ? .blocking : .pipelined))
        }
    }
    let graph = try FailoverGraph(parallelism: parallelism, edges: edges)
    let regions = FailoverRegions(graph)
    var unavailable: Set<ResultID> = []
    for (index, edge) in edges.enumerated() where edge.result == .blocking {
        for producer in 0..<parallelism[edge.producer] where Int.random(in: 0..<4, using: &random) == 0 {
            unavailable.insert(ResultID(edge: index, producer: producer))
        }
    }
    for task in regions.everything.tasks {
        let set = regions.restartSet(failed: [task], unavailable: unavailable)
        #expect(set.tasks == naiveSet(graph, failed: task, unavailable: unavailable))
        #expect(regions.tasks(of: regions.region(of: task) ?? 0).contains(task))
    }
    for (left, right) in [(3, 7), (7, 3), (4, 4), (1, 5), (5, 1), (6, 4)] {
        for producer in 0..<left {
            let consumers = (0..<right).filter {
                FailoverGraph.producers(of: $0, producerCount: left, consumerCount: right).contains(producer)
            }
            #expect(
                Array(FailoverGraph.consumers(of: producer, producerCount: left, consumerCount: right)) == consumers)
        }
    }
}
