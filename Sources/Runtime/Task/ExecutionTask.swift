// SPDX-License-Identifier: Apache-2.0
//  One subtask of one vertex: polled, never blocking.

import Synchronization
import ThalwegBase
import ThalwegGraph
import ThalwegOperator

/// A chain of operators of one subtask with its inputs and outputs (a tasklet, D5).
///
/// Used by one thread at a time: the worker it is assigned to.
final class ExecutionTask {
    /// One channel that feeds the task, with what to do with its packets.
    struct Input {
        let channel: Channel
        let deliver: (AnyObject) throws -> Void
        let signal: (Signal) throws -> Void
    }

    let name: String
    let subtask: Int
    let timers: TaskTimers
    private(set) var operators: [OperatorInstance] = []
    private var inputs: [Input] = []
    private var finishedInputs: Set<Int> = []
    private var nextInput = 0
    private var headSignal: (Signal) throws -> Void = { _ in }
    private var owesFlush = false
    private var source: OperatorInstance?
    private var outputs: [Channel] = []
    private var holders: [() -> Bool] = []
    private var pumps = false
    /// Whether all input has come.
    private var hasEnded = false
    private var isClosed = false
    private(set) var isFinished = false
    /// When the task was last found held up by full channels.
    let heldUp = HeldUp()

    /// Shared with the source link, which answers questions about idleness.
    final class HeldUp { var time: Int64? }

    private let commits: CommitLedger

    init(name: String, subtask: Int, timers: TaskTimers, commits: CommitLedger) {
        self.commits = commits
        self.name = name
        self.subtask = subtask
        self.timers = timers
    }

    /// - Parameter headSignal: signals the head of the chain, of a source its consumers.
    func assemble(
        operators: [OperatorInstance], inputs: [Input], outputs: [Channel],
        headSignal: @escaping (Signal) throws -> Void
    ) {
        self.operators = operators
        self.inputs = inputs
        self.outputs = outputs
        self.headSignal = headSignal
        source = operators.first { $0.poll != nil }
        holders = operators.compactMap(\.isHeldUp)
        pumps = operators.contains { $0.pump != nil }
    }

    /// Does a bounded amount of work: at most one batch of a source or one packet of each input.
    func poll() throws -> PollResult {
        if isFinished { return .finished }
        let due = try timers.fireDue()
        let fired = try pump() || due
        owesFlush = owesFlush || fired
        if isHeldUp {
            heldUp.time = timers.now
            return fired ? .progress : .idle
        }
        var result = hasEnded ? .finished : try source?.poll?() ?? pollInputs()
        if result == .finished && !operators.allSatisfy({ $0.isDrained?() ?? true }) {
            // The input has ended, but calls are under way: the task goes on without it.
            result = hasEnded ? .idle : .progress
            hasEnded = true
        }
        if result == .idle && owesFlush && !hasEnded {
            // What timers emitted must not wait for the next record.
            owesFlush = false
            try headSignal(.flush)
        }
        if result == .finished {
            try prepareOutput()
            isFinished = true
            timers.removeAll()
            close()
        }
        return fired && result == .idle ? .progress : result
    }

    /// Lets operators emit what became ready outside, from the end of the chain to its head, as far as there is room.
    private func pump() throws -> Bool {
        guard pumps, !outputs.contains(where: { $0.isFull }) else { return false }
        var didPump = false
        for op in operators.reversed() {
            if try op.pump?() ?? false { didPump = true }
            if op.isHeldUp?() ?? false { break }
        }
        return didPump
    }

    /// Has the sinks prepare what is committed when the job has succeeded.
    private func prepareOutput() throws {
        let barrier = CheckpointBarrier(checkpoint: 1, time: timers.now)
        for op in operators where op.isSink {
            var snapshot = OperatorSnapshot(
                operatorName: name, subtask: subtask, maxParallelism: 1, barrier: barrier, isFinal: true)
            try op.snapshot?(&snapshot)
            for persist in snapshot.persists { try persist() }
            commits.add(snapshot.commits)
        }
    }

    /// Whether what this task makes has nowhere to go for now.
    private var isHeldUp: Bool { outputs.contains { $0.isFull } || holders.contains { $0() } }

    private func pollInputs() throws -> PollResult {
        if inputs.isEmpty {
            // A subtask that nobody sends to (behind `global`) still has to tell its consumers that it has ended.
            try headSignal(.watermark(.end))
            try headSignal(.end)
            return .finished
        }
        var progressed = false
        for _ in 0..<inputs.count {
            let index = nextInput
            nextInput = nextInput + 1 == inputs.count ? 0 : nextInput + 1
            guard let packet = inputs[index].channel.receive() else { continue }
            progressed = true
            switch packet {
            case .batch(let batch):
                try inputs[index].deliver(batch)
                inputs[index].channel.recycle(batch)
            case .signal(let signal):
                if signal == .end { finishedInputs.insert(index) }
                try inputs[index].signal(signal)
            }
            if isHeldUp { break }
        }
        if finishedInputs.count == inputs.count { return .finished }
        return progressed ? .progress : .idle
    }

    /// Releases what the operators hold; called on the task's thread or after all threads have stopped.
    func close() {
        guard !isClosed else { return }
        isClosed = true
        for op in operators { op.close() }
    }
}
