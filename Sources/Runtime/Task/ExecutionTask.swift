// SPDX-License-Identifier: Apache-2.0
//  One subtask of one vertex: polled, never blocking.

import Synchronization
import ThalwegBase
import ThalwegControl
import ThalwegGraph
import ThalwegOperator
import ThalwegStorage

/// A chain of operators of one subtask with its inputs and outputs (a tasklet, D5): one attempt of it.
///
/// Used by one thread at a time: the worker it is assigned to.
final class ExecutionTask {
    /// One channel that feeds the task, with what to do with its packets.
    struct Input {
        let channel: Channel
        let deliver: (AnyObject) throws -> Void
        let signal: (Signal) throws -> Void
        /// The edge's state among what is in flight, and the codec of its batches; nil when barriers must not go ahead
        /// of its records.
        let inFlight: (state: String, codec: any PacketCodec)?
    }

    /// An operator of the chain with its name.
    struct Member {
        let name: String
        let instance: OperatorInstance
    }

    let id: TaskID
    let attempt: Int
    let name: String
    let timers: TaskTimers
    let mailbox: TaskMailbox
    let job: JobLink
    var members: [Member] = []
    var inputs: [Input] = []
    var aligner = BarrierAligner(inputs: 0)
    var recorder: InFlightRecorder?
    /// The upload that waits until everything in flight has been recorded.
    var waitingUpload: SnapshotUpload?
    /// The checkpoint whose queued barrier has a timer that lets it overtake.
    var timedBarrier: Int64?
    /// What is called when the parts of a snapshot have been written.
    var releases: [Int64: [() -> Void]] = [:]
    var headSignal: (Signal) throws -> Void = { _ in }
    /// Batches that were in flight in the snapshot that the task starts from.
    var backlog: [() throws -> Void] = []
    /// Commands to a source that wait for the backlog: what is in it belongs before a barrier and before the end.
    private var postponed: [TaskCommand] = []
    /// Whether a stop waits for its checkpoint to be complete: nothing is processed meanwhile.
    var isSuspended = false
    private var finishedInputs = 0
    private var nextInput = 0
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

    init(id: TaskID, attempt: Int, name: String, timers: TaskTimers, mailbox: TaskMailbox, job: JobLink) {
        self.id = id
        self.attempt = attempt
        self.name = name
        self.timers = timers
        self.mailbox = mailbox
        self.job = job
    }

    /// - Parameter headSignal: signals the head of the chain, of a source its consumers.
    func assemble(
        members: [Member], inputs: [Input], outputs: [Channel], backlog: [() throws -> Void],
        headSignal: @escaping (Signal) throws -> Void
    ) {
        self.members = members
        self.inputs = inputs
        self.outputs = outputs
        self.backlog = backlog.reversed()
        self.headSignal = headSignal
        aligner = BarrierAligner(inputs: inputs.count)
        source = members.first { $0.instance.poll != nil }?.instance
        holders = members.compactMap(\.instance.isHeldUp)
        pumps = members.contains { $0.instance.pump != nil }
    }

    var isSource: Bool { source != nil }

    // MARK: Polling

    /// Does a bounded amount of work: at most one batch of a source or one packet of each input.
    func poll() throws -> PollResult {
        if isFinished { return .finished }
        // Commands and barriers take no turn from the records: checkpoints that follow one another closely would stop
        // the job else.
        let obeyed = try obey()
        if isFinished { return .finished }
        if isSuspended { return obeyed ? .progress : .idle }
        let due = try timers.fireDue()
        let fired = try pump() || due
        owesFlush = owesFlush || fired
        let overtook = try overtakeIfDue()
        let didWork = obeyed || fired || overtook
        if isHeldUp {
            heldUp.time = timers.now
            return didWork ? .progress : .idle
        }
        if let packet = backlog.popLast() {
            try packet()
            if backlog.isEmpty {
                try obey(postponed)
                postponed = []
            }
            return isFinished ? .finished : .progress
        }
        var result = hasEnded ? .finished : try source?.poll?() ?? pollInputs()
        if result == .finished && !members.allSatisfy({ $0.instance.isDrained?() ?? true }) {
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
            try finish()
            return .finished
        }
        return didWork && result == .idle ? .progress : result
    }

    /// Lets operators emit what became ready outside, from the end of the chain to its head, as far as there is room.
    private func pump() throws -> Bool {
        guard pumps, !outputs.contains(where: { $0.isFull }) else { return false }
        var didPump = false
        for member in members.reversed() {
            if try member.instance.pump?() ?? false { didPump = true }
            if member.instance.isHeldUp?() ?? false { break }
        }
        return didPump
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
            if aligner.isBlocked(index) { continue }
            guard let packet = inputs[index].channel.receive(barrierMax: aligner.barrierMax(of: index))
            else { continue }
            progressed = true
            try take(packet, from: index)
            if isSuspended || isHeldUp { break }
        }
        if finishedInputs == inputs.count { return .finished }
        return progressed ? .progress : .idle
    }

    private func take(_ packet: Packet, from index: Int) throws {
        switch packet {
        case .batch(let batch):
            if aligner.isRecording(index) { try record(batch, from: index) }
            try inputs[index].deliver(batch)
            inputs[index].channel.recycle(batch)
        case .signal(.barrier(let barrier)):
            try carryOut(aligner.arrive(barrier, from: index))
            if let timeout = aligner.barrier?.alignmentTimeout, !aligner.isOvertaken {
                timers.schedule(at: barrier.time + timeout) {}
            }
        case .signal(let signal):
            try inputs[index].signal(signal)
            if signal == .end {
                finishedInputs += 1
                try carryOut(aligner.finish(index))
            }
        }
    }

    /// Carries out what others have told this task; returns whether there was anything.
    private func obey() throws -> Bool {
        let commands = mailbox.takeAll()
        try obey(commands)
        return !commands.isEmpty
    }

    private func obey(_ commands: [TaskCommand]) throws {
        for command in commands {
            switch command {
            case .trigger where !backlog.isEmpty, .drain where !backlog.isEmpty: postponed.append(command)
            case .trigger(let barrier): if isSource && !isSuspended { try snapshot(barrier) }
            case .drain:
                guard isSource, !hasEnded else { break }
                try headSignal(.watermark(.end))
                try headSignal(.end)
                // Calls under way come to their end first: poll() sees to that.
                hasEnded = true
            case .completed(let checkpoint): for member in members { member.instance.completed?(checkpoint) }
            case .release(let checkpoint): for release in releases.removeValue(forKey: checkpoint) ?? [] { release() }
            case .resume: isSuspended = false
            case .leave, .cancel:
                end()
                job.post(.closed(id, attempt: attempt))
            }
            if isFinished { break }
        }
    }

    /// All input has been processed: the last snapshot, then the end.
    private func finish() throws {
        try finalSnapshot()
        end()
    }

    /// The task has thrown: it is over.
    func fail() { end() }

    private func end() {
        isFinished = true
        timers.removeAll()
        close()
    }

    /// Releases what the operators hold; called on the task's thread or after all threads have stopped.
    func close() {
        guard !isClosed else { return }
        isClosed = true
        for member in members { member.instance.close() }
    }
}
