// SPDX-License-Identifier: Apache-2.0
//  From the job graph to tasks wired by channels.

import ThalwegBase
import ThalwegGraph
import ThalwegOperator

/// Instantiates every operator of a job in every subtask and connects them.
struct TaskBuilder {
    let graph: JobGraph
    let settings: ExecutionSettings
    let clock: any ThalwegClock
    let metrics: JobMetrics
    let commits: CommitLedger

    private var tasks: [ExecutionTask] = []
    /// The task number of each vertex's first subtask.
    private var firstTask: [Int] = []
    private let wakers: WakeTable
    private let groups = AlignmentGroups()
    private var coordinators: [Int: (any SourceCoordinating, [SplitInbox])] = [:]
    /// Per consumer task: its inputs, gathered while producers are wired.
    private var channels: [ChannelKey: Channel] = [:]

    private struct ChannelKey: Hashable {
        let node: Int
        let edge: Int
        let from: Int
        let to: Int
    }

    init(
        _ graph: JobGraph, _ settings: ExecutionSettings, clock: any ThalwegClock, metrics: JobMetrics,
        commits: CommitLedger
    ) {
        self.graph = graph
        self.settings = settings
        self.clock = clock
        self.metrics = metrics
        self.commits = commits
        var first = 0
        for vertex in graph.vertices {
            firstTask.append(first)
            first += vertex.parallelism
        }
        wakers = WakeTable(count: first)
    }

    /// Builds all tasks; nothing runs yet.
    mutating func build() throws -> TaskSet {
        for vertex in graph.vertices {
            let name = vertex.nodes.map { graph.streamGraph.nodes[$0].name }.joined(separator: " -> ")
            for subtask in 0..<vertex.parallelism {
                tasks.append(
                    ExecutionTask(name: name, subtask: subtask, timers: TaskTimers(clock: clock), commits: commits))
            }
        }
        for node in graph.streamGraph.nodes where node.makeCoordinator != nil { try makeCoordinator(node) }
        do {
            for vertex in graph.vertices {
                for subtask in 0..<vertex.parallelism { try assemble(vertex, subtask) }
            }
        } catch {
            for task in tasks { task.close() }
            throw error
        }
        return TaskSet(tasks: tasks, wakers: wakers)
    }

    private mutating func makeCoordinator(_ node: StreamNode) throws {
        let parallelism = graph.parallelism(of: node.id)
        let coordinator = try node.makeCoordinator?(parallelism)
        let first = firstTask[graph.vertexOf[node.id]]
        let wakers = self.wakers
        let inboxes = (0..<parallelism).map { subtask in SplitInbox(wake: { wakers.wake(first + subtask) }) }
        if let coordinator { coordinators[node.id] = (coordinator, inboxes) }
    }

    // MARK: One task

    private mutating func assemble(_ vertex: JobVertex, _ subtask: Int) throws {
        let task = tasks[firstTask[vertex.id] + subtask]
        let wakers = self.wakers
        let number = firstTask[vertex.id] + subtask
        var instances: [Int: OperatorInstance] = [:]
        var mergers: [Int: MergingPort] = [:]
        var outputs: [Channel] = []
        var link: (any SourceLink)?
        for id in vertex.nodes {
            if let (coordinator, inboxes) = coordinators[id] {
                link = LocalSourceLink(
                    node: id, subtask: subtask, coordinator: coordinator, inboxes: inboxes, timers: task.timers,
                    groups: groups, heldUp: task.heldUp)
            }
        }
        var headSignal: (Signal) throws -> Void = { _ in }
        do {
            // Consumers first: an operator is made with its outlets at hand.
            for id in vertex.nodes.reversed() {
                let node = graph.streamGraph.nodes[id]
                let outlets = try makeOutlets(
                    of: node, subtask: subtask, task: task, instances: instances, mergers: &mergers, outputs: &outputs)
                let context = OperatorContext(
                    name: node.name, subtask: subtask, parallelism: vertex.parallelism,
                    maxParallelism: graph.maxParallelism, processingTime: task.timers,
                    metrics: metrics.register(node: id, subtask: subtask), objectReuse: settings.objectReuse,
                    batchCapacity: settings.batchCapacity, outlets: outlets, sourceLink: link,
                    wake: { wakers.wake(number) }, commits: commits)
                let instance = try node.factory(context)
                instances[id] = instance
                mergers[id] = MergingPort(slots: slotCount(of: node, subtask: subtask), signal: instance.signal)
                // The first node of a vertex is made last: it is the head of the chain.
                headSignal = node.inputs.isEmpty ? context.signalForwarder() : instance.signal
            }
        } catch {
            // What was made already (files being written) is not in a task yet.
            for instance in instances.values { instance.close() }
            throw error
        }
        var inputs: [ExecutionTask.Input] = []
        for id in vertex.nodes {
            guard let instance = instances[id], let merger = mergers[id] else { continue }
            inputs += try makeInputs(of: graph.streamGraph.nodes[id], subtask: subtask, instance, merger)
        }
        task.assemble(
            operators: vertex.nodes.compactMap { instances[$0] }, inputs: inputs, outputs: outputs,
            headSignal: headSignal)
    }

    /// How many streams of signals reach a node in one subtask: one per chained edge, one per channel of an exchange.
    private func slotCount(of node: StreamNode, subtask: Int) -> Int {
        node.inputs.reduce(0) {
            $0 + (graph.isChained($1, into: node.id) ? 1 : senders(of: $1, into: node.id, subtask).count)
        }
    }

    /// The producer subtasks that send to a consumer subtask over an edge.
    private func senders(of edge: StreamEdge, into node: Int, _ subtask: Int) -> [Int] {
        (0..<graph.parallelism(of: edge.source)).filter { receivers(of: edge, into: node, from: $0).contains(subtask) }
    }

    /// The consumer subtasks that a producer subtask sends to over an edge.
    private func receivers(of edge: StreamEdge, into node: Int, from subtask: Int) -> [Int] {
        let (producers, consumers) = (graph.parallelism(of: edge.source), graph.parallelism(of: node))
        switch graph.partitioning(of: edge, into: node) {
        case .forward: return [subtask]
        case .global: return [0]
        case .rescale where consumers >= producers:
            return (0..<consumers).filter { $0 * producers / consumers == subtask }
        case .rescale: return [subtask * consumers / producers]
        case .hash, .rebalance, .broadcast: return Array(0..<consumers)
        }
    }

    private mutating func makeOutlets(
        of node: StreamNode, subtask: Int, task: ExecutionTask, instances: [Int: OperatorInstance],
        mergers: inout [Int: MergingPort], outputs: inout [Channel]
    ) throws -> [String?: Any] {
        var inlets: [String?: (type: EdgeType, inlets: [Any])] = [:]
        for consumer in graph.streamGraph.nodes {
            for (index, edge) in consumer.inputs.enumerated() where edge.source == node.id {
                var inlet: Any
                if graph.isChained(edge, into: consumer.id) {
                    guard let instance = instances[consumer.id], let merger = mergers[consumer.id] else { continue }
                    inlet = edge.type.makeInlet(
                        instance.pushes[edge.input], merger.takeSlot(chained: index, of: consumer, in: self, subtask))
                    if settings.objectReuse == .copyPerOperator, let copying = edge.type.copying {
                        inlet = try copying(inlet, metrics.register(node: consumer.id, subtask: subtask))
                    }
                } else {
                    let lanes = receivers(of: edge, into: consumer.id, from: subtask).map {
                        channel(consumer.id, index, from: subtask, to: $0, source: node.id)
                    }
                    outputs += lanes
                    inlet = (edge.combined?.type ?? edge.type).makeWriter(
                        graph.partitioning(of: edge, into: consumer.id), lanes, subtask, graph.maxParallelism,
                        settings.batchCapacity)
                    if let combined = edge.combined { inlet = combined.combine(inlet, settings.batchCapacity) }
                }
                inlets[edge.tag, default: (edge.type, [])].inlets.append(inlet)
            }
        }
        return inlets.mapValues { $0.inlets.count == 1 ? $0.inlets[0] : $0.type.fanOut($0.inlets) }
    }

    private mutating func channel(_ node: Int, _ edge: Int, from: Int, to: Int, source: Int) -> Channel {
        let key = ChannelKey(node: node, edge: edge, from: from, to: to)
        if let channel = channels[key] { return channel }
        let consumer = firstTask[graph.vertexOf[node]] + to
        let producer = firstTask[graph.vertexOf[source]] + from
        let wakers = self.wakers
        let channel = Channel(
            wakeConsumer: { wakers.wake(consumer) }, wakeProducer: { wakers.wake(producer) })
        channels[key] = channel
        return channel
    }

    private mutating func makeInputs(
        of node: StreamNode, subtask: Int, _ instance: OperatorInstance, _ merger: MergingPort
    ) throws -> [ExecutionTask.Input] {
        var inputs: [ExecutionTask.Input] = []
        for (index, edge) in node.inputs.enumerated() where !graph.isChained(edge, into: node.id) {
            let first = slot(of: index, of: node, subtask)
            for (offset, sender) in senders(of: edge, into: node.id, subtask).enumerated() {
                let type = edge.combined?.type ?? edge.type
                let inlet = type.makeInlet(instance.pushes[edge.combined?.input ?? edge.input], { _ in })
                inputs.append(
                    ExecutionTask.Input(
                        channel: channel(node.id, index, from: sender, to: subtask, source: edge.source),
                        deliver: type.deliver(inlet), signal: merger.slot(first + offset)))
            }
        }
        return inputs
    }

    /// The first slot of an edge among a node's streams of signals.
    fileprivate func slot(of index: Int, of node: StreamNode, _ subtask: Int) -> Int {
        node.inputs[..<index].reduce(0) {
            $0 + (graph.isChained($1, into: node.id) ? 1 : senders(of: $1, into: node.id, subtask).count)
        }
    }
}

/// The signal side of a node with several inputs: merges their watermarks and statuses.
private final class MergingPort {
    private var merger: SignalMerger?
    private let signal: (Signal) throws -> Void

    init(slots: Int, signal: @escaping (Signal) throws -> Void) {
        // A single input needs no merging and keeps signals such as `splitFinished`.
        merger = slots > 1 ? SignalMerger(inputs: slots) : nil
        self.signal = signal
    }

    func slot(_ slot: Int) -> (Signal) throws -> Void {
        guard merger != nil else { return signal }
        return { signal in
            for merged in self.merger?.merge(signal, from: slot) ?? [] { try self.signal(merged) }
        }
    }

    func takeSlot(
        chained index: Int, of node: StreamNode, in builder: TaskBuilder, _ subtask: Int
    ) -> (Signal) throws -> Void {
        slot(builder.slot(of: index, of: node, subtask))
    }
}
