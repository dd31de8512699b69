// SPDX-License-Identifier: Apache-2.0
//  From the job graph to tasks wired by channels.

import ThalwegBase
import ThalwegControl
import ThalwegGraph
import ThalwegOperator
import ThalwegState
import ThalwegStorage

/// Instantiates the operators of a set of tasks and connects them. The set is closed under exchanges: all of a job, or
/// failover regions of it.
struct TaskBuilder {
    let graph: JobGraph
    let settings: ExecutionSettings
    let clock: any ThalwegClock
    let metrics: JobMetrics
    let job: JobLink
    /// What sinks of the snapshot have prepared and nobody may have committed.
    let commits = CommitLedger()
    let wakers: WakeTable
    let groups: AlignmentGroups
    let desks: [Int: SourceDesk]
    /// What the snapshot to start from holds; nil at a fresh start.
    let restored: RestoredOperators?

    private var tasks: [TaskID: ExecutionTask] = [:]
    private var channels: [ChannelKey: Channel] = [:]

    private struct ChannelKey: Hashable {
        let node: Int
        let edge: Int
        let from: Int
        let to: Int
    }

    init(
        _ graph: JobGraph, _ settings: ExecutionSettings, clock: any ThalwegClock, metrics: JobMetrics, job: JobLink,
        wakers: WakeTable, groups: AlignmentGroups, desks: [Int: SourceDesk],
        restored: RestoredOperators?
    ) {
        self.graph = graph
        self.settings = settings
        self.clock = clock
        self.metrics = metrics
        self.job = job
        self.wakers = wakers
        self.groups = groups
        self.desks = desks
        self.restored = restored
    }

    /// Builds tasks; nothing runs yet.
    mutating func build(_ ids: [TaskID], attempts: [TaskID: Int]) throws -> [ExecutionTask] {
        let wakers = wakers
        for id in ids {
            let vertex = graph.vertices[Int(id.vertex)]
            let name = vertex.nodes.map { graph.streamGraph.nodes[$0].name }.joined(separator: " -> ")
            let number = graph.taskNumber(of: id)
            tasks[id] = ExecutionTask(
                id: id, attempt: attempts[id] ?? 1, name: name, timers: TaskTimers(clock: clock),
                mailbox: TaskMailbox(wake: { wakers.wake(number) }), job: job)
        }
        do {
            for id in ids.sorted() { try assemble(graph.vertices[Int(id.vertex)], Int(id.subtask)) }
        } catch {
            for task in tasks.values { task.close() }
            throw error
        }
        return ids.sorted().compactMap { tasks[$0] }
    }

    // MARK: One task

    private mutating func assemble(_ vertex: JobVertex, _ subtask: Int) throws {
        let id = TaskID(vertex: Int32(vertex.id), subtask: Int32(subtask))
        guard let task = tasks[id] else { return }
        let wakers = self.wakers
        let number = graph.taskNumber(of: id)
        var instances: [Int: OperatorInstance] = [:]
        var mergers: [Int: MergingPort] = [:]
        var outputs: [Channel] = []
        var link: (any SourceLink)?
        for id in vertex.nodes {
            if let desk = desks[id] {
                link = LocalSourceLink(
                    desk, subtask: subtask, timers: task.timers, groups: groups, heldUp: task.heldUp,
                    epoch: job.latestCheckpoint)
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
                    wake: { wakers.wake(number) }, commits: commits, isRecoverable: settings.checkpoints != nil,
                    layering: (job.store ?? job.rowPlace?.store).map { RowLayering(root: $0.root, leases: job.leases) },
                    rowPlace: job.rowPlace,
                    repeatsOutput: settings.checkpoints?.repeatsOutput ?? false)
                // A new attempt goes back to where its checkpoint was.
                if task.attempt > 1 { context.metrics.watermark.set(.min) }
                let instance = try node.factory(context)
                instances[id] = instance
                try restore(instance, named: node.name)
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
        var backlog: [() throws -> Void] = []
        for id in vertex.nodes {
            guard let instance = instances[id], let merger = mergers[id] else { continue }
            let node = graph.streamGraph.nodes[id]
            inputs += try makeInputs(of: node, subtask: subtask, instance, merger)
            backlog += try makeBacklog(of: node, task: task.id, instance)
        }
        task.assemble(
            members: vertex.nodes.compactMap { node in
                instances[node].map { ExecutionTask.Member(name: graph.streamGraph.nodes[node].name, instance: $0) }
            }, inputs: inputs, outputs: outputs, backlog: backlog, headSignal: headSignal)
    }

    // MARK: Restored state

    private func restore(_ instance: OperatorInstance, named name: String) throws {
        guard let state = try restored?.state(of: name) else { return }
        try instance.restore?(state)
    }

    /// The batches that were in flight towards a node, to be processed before all others.
    private func makeBacklog(
        of node: StreamNode, task: TaskID, _ instance: OperatorInstance
    ) throws -> [() throws -> Void] {
        guard let state = try restored?.state(of: node.name),
            state.states.contains(where: { InFlightState.isOne($0.name) })
        else { return [] }
        var backlog: [() throws -> Void] = []
        for (index, edge) in node.inputs.enumerated() {
            for form in [(type: edge.type, input: edge.input, isCombined: false)]
                + (edge.combined.map { [(type: $0.type, input: $0.input, isCombined: true)] } ?? [])
            {
                let name = InFlightState.name(edge: index, isCombined: form.isCombined)
                guard state.hasState(name), let makeCodec = form.type.makePacketCodec else { continue }
                let batches = try InFlightState.batches(
                    state, name: name, codec: try makeCodec(), isKeyed: edge.partitioning == .hash, task: task,
                    parallelism: graph.parallelism(of: node.id), maxParallelism: graph.maxParallelism,
                    capacity: settings.batchCapacity)
                let deliver = form.type.deliver(form.type.makeInlet(instance.pushes[form.input], { _ in }))
                backlog += batches.map { batch in { try deliver(batch) } }
            }
        }
        return backlog
    }

    /// How many streams of signals reach a node in one subtask: one per chained edge, one per channel of an exchange.
    private func slotCount(of node: StreamNode, subtask: Int) -> Int {
        node.inputs.reduce(0) {
            $0 + (graph.isChained($1, into: node.id) ? 1 : graph.senders(of: $1, into: node.id, subtask).count)
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
                    let lanes = graph.receivers(of: edge, into: consumer.id, from: subtask).map {
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
        let consumer = graph.firstTask[graph.vertexOf[node]] + to
        let producer = graph.firstTask[graph.vertexOf[source]] + from
        let wakers = self.wakers
        let stream = graph.streamGraph.nodes[node].inputs[edge]
        let channel = Channel(
            limits: settings.channels,
            batchBytes: settings.batchCapacity * stream.exchangedRowBytes,
            memory: metrics.memory.exchanges,
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
            for (offset, sender) in graph.senders(of: edge, into: node.id, subtask).enumerated() {
                let type = edge.combined?.type ?? edge.type
                let inlet = type.makeInlet(instance.pushes[edge.combined?.input ?? edge.input], { _ in })
                inputs.append(
                    ExecutionTask.Input(
                        channel: channel(node.id, index, from: sender, to: subtask, source: edge.source),
                        deliver: type.deliver(inlet), signal: merger.slot(first + offset),
                        inFlight: try inFlight(edge, index, into: node)))
            }
        }
        return inputs
    }

    /// How what is in flight over an edge is stored; nil when barriers have to wait for it.
    private func inFlight(
        _ edge: StreamEdge, _ index: Int, into node: StreamNode
    ) throws -> (state: String, codec: any PacketCodec)? {
        // A broadcast record is in flight to some subtasks and has reached others: after rescaling nobody could say
        // who still needs it.
        guard settings.checkpoints?.settings.alignmentTimeout != nil,
            graph.partitioning(of: edge, into: node.id) != .broadcast,
            let makeCodec = (edge.combined?.type ?? edge.type).makePacketCodec
        else { return nil }
        return (InFlightState.name(edge: index, isCombined: edge.combined != nil), try makeCodec())
    }

    /// The first slot of an edge among a node's streams of signals.
    fileprivate func slot(of index: Int, of node: StreamNode, _ subtask: Int) -> Int {
        node.inputs[..<index].reduce(0) {
            $0 + (graph.isChained($1, into: node.id) ? 1 : graph.senders(of: $1, into: node.id, subtask).count)
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
