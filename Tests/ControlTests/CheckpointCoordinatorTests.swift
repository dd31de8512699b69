// SPDX-License-Identifier: Apache-2.0
//  What the checkpoint coordinator answers, case by case.

import Testing
import ThalwegBase
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

@Test func savepointsQueueAndCommitNothing() {
    var coordinator = running(CheckpointSettings())
    #expect(
        coordinator.handle(.trigger(request: 1, kind: .savepoint), now: 0).first
            == .trigger(checkpoint: 1, kind: .savepoint, alignmentTimeout: nil))
    #expect(coordinator.handle(.trigger(request: 2, kind: .savepoint), now: 0) == [])
    #expect(coordinator.handle(.trigger(request: 2, kind: .savepoint), now: 0) == [])
    _ = coordinator.acknowledge(1, now: 1)
    let actions = coordinator.handle(.metadataWritten(checkpoint: 1), now: 2)
    #expect(
        actions.prefix(2) == [
            .answer(request: 1, .completed(checkpoint: 1)),
            .trigger(checkpoint: 2, kind: .savepoint, alignmentTimeout: nil),
        ])
    #expect(coordinator.restorePoint == .beginning)
    // The same request again gets the same answer and no second savepoint.
    #expect(
        coordinator.handle(.trigger(request: 1, kind: .savepoint), now: 3)
            == [.answer(request: 1, .completed(checkpoint: 1))])
}

@Test func onlyCheckpointsMayOvertakeRecords() {
    var coordinator = running(CheckpointSettings(interval: 10, concurrentMax: 2, alignmentTimeout: 5))
    #expect(
        coordinator.handle(.tick, now: 10).first == .trigger(checkpoint: 1, kind: .checkpoint, alignmentTimeout: 5))
    #expect(
        coordinator.handle(.trigger(request: 1, kind: .savepoint), now: 11).first
            == .trigger(checkpoint: 2, kind: .savepoint, alignmentTimeout: nil))
}

@Test func newerCheckpointEndsOlderOnes() {
    var coordinator = running(CheckpointSettings(interval: 10, concurrentMax: 2))
    _ = coordinator.handle(.tick, now: 10)
    _ = coordinator.handle(.tick, now: 20)
    _ = coordinator.acknowledge(2, now: 21)
    #expect(
        coordinator.handle(.metadataWritten(checkpoint: 2), now: 22).prefix(2) == [
            .abort(checkpoint: 1, reason: "checkpoint 2 completed first"), .commit(checkpoint: 2),
        ])
}

@Test func stopIsAnsweredWhenItIsCommitted() {
    var coordinator = running(CheckpointSettings(interval: 100))
    _ = coordinator.handle(.tick, now: 100)
    // The stop waits for the checkpoint under way; nothing periodic begins meanwhile.
    #expect(coordinator.handle(.trigger(request: 1, kind: .suspend), now: 110) == [])
    #expect(coordinator.handle(.tick, now: 250) == [])
    _ = coordinator.acknowledge(1, now: 260)
    #expect(
        coordinator.handle(.metadataWritten(checkpoint: 1), now: 261).prefix(2) == [
            .commit(checkpoint: 1), .trigger(checkpoint: 2, kind: .suspend, alignmentTimeout: nil),
        ])
    #expect(coordinator.handle(.trigger(request: 2, kind: .suspend), now: 262) == [])
    let other = coordinator.handle(.trigger(request: 3, kind: .drain), now: 262)
    let late = "the job is already stopping (suspend); drain came too late"
    #expect(other == [.answer(request: 3, .rejected(reason: late))])
    #expect(coordinator.handle(.trigger(request: 4, kind: .savepoint), now: 262) == [])
    _ = coordinator.acknowledge(2, now: 270)
    #expect(
        coordinator.handle(.metadataWritten(checkpoint: 2), now: 271)
            == [.commit(checkpoint: 2), .release(checkpoint: 1)])
    let stopped = "the job has stopped with checkpoint 2"
    #expect(
        coordinator.handle(.committed(checkpoint: 2), now: 272) == [
            .answer(request: 1, .completed(checkpoint: 2)), .answer(request: 2, .completed(checkpoint: 2)),
            .answer(request: 4, .rejected(reason: stopped)),
        ])
    #expect(all.flatMap { coordinator.handle(.taskFinished($0), now: 280) } == [])
    #expect(coordinator.handle(.tick, now: 10_000) == [])
    #expect(
        coordinator.handle(.trigger(request: 5, kind: .suspend), now: 10_000)
            == [.answer(request: 5, .rejected(reason: stopped))])
}

@Test func stopThatFailsLetsTheJobGoOn() {
    var coordinator = running(CheckpointSettings(interval: 100))
    _ = coordinator.handle(.trigger(request: 1, kind: .drain), now: 10)
    #expect(coordinator.handle(.tick, now: 150) == [])
    let reason = "task 0.0 declined: no space"
    let actions = coordinator.handle(.declined(checkpoint: 1, task: all[0], reason: "no space"), now: 160)
    #expect(
        actions.prefix(3) == [
            .abort(checkpoint: 1, reason: reason),
            .answer(request: 1, .failed(reason: "checkpoint 1 failed: \(reason)")),
            .trigger(checkpoint: 2, kind: .checkpoint, alignmentTimeout: nil),
        ])
}

@Test func failureBetweenSnapshotAndCommitEndsTheJob() {
    var coordinator = running(CheckpointSettings())
    _ = coordinator.handle(.trigger(request: 1, kind: .suspend), now: 10)
    _ = coordinator.acknowledge(1, now: 20)
    _ = coordinator.handle(.metadataWritten(checkpoint: 1), now: 30)
    let text =
        "stopped with checkpoint 1, but task 0.1 failed before it was committed: output may be uncommitted; "
        + "start with --from latest to commit it"
    #expect(
        coordinator.handle(.tasksRestarting([all[1]]), now: 40) == [
            .answer(request: 1, .failed(reason: text)), .failJob(reason: text, isFinal: true),
        ])
}

@Test func finalCheckpointComesAtOnce() {
    var coordinator = running(CheckpointSettings(interval: .max / 2))
    #expect(coordinator.handle(.taskFinished(all[0]), now: 5) == [])
    let complete = CheckpointAction.complete(checkpoint: 1, kind: .final, tasks: all)
    #expect(coordinator.handle(.taskFinished(all[1]), now: 6) == [complete])
    // A stop shares its result.
    #expect(coordinator.handle(.trigger(request: 1, kind: .suspend), now: 7) == [])
    #expect(coordinator.handle(.metadataWritten(checkpoint: 1), now: 8) == [.commit(checkpoint: 1)])
    #expect(
        coordinator.handle(.committed(checkpoint: 1), now: 9) == [.answer(request: 1, .completed(checkpoint: 1))])
}

@Test func finalCheckpointFollowsAPendingOneAndARestart() {
    var coordinator = running(CheckpointSettings(interval: 100))
    _ = coordinator.handle(.tick, now: 100)
    _ = coordinator.handle(.acknowledged(checkpoint: 1, task: all[0]), now: 101)
    _ = coordinator.handle(.taskFinished(all[0]), now: 102)
    #expect(
        coordinator.handle(.taskFinished(all[1]), now: 103)
            == [.complete(checkpoint: 1, kind: .checkpoint, tasks: all)])
    let final = CheckpointAction.complete(checkpoint: 2, kind: .final, tasks: all)
    #expect(
        coordinator.handle(.metadataWritten(checkpoint: 1), now: 104) == [.commit(checkpoint: 1), final])
    _ = coordinator.handle(.metadataWritten(checkpoint: 2), now: 105)
    // A sink fails while it commits: its task starts again from the final checkpoint and finishes once more.
    _ = coordinator.handle(.tasksRestarting([all[1]]), now: 106)
    #expect(coordinator.restorePoint == .checkpoint(2))
    _ = coordinator.handle(.tasksRunning([all[1]]), now: 107)
    #expect(
        coordinator.handle(.taskFinished(all[1]), now: 108)
            == [.complete(checkpoint: 3, kind: .final, tasks: all)])
}

/// What a task prepared at its end bears a number ahead of the checkpoint that it serves: after a restart that number
/// belongs to nobody else.
@Test func numbersOfEndedTasksAreNotUsedAgain() {
    var coordinator = running(CheckpointSettings(interval: 100))
    _ = coordinator.handle(.tick, now: 100)
    _ = coordinator.handle(.taskFinished(all[0], number: 2), now: 101)
    _ = coordinator.handle(.acknowledged(checkpoint: 1, task: all[1]), now: 102)
    _ = coordinator.handle(.metadataWritten(checkpoint: 1), now: 103)
    #expect(coordinator.newestNumber == 1)
    _ = coordinator.handle(.tasksRestarting(all), now: 104)
    #expect(coordinator.newestNumber == 2 && coordinator.restorePoint == .checkpoint(1))
    let actions = coordinator.handle(.tasksRunning(all), now: 200)
    #expect(actions.first == .trigger(checkpoint: 3, kind: .checkpoint, alignmentTimeout: nil), "\(actions)")
}

@Test func nothingIsCommittedAfterACancel() {
    var coordinator = running(CheckpointSettings())
    _ = coordinator.handle(.trigger(request: 1, kind: .suspend), now: 10)
    _ = coordinator.acknowledge(1, now: 20)
    #expect(
        coordinator.handle(.ended(reason: "cancelled"), now: 21)
            == [.answer(request: 1, .failed(reason: "cancelled"))])
    #expect(coordinator.handle(.metadataWritten(checkpoint: 1), now: 22) == [])
}

@Test(arguments: [
    CheckpointSettings(interval: 0), CheckpointSettings(minimumPause: -1), CheckpointSettings(timeout: 0),
    CheckpointSettings(concurrentMax: 0), CheckpointSettings(toleratedFailures: -1),
    CheckpointSettings(alignmentTimeout: -1), CheckpointSettings(retained: 0),
]) func settingsOutOfRange(settings: CheckpointSettings) throws {
    #expect(throws: ThalwegError.self) { try settings.validate() }
    try CheckpointSettings(interval: 1, alignmentTimeout: 0).validate()
}
