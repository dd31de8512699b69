// SPDX-License-Identifier: Apache-2.0
//  The directory of checkpoints is full, cannot be written to, or vanishes, while the job runs.

import Synchronization
import Testing
import Thalweg
import ThalwegTesting

@Suite struct BadPlaceTests {
    /// What goes wrong between checkpoint 2 and some turns later.
    enum Trouble: String, CaseIterable, Sendable { case full, readOnly, noSync, vanished }

    private func strike(_ trouble: Trouble, _ job: PartsJob) {
        switch trouble {
        case .full: job.checkpoints.faults.spaceBytes = 10
        case .readOnly: job.checkpoints.faults.failsCreate = true
        case .noSync: job.checkpoints.faults.failsSync = true
        case .vanished: try? job.disk.removeTree("checkpoints")
        }
    }

    /// The checkpoints fail, more of them in a row than are tolerated, until the trouble is over.
    @Test(arguments: Trouble.allCases, [0, 1000])
    func theOutputStaysExact(_ trouble: Trouble, _ tolerated: Int) async throws {
        var job = PartsJob()
        job.parallelism = 2
        job.toleratedFailures = tolerated
        let checkpoints = job.checkpoints
        let seen = Mutex(0)
        let execution = try job.makeExecution()
        let struck = job
        let observer = Holdup { _ in
            guard execution.checkpoints.completed.value >= 2 else { return .go }
            let count = seen.withLock { seen in
                seen += 1
                return seen
            }
            if count == 1 { strike(trouble, struck) }
            if count == 600 { checkpoints.faults = DiskFaults() }
            return .go
        }
        try await execution.run(on: CountingJob.scheduler(5, observer))
        #expect(job.published == job.expected)
        if trouble != .vanished { #expect(execution.checkpoints.failed.value > 0) }
    }

    /// The trouble does not end, and the strategy has a limit: the job says so, and what is on the disk is enough to go
    /// on from when it is over.
    @Test(arguments: [Trouble.full, .readOnly, .noSync])
    func theCheckpointBeforeStaysUsable(_ trouble: Trouble) async throws {
        var job = PartsJob()
        job.toleratedFailures = 1
        job.restart = .fixedDelay(attempts: 2, delay: 1)
        let struck = Mutex(false)
        let execution = try job.makeExecution()
        let place = job
        let observer = Holdup { _ in
            guard execution.checkpoints.completed.value == 2 else { return .go }
            let isFirst = struck.withLock { struck in
                defer { struck = true }
                return !struck
            }
            if isFirst { strike(trouble, place) }
            return .go
        }
        let error = await #expect(throws: ThalwegError.self) {
            try await execution.run(on: CountingJob.scheduler(5, observer))
        }
        let text = error.map { "\($0)" } ?? ""
        #expect(text.contains("checkpoints") && text.contains("hint:"), "\(text)")
        job.checkpoints.faults = DiskFaults()
        job.from = "latest"
        try await job.makeExecution().run(on: CountingJob.scheduler(6))
        #expect(job.published == job.expected)
    }

    /// The input ends while nothing can be written: the job starts again until it can.
    @Test func theLastStateIsWrittenLater() async throws {
        var job = PartsJob()
        job.interval = nil
        job.numbers = 40
        let checkpoints = job.checkpoints
        let execution = try job.makeExecution()
        let starts = Mutex(0)
        let observer = Holdup(
            hear: { text in
                guard text.contains("failed: the last state of a task could not be written") else { return }
                let count = starts.withLock { starts in
                    starts += 1
                    return starts
                }
                if count == 3 { checkpoints.faults = DiskFaults() }
            },
            decide: { _ in
                if starts.withLock({ $0 }) == 0 { checkpoints.faults.failsCreate = true }
                return .go
            })
        try await execution.run(on: CountingJob.scheduler(5, observer))
        #expect(job.published == job.expected)
        #expect(starts.withLock { $0 } == 3 && execution.checkpoints.failovers.value == 3)
    }

    /// The directory vanishes and a task fails before another checkpoint: the job cannot go back, and says so. A start
    /// from what is left does not write beside the output.
    @Test func nothingToGoBackTo() async throws {
        var job = PartsJob()
        job.interval = 40
        let struck = Mutex(false)
        let execution = try job.makeExecution()
        let place = job
        let observer = Holdup { turn in
            guard execution.checkpoints.completed.value == 2, case .task = turn else { return .go }
            let isFirst = struck.withLock { struck in
                defer { struck = true }
                return !struck
            }
            guard isFirst else { return .go }
            strike(.vanished, place)
            return .fail(Mishap(text: "a failure"))
        }
        let error = await #expect(throws: ThalwegError.self) {
            try await execution.run(on: CountingJob.scheduler(5, observer))
        }
        #expect(error?.primary == "the job cannot start again from its newest checkpoint", "\(error as Any)")
        #expect(error?.detail?.contains("checkpoints/chk-") == true)
        job.from = "latest"
        let refused = await #expect(throws: ThalwegError.self) {
            try await job.makeExecution().run(on: CountingJob.scheduler(6))
        }
        #expect(refused?.detail?.contains("out/part-") == true, "\(refused as Any)")
    }
}
