// SPDX-License-Identifier: Apache-2.0
//  What is around a simulated job: its clock, its disk, the services it talks to.

import Synchronization
import Thalweg
import ThalwegTesting

/// Everything outside the process of a simulated job. It outlives the process; faults strike through it.
///
/// A scenario's job takes its disk, its sources and its sinks from here, and nothing else: then a run is a function of
/// its seed.
public final class SimulatedWorld: Sendable {
    /// Where simulated jobs keep their checkpoints.
    public static let checkpointDirectory = "checkpoints"

    struct State {
        var faults: [Fault]
        var turns = 0
        var records = 0
        var topics: [String: TopicContents] = [:]
        /// The process has been killed: nothing that it does has an effect any more.
        var death: Fault?
        var fired: [Fault] = []
        var firedInLife = 0
        var parallelism: Int
        var fullUntil = 0
        var slowUntil = 0
        var slowMilliseconds = 0
        var stalledUntil = 0
        var pausedUntil = 0
        var paused: StepTurn?
        var owedFailures = 0
        var owedPause = 0
        var takesCheckpoints = true
        var violations: [String] = []
        var trace: [String] = []
    }

    public let seed: UInt64
    /// How many records the workload has.
    public let records: Int
    /// The machine's clock: virtual, moved by turns and waits.
    public let clock: ManualClock
    let isTracing: Bool
    let state: Guarded<State>
    private let ownDisk = Guarded<SimulatedDisk?>(nil)

    init(seed: UInt64, plan: FaultPlan, parallelism: Int, isTracing: Bool) {
        self.seed = seed
        records = plan.records
        clock = ManualClock(startingAt: 1_000_000)
        self.isTracing = isTracing
        state = Guarded(State(faults: plan.faults, parallelism: parallelism))
        let disk = SimulatedDisk { [weak self] number, path throws(ThalwegError) in
            guard let self else { throw Self.dead }
            try self.passDisk(number, path)
        }
        if isTracing { disk.onChange = { [weak self] what, path in self?.trace("disk: \(what) \(path)") } }
        ownDisk.withLock { $0 = disk }
    }

    /// The machine's disk.
    public var disk: SimulatedDisk {
        guard let disk = ownDisk.withLock({ $0 }) else { preconditionFailure("a world without a disk") }
        return disk
    }

    static let dead = ThalwegError(.retry, "the process is dead")

    func throwIfDead() throws(ThalwegError) {
        if state.withLock({ $0.death != nil }) { throw Self.dead }
    }

    /// Says that something must not have happened; the run fails.
    public func report(_ violation: String) {
        trace("VIOLATION: \(violation)")
        state.withLock { $0.violations.append(violation) }
    }

    func trace(_ line: @autoclosure () -> String) {
        guard isTracing else { return }
        let text = "\(clock.now) \(line())"
        state.withLock { $0.trace.append(text) }
    }

    // MARK: Faults

    /// Fires what is due at a moment.
    func fire(_ moment: Fault.Moment, _ number: Int) {
        let due = state.withLock { state -> [Fault] in
            guard state.death == nil, !state.faults.isEmpty else { return [] }
            let due = state.faults.filter { $0.moment == moment && $0.number <= number }
            if due.isEmpty { return [] }
            state.faults.removeAll { $0.moment == moment && $0.number <= number }
            return due
        }
        for fault in due { strike(fault) }
    }

    private func strike(_ fault: Fault) {
        trace("FAULT \(fault)")
        if fault.kind == .clockJump { clock.advance(by: .milliseconds(fault.amount)) }
        let operations = disk.operations
        state.withLock { state in
            state.fired.append(fault)
            state.firedInLife += 1
            switch fault.kind {
            case .crash, .powerLoss, .tornWrite, .corruption: state.death = state.death ?? fault
            case .failure: state.owedFailures += 1
            case .fullDisk: state.fullUntil = operations + fault.amount
            case .slowDisk: (state.slowUntil, state.slowMilliseconds) = (operations + 20, fault.amount)
            case .stall: state.stalledUntil = state.turns + fault.amount
            case .pause: state.owedPause = fault.amount
            case .clockJump: break
            case .rescale: state.parallelism = max(1, fault.amount)
            }
        }
    }

    private func passDisk(_ number: Int, _ path: String) throws(ThalwegError) {
        try throwIfDead()
        fire(.disk, number)
        try throwIfDead()
        let (isFull, delay) = state.withLock {
            (number <= $0.fullUntil, number <= $0.slowUntil ? $0.slowMilliseconds : 0)
        }
        if delay > 0 { clock.advance(by: .milliseconds(delay)) }
        if isFull {
            trace("disk full at \(path)")
            throw ThalwegError(
                .retry, "the disk is full", detail: path, hint: "free some space, or write elsewhere")
        }
    }

    /// Whether a checkpoint has the last snapshot of a subtask.
    func hasLastSnapshot(ofSubtask subtask: Int, of checkpoint: Int64) -> Bool {
        let store = CheckpointStore(root: Self.checkpointDirectory, fileSystem: disk)
        let listing = (try? store.list())?.first { $0.checkpoint == checkpoint }
        return listing?.metadata?.files.contains { $0.path.hasSuffix("-final.segment") && $0.subtask == subtask }
            ?? false
    }

    /// The newest complete checkpoint on the disk.
    var completeCheckpoint: Int64 {
        let root = Self.checkpointDirectory
        let names = (try? disk.names(in: root)) ?? []
        return names.compactMap { name -> Int64? in
            guard let number = Int64(name.dropFirst(4)),
                (try? disk.names(in: root + "/" + name))?.contains(CheckpointStore.metadataName) == true
            else { return nil }
            return number
        }.max() ?? 0
    }
}
