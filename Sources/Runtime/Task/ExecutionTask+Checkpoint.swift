// SPDX-License-Identifier: Apache-2.0
//  What a task does at a barrier.

import ThalwegBase
import ThalwegControl
import ThalwegOperator
import ThalwegState
import ThalwegStorage

extension ExecutionTask {
    /// Does what the aligner has decided.
    func carryOut(_ steps: [BarrierAligner.Step]) throws {
        for step in steps {
            switch step {
            case .snapshot(let barrier): try snapshot(barrier)
            case .recorded: submitRecorded()
            case .abandon(let barrier): abandon(barrier)
            }
        }
    }

    /// The barrier has come from everywhere (to a source: from the master): passes it on, then freezes the state.
    func snapshot(_ barrier: CheckpointBarrier) throws {
        // Nothing is processed between the two, so the state is as it was at the barrier.
        try headSignal(.barrier(barrier))
        if let upload = try freeze(barrier, isFinal: false) { submit(upload) }
        // A barrier may come late, of a stop that was given up: nobody would tell this task to go on again.
        if barrier.kind == .suspend && !job.isAborted(barrier.checkpoint) { isSuspended = true }
    }

    /// Has every operator freeze its state.
    func freeze(_ barrier: CheckpointBarrier, isFinal: Bool) throws -> SnapshotUpload? {
        let start = job.nanoseconds()
        var parts: [StatePart] = []
        var rows: [RowSnapshot] = []
        var persists: [@Sendable () throws -> Void] = []
        var commits: [SinkCommit] = []
        for member in members {
            // Without a store only the sinks are asked, for what they publish.
            guard let take = member.instance.snapshot, job.store != nil || member.instance.isSink else { continue }
            var snapshot = OperatorSnapshot(
                operatorName: member.name, subtask: Int(id.subtask), maxParallelism: job.maxParallelism,
                barrier: barrier, isFinal: isFinal)
            try take(&snapshot)
            parts += snapshot.parts
            rows += snapshot.rows
            persists += snapshot.persists
            commits += snapshot.commits
            if !snapshot.releases.isEmpty { releases[barrier.checkpoint, default: []] += snapshot.releases }
        }
        job.checkpoints.noteSynchronous(nanoseconds: job.nanoseconds() - start)
        return SnapshotUpload(
            task: id, attempt: attempt, taskName: name, barrier: barrier, isFinal: isFinal,
            operators: members.map(\.name), parts: parts, rows: rows, persists: persists, commits: commits,
            mailbox: mailbox)
    }

    func submit(_ upload: SnapshotUpload) {
        let job = job
        job.background.submit { upload.run(for: job) }
    }

    /// The state after the last record: it serves every later checkpoint of the job.
    func finalSnapshot() throws {
        // What was being recorded is complete: nothing more comes.
        submitRecorded()
        let barrier = CheckpointBarrier(checkpoint: job.latestCheckpoint + 1, kind: .final, time: timers.now)
        if let upload = try freeze(barrier, isFinal: true) { submit(upload) }
    }

    // MARK: Overtaking

    /// Takes the snapshot now if a barrier has waited too long for others, or behind records that cannot move on.
    func overtakeIfDue() throws -> Bool {
        // What was in flight before is in no channel and in no state: it goes first.
        guard backlog.isEmpty else { return false }
        if let barrier = aligner.barrier, aligner.isOvertaken { return try catchUp(with: barrier) }
        if aligner.barrier == nil {
            guard let barrier = queuedBarrier, let timeout = barrier.alignmentTimeout else { return false }
            guard barrier.time + timeout <= timers.now else {
                // Once for each barrier: it is looked at whenever the task is polled.
                if timedBarrier != barrier.checkpoint {
                    timedBarrier = barrier.checkpoint
                    timers.schedule(at: barrier.time + timeout) {}
                }
                return false
            }
        }
        guard let barrier = aligner.barrier ?? queuedBarrier, let timeout = barrier.alignmentTimeout,
            barrier.time + timeout <= timers.now, inputs.allSatisfy({ $0.inFlight != nil })
        else { return false }
        try overtake(barrier)
        return true
    }

    /// The oldest barrier that lies in a channel behind records. One of a checkpoint that a newer one has made obsolete
    /// is passed over: its snapshot would come after the newer one's.
    private var queuedBarrier: CheckpointBarrier? {
        var oldest: CheckpointBarrier?
        for (index, input) in inputs.enumerated() where aligner.isExpected(index) {
            guard let barrier = input.channel.queuedBarrier(after: aligner.latest) else { continue }
            if barrier.checkpoint < oldest?.checkpoint ?? .max { oldest = barrier }
        }
        return oldest
    }

    /// While what is in flight is recorded: takes the missing barriers out of their lines as soon as they are there.
    private func catchUp(with barrier: CheckpointBarrier) throws -> Bool {
        // Others may have given it up long ago, and will never send its barrier.
        var isLost = job.isAborted(barrier.checkpoint)
        var didTake = false
        for (index, input) in inputs.enumerated() where !isLost && aligner.isExpected(index) {
            guard let next = input.channel.queuedBarrier(after: barrier.checkpoint - 1) else { continue }
            // Barriers come in order: behind a newer one there is none to wait for.
            guard next.checkpoint == barrier.checkpoint else {
                isLost = true
                continue
            }
            for case .batch(let batch) in input.channel.takeBarrier(of: barrier.checkpoint) ?? [] {
                try record(batch, from: index)
            }
            didTake = true
            try carryOut(aligner.arrive(barrier, from: index))
            if aligner.barrier == nil { return true }
        }
        guard isLost, let lost = aligner.giveUp() else { return didTake }
        abandon(lost)
        return true
    }

    private func overtake(_ barrier: CheckpointBarrier) throws {
        var recorder = InFlightRecorder(barrier, subtask: Int(id.subtask))
        var found: [Int] = []
        for (index, input) in inputs.enumerated() where aligner.isExpected(index) {
            guard let packets = input.channel.takeBarrier(of: barrier.checkpoint) else { continue }
            found.append(index)
            for case .batch(let batch) in packets {
                // Every input has a codec, or nothing would be overtaken.
                if let (state, codec) = input.inFlight { try recorder.record(batch, of: state, codec) }
            }
        }
        // The batches stay in their channels, to be processed after the snapshot.
        try headSignal(.barrier(barrier))
        let upload = try freeze(barrier, isFinal: false)
        self.recorder = recorder
        waitingUpload = upload
        try carryOut(aligner.overtake(barrier, foundIn: found))
    }

    func record(_ batch: AnyObject, from index: Int) throws {
        guard let (state, codec) = inputs[index].inFlight else { return }
        try recorder?.record(batch, of: state, codec)
    }

    /// Everything in flight has been recorded: the snapshot can be written.
    func submitRecorded() {
        guard var upload = waitingUpload, let recorder else { return }
        (waitingUpload, self.recorder) = (nil, nil)
        job.checkpoints.inFlightBatches.set(recorder.batchCount)
        // The head of the chain is the one that the batches are for.
        upload.parts += recorder.parts(of: members.first?.name ?? name)
        submit(upload)
    }

    /// A newer checkpoint has begun: this one will never be complete.
    func abandon(_ barrier: CheckpointBarrier) {
        let commits = waitingUpload?.commits ?? []
        (waitingUpload, recorder) = (nil, nil)
        let error = ThalwegError(.retry, "a newer checkpoint began before this one was complete")
        job.post(.declined(id, attempt: attempt, checkpoint: barrier.checkpoint, error, commits))
        for release in releases.removeValue(forKey: barrier.checkpoint) ?? [] { release() }
    }
}
