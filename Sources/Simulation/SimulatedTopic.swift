// SPDX-License-Identifier: Apache-2.0
//  A topic to write to in transactions, as a message broker keeps it.

import Synchronization
import Thalweg

/// What a topic holds: it outlives the processes that write to it.
struct TopicContents {
    enum Transaction { case open([String]), committed, aborted }

    var transactions: [String: Transaction] = [:]
    var lines: [String] = []
    var begun = 0
}

/// Names a transaction in a checkpoint.
public struct TopicTransaction: Codable, Sendable, Hashable {
    public var id: String
    public var checkpoint: Int64
    public var subtask: Int
    /// Whether it was prepared at the end of the input: then any checkpoint may have it.
    public var isFinal: Bool
}

/// A sink that writes lines to a topic of the simulated world, exactly once: transactions are opened before a
/// checkpoint is complete and committed after it. The topic reports what no sink may ask of it.
public struct SimulatedTopic: Sink {
    public typealias Element = String
    public let kind = "simulatedTopic"
    public let name: String
    public let world: SimulatedWorld

    public init(_ name: String, in world: SimulatedWorld) {
        self.name = name
        self.world = world
    }

    public func makeWriter(_ context: SinkContext) -> TopicWriter { TopicWriter(self, context) }

    public func commit(_ committables: [TopicTransaction]) throws {
        for transaction in committables { try commit(transaction) }
    }

    private func commit(_ transaction: TopicTransaction) throws {
        try world.throwIfDead()
        let complete = world.completeCheckpoint
        if transaction.checkpoint > complete, world.state.withLock({ $0.takesCheckpoints }),
            !(transaction.isFinal && world.hasLastSnapshot(ofSubtask: transaction.subtask, of: complete))
        {
            world.report(
                "\(name): \(transaction.id) of checkpoint \(transaction.checkpoint) is committed, but the newest "
                    + "complete one is \(complete)")
        }
        world.trace("\(name): commit \(transaction.id)")
        let known = world.state.withLock { state -> TopicContents.Transaction? in
            let known = state.topics[name]?.transactions[transaction.id]
            if case .open(let lines) = known {
                state.topics[name]?.lines += lines
                state.topics[name]?.transactions[transaction.id] = .committed
            }
            return known
        }
        switch known {
        case .open, .committed: break
        case .aborted: world.report("\(name): \(transaction.id) is committed after it was aborted")
        case nil: world.report("\(name): \(transaction.id) is committed but was never opened")
        }
    }

    public func abort(_ committables: [TopicTransaction]) {
        guard (try? world.throwIfDead()) != nil else { return }
        for transaction in committables {
            world.trace("\(name): abort \(transaction.id)")
            let wasCommitted = world.state.withLock { state -> Bool in
                if case .committed = state.topics[name]?.transactions[transaction.id] { return true }
                state.topics[name]?.transactions[transaction.id] = .aborted
                return false
            }
            if wasCommitted { world.report("\(name): \(transaction.id) is aborted after it was committed") }
        }
    }

    /// Makes a transaction durable, not yet visible.
    fileprivate func open(_ transaction: TopicTransaction, _ lines: [String]) throws {
        try world.throwIfDead()
        world.trace("\(name): open \(transaction.id), \(lines.count) lines")
        world.state.withLock { state in
            if state.topics[name]?.transactions[transaction.id] == nil {
                state.topics[name, default: TopicContents()].transactions[transaction.id] = .open(lines)
            }
        }
    }

    fileprivate func nextNumber() -> Int {
        world.state.withLock { state in
            state.topics[name, default: TopicContents()].begun += 1
            return state.topics[name]?.begun ?? 0
        }
    }
}

/// Writes a ``SimulatedTopic``.
public final class TopicWriter: SinkWriter {
    private let topic: SimulatedTopic
    private let context: SinkContext
    private var lines: [String] = []

    init(_ topic: SimulatedTopic, _ context: SinkContext) {
        self.topic = topic
        self.context = context
    }

    public func write(_ batch: Batch<String>) {
        for row in 0..<batch.count { lines.append(batch.rows[row]) }
    }

    public func prepare(_ request: PrepareRequest) -> PreparedOutput<TopicTransaction, NoWriterState> {
        guard !lines.isEmpty else { return PreparedOutput() }
        let transaction = TopicTransaction(
            id: "\(context.subtask)-\(topic.nextNumber())", checkpoint: request.checkpoint, subtask: context.subtask,
            isFinal: request.isFinal)
        let (topic, lines) = (topic, lines)
        self.lines = []
        return PreparedOutput(committables: [transaction], persist: { try topic.open(transaction, lines) })
    }
}
