// SPDX-License-Identifier: Apache-2.0
//  Which tasks restart together, and which must restart when one fails (FLIP-1).

/// The regions of a graph: subtasks that are connected by pipelined exchanges. They are numbered in the order of their
/// first tasks.
///
/// Time and memory are proportional to the number of subtasks and edges, never to the number of channels.
public struct FailoverRegions: Sendable {
    public let graph: FailoverGraph
    /// The steps that building took: one per subtask and per subtask of each end of an edge.
    public private(set) var steps = 0
    /// Index of the first subtask of each vertex, and the number of all subtasks.
    private let bases: [Int]
    /// The region of each subtask.
    private var regions: [Int32] = []
    /// The members of region r are `members[starts[r]..<starts[r + 1]]`.
    private var starts: [Int] = [0]
    private var members: [Int32] = []
    private let inputs: [[Int]]
    private let outputs: [[Int]]

    public init(_ graph: FailoverGraph) {
        self.graph = graph
        bases = graph.parallelism.reduce(into: [0]) { $0.append(($0.last ?? 0) + $1) }
        var inputs = [[Int]](repeating: [], count: graph.parallelism.count)
        var outputs = inputs
        for (index, edge) in graph.edges.enumerated() where edge.result == .blocking {
            inputs[edge.consumer].append(index)
            outputs[edge.producer].append(index)
        }
        self.inputs = inputs
        self.outputs = outputs
        var parents = (0..<(bases.last ?? 0)).map(Int32.init)
        for edge in graph.edges where edge.result == .pipelined { unite(edge, &parents) }
        number(&parents)
    }

    /// How many regions there are.
    public var count: Int { starts.count - 1 }

    /// The region of a task; nil for a task that is not in the graph.
    public func region(of task: TaskID) -> Int? {
        let vertex = Int(task.vertex)
        let subtask = Int(task.subtask)
        guard graph.parallelism.indices.contains(vertex), (0..<graph.parallelism[vertex]).contains(subtask) else {
            return nil
        }
        return Int(regions[bases[vertex] + subtask])
    }

    /// The tasks of a region, in order.
    public func tasks(of region: Int) -> [TaskID] {
        members[starts[region]..<starts[region + 1]].map { task(at: Int($0)) }
    }

    // MARK: Building

    private mutating func unite(_ edge: FailoverGraph.Edge, _ parents: inout [Int32]) {
        let producers = graph.parallelism[edge.producer]
        let consumers = graph.parallelism[edge.consumer]
        let from = bases[edge.producer]
        let to = bases[edge.consumer]
        steps += producers + consumers
        switch edge.pattern {
        case .allToAll:
            for producer in 0..<producers { Self.unite(from + producer, to, &parents) }
            for consumer in 0..<consumers { Self.unite(from, to + consumer, &parents) }
        case .oneToOne:
            for subtask in 0..<producers { Self.unite(from + subtask, to + subtask, &parents) }
        case .rescale:
            for consumer in 0..<consumers {
                let range = FailoverGraph.producers(
                    of: consumer, producerCount: producers, consumerCount: consumers)
                for producer in range { Self.unite(from + producer, to + consumer, &parents) }
            }
        }
    }

    private static func unite(_ left: Int, _ right: Int, _ parents: inout [Int32]) {
        let (a, b) = (root(left, &parents), root(right, &parents))
        // The smaller number leads, so that regions follow the order of their first tasks.
        if a < b { parents[b] = Int32(a) } else { parents[a] = Int32(b) }
    }

    private static func root(_ start: Int, _ parents: inout [Int32]) -> Int {
        var index = start
        while parents[index] != Int32(index) {
            parents[index] = parents[Int(parents[index])]
            index = Int(parents[index])
        }
        return index
    }

    private mutating func number(_ parents: inout [Int32]) {
        regions = [Int32](repeating: -1, count: parents.count)
        var sizes: [Int] = []
        for index in parents.indices {
            let root = Self.root(index, &parents)
            if root == index {
                regions[index] = Int32(sizes.count)
                sizes.append(1)
            } else {
                regions[index] = regions[root]
                sizes[Int(regions[root])] += 1
            }
        }
        steps += parents.count
        starts = sizes.reduce(into: [0]) { $0.append(($0.last ?? 0) + $1) }
        var next = starts
        members = [Int32](repeating: 0, count: parents.count)
        for index in parents.indices {
            let region = Int(regions[index])
            members[next[region]] = Int32(index)
            next[region] += 1
        }
    }

    private func task(at index: Int) -> TaskID {
        var low = 0
        var high = bases.count - 1
        while high - low > 1 {
            let middle = (low + high) / 2
            if bases[middle] <= index { low = middle } else { high = middle }
        }
        return TaskID(vertex: Int32(low), subtask: Int32(index - bases[low]))
    }

    // MARK: Deciding

    /// The regions and tasks that restart after failures.
    public struct RestartSet: Hashable, Sendable {
        /// Ascending.
        public var regions: [Int]
        /// In order.
        public var tasks: [TaskID]
    }

    /// What restarts when tasks fail: their regions; of each region in the set the producers of results that it needs
    /// and that are gone; all consumers of a region in the set, because a second run may divide its records otherwise.
    ///
    /// - Parameters:
    ///   - unavailable: results that are lost, damaged, or that a consumer could not read. Say what a lost worker held
    ///     before asking.
    ///   - neverScheduled: regions that have not begun; the walk skips them.
    public func restartSet(
        failed: [TaskID], unavailable: Set<ResultID> = [], neverScheduled: Set<Int> = []
    ) -> RestartSet {
        var walk = Walk(unavailable: unavailable, skipped: neverScheduled)
        // A failed task has been scheduled, whatever the set says.
        for region in failed.compactMap(region(of:)) { walk.force(region) }
        while let region = walk.next.popLast() {
            for index in members[starts[region]..<starts[region + 1]] {
                let task = task(at: Int(index))
                for edge in inputs[Int(task.vertex)] { visitProducers(of: task, edge, &walk) }
                for edge in outputs[Int(task.vertex)] { visitConsumers(of: task, edge, &walk) }
            }
        }
        let chosen = walk.chosen.sorted()
        let tasks = chosen.flatMap { members[starts[$0]..<starts[$0 + 1]] }.sorted().map { task(at: Int($0)) }
        return RestartSet(regions: chosen, tasks: tasks)
    }

    /// The restart of the whole job: for failures that are no single task's fault.
    public var everything: RestartSet {
        RestartSet(regions: Array(0..<count), tasks: regions.indices.map(task(at:)))
    }

    private struct Walk {
        let unavailable: Set<ResultID>
        let skipped: Set<Int>
        var chosen: Set<Int> = []
        var next: [Int] = []
        /// All-to-all edges whose producers or consumers have been looked at: once is enough.
        var seenProducers: Set<Int> = []
        var seenConsumers: Set<Int> = []

        mutating func force(_ region: Int) { if chosen.insert(region).inserted { next.append(region) } }
        mutating func add(_ region: Int) { if !skipped.contains(region) { force(region) } }
    }

    private func visitProducers(of task: TaskID, _ index: Int, _ walk: inout Walk) {
        let edge = graph.edges[index]
        let producers = graph.parallelism[edge.producer]
        let range: Range<Int>
        switch edge.pattern {
        case .allToAll:
            guard walk.seenProducers.insert(index).inserted else { return }
            range = 0..<producers
        case .oneToOne: range = Int(task.subtask)..<(Int(task.subtask) + 1)
        case .rescale:
            range = FailoverGraph.producers(
                of: Int(task.subtask), producerCount: producers, consumerCount: graph.parallelism[edge.consumer])
        }
        guard !walk.unavailable.isEmpty else { return }
        for producer in range where walk.unavailable.contains(ResultID(edge: index, producer: producer)) {
            walk.add(Int(regions[bases[edge.producer] + producer]))
        }
    }

    private func visitConsumers(of task: TaskID, _ index: Int, _ walk: inout Walk) {
        let edge = graph.edges[index]
        let consumers = graph.parallelism[edge.consumer]
        let range: Range<Int>
        switch edge.pattern {
        case .allToAll:
            guard walk.seenConsumers.insert(index).inserted else { return }
            range = 0..<consumers
        case .oneToOne: range = Int(task.subtask)..<(Int(task.subtask) + 1)
        case .rescale:
            range = FailoverGraph.consumers(
                of: Int(task.subtask), producerCount: graph.parallelism[edge.producer], consumerCount: consumers)
        }
        for consumer in range { walk.add(Int(regions[bases[edge.consumer] + consumer])) }
    }
}
