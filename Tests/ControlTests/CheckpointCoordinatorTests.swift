// SPDX-License-Identifier: Apache-2.0
//  What the checkpoint coordinator answers, case by case.

import Testing
import ThalwegControl
import ThalwegStorage

/// The tasks 0.0, 0.1, ... of one vertex.
func tasks(_ count: Int32, vertex: Int32 = 0) -> [TaskID] {
    (0..<count).map { TaskID(vertex: vertex, subtask: $0) }
}

private func running(_ settings: CheckpointSettings, tasks count: Int32 = 2) -> CheckpointCoordinator {
    var coordinator = CheckpointCoordinator(settings: settings)
    _ = coordinator.handle(.started(tasks: tasks(count)), now: 0)
    return coordinator
}

private let all = tasks(2)

extension CheckpointCoordinator {
    fileprivate mutating func acknowledge(_ checkpoint: Int64, now: Int64) -> [CheckpointAction] {
        all.flatMap { handle(.acknowledged(checkpoint: checkpoint, task: $0), now: now) }
    }
}

@Test func periodicCheckpointFromTriggerToRelease() {
    var coordinator = running(CheckpointSettings(interval: 100, timeout: 1_000))
    #expect(coordinator.nextWake == 100)
    #expect(coordinator.handle(.tick, now: 99) == [])
    #expect(
        coordinator.handle(.tick, now: 100) == [
            .trigger(checkpoint: 1, kind: .checkpoint, alignmentTimeout: nil), .wake(at: 1_100),
        ])
    #expect(coordinator.handle(.acknowledged(checkpoint: 1, task: all[0]), now: 110) == [])
    #expect(coordinator.handle(.acknowledged(checkpoint: 1, task: all[0]), now: 111) == [])
    #expect(
        coordinator.handle(.acknowledged(checkpoint: 1, task: all[1]), now: 112)
            == [.complete(checkpoint: 1, kind: .checkpoint, tasks: all)])
    #expect(coordinator.restorePoint == .undecided(1))
    #expect(
        coordinator.handle(.metadataWritten(checkpoint: 1), now: 115) == [.commit(checkpoint: 1), .wake(at: 200)])
    #expect(coordinator.restorePoint == .checkpoint(1))
    #expect(coordinator.handle(.committed(checkpoint: 1), now: 116) == [])
    #expect(
        coordinator.handle(.tick, now: 200).first == .trigger(checkpoint: 2, kind: .checkpoint, alignmentTimeout: nil))
    _ = coordinator.acknowledge(2, now: 210)
    #expect(
        coordinator.handle(.metadataWritten(checkpoint: 2), now: 211)
            == [.commit(checkpoint: 2), .release(checkpoint: 1), .wake(at: 300)])
}

@Test func idsStartAboveTheRestoredOne() {
    var coordinator = CheckpointCoordinator(settings: CheckpointSettings(interval: 10), restored: 41)
    #expect(coordinator.restorePoint == .checkpoint(41))
    _ = coordinator.handle(.started(tasks: all), now: 0)
    _ = coordinator.handle(.tick, now: 10)
    #expect(coordinator.pendingCheckpoints == [42])
}

@Test func pauseCountsFromTheEnd() {
    var coordinator = running(CheckpointSettings(interval: 100, minimumPause: 70))
    _ = coordinator.handle(.tick, now: 100)
    _ = coordinator.acknowledge(1, now: 180)
    _ = coordinator.handle(.metadataWritten(checkpoint: 1), now: 190)
    #expect(coordinator.nextWake == 260)
    #expect(coordinator.handle(.tick, now: 259) == [])
    _ = coordinator.handle(.tick, now: 260)
    #expect(coordinator.pendingCheckpoints == [2])
}

@Test func timeoutAbortsAndLateAcknowledgementIsDiscarded() {
    var coordinator = running(CheckpointSettings(interval: 100, timeout: 50, toleratedFailures: 1))
    _ = coordinator.handle(.tick, now: 100)
    let reason = "timed out after 50 ms, 2 tasks missing, first task 0.0"
    #expect(coordinator.handle(.tick, now: 150).first == .abort(checkpoint: 1, reason: reason))
    #expect(
        coordinator.handle(.acknowledged(checkpoint: 1, task: all[1]), now: 160) == [.discard(checkpoint: 1)])
    _ = coordinator.handle(.tick, now: 200)
    let failure = coordinator.handle(.declined(checkpoint: 2, task: all[1], reason: "disk full"), now: 210)
    #expect(failure.first == .abort(checkpoint: 2, reason: "task 0.1 declined: disk full"))
    #expect(
        failure.contains(
            .failJob(
                reason: "2 checkpoints in a row failed, 1 are tolerated; the last one, 2: task 0.1 declined: disk full",
                isFinal: false)))
}

@Test func restartAbortsAndHoldsBack() {
    var coordinator = running(CheckpointSettings(interval: 100))
    _ = coordinator.handle(.tick, now: 100)
    #expect(
        coordinator.handle(.tasksRestarting([all[0]]), now: 110) == [.abort(checkpoint: 1, reason: "task 0.0 failed")])
    #expect(coordinator.nextWake == nil)
    #expect(coordinator.handle(.tick, now: 500) == [])
    #expect(coordinator.handle(.trigger(request: 7, kind: .savepoint), now: 500) == [])
    #expect(
        coordinator.handle(.tasksRunning([all[0]]), now: 600).first
            == .trigger(checkpoint: 2, kind: .savepoint, alignmentTimeout: nil))
}
