// SPDX-License-Identifier: Apache-2.0
//  Every pair of state and event has its defined result.

import Testing
import ThalwegControl
import ThalwegStorage

private let starts: [(name: String, events: [JobEvent])] = [
    ("created", []),
    ("restarting", [.start]),
    ("running", [.start, .tasksRunning]),
    ("stopping", [.start, .tasksRunning, .stop(request: 1, kind: .suspend, timeout: nil)]),
    (
        "stopped",
        [
            .start, .tasksRunning, .stop(request: 1, kind: .suspend, timeout: nil),
            .snapshotEnded(request: 1, .completed(checkpoint: 9)),
        ]
    ),
    ("cancelling", [.start, .tasksRunning, .cancel(request: 2)]),
    ("failing", [.start, .tasksRunning, .failed(reason: "disk")]),
    ("finished", [.start, .tasksRunning, .tasksFinished]),
    ("failed", [.start, .failed(reason: "disk"), .tasksCancelled]),
    ("cancelled", [.cancel(request: 2)]),
]

private let probes: [(name: String, event: JobEvent)] = [
    ("start", .start),
    ("suspend", .stop(request: 5, kind: .suspend, timeout: nil)),
    ("drain", .stop(request: 5, kind: .drain, timeout: nil)),
    ("cancel", .cancel(request: 5)),
    ("running", .tasksRunning),
    ("restarting", .tasksRestarting(reason: "x")),
    ("failed", .failed(reason: "x")),
    ("done", .snapshotEnded(request: 1, .completed(checkpoint: 9))),
    ("undone", .snapshotEnded(request: 1, .failed(reason: "late"))),
    ("finished", .tasksFinished),
    ("cancelled", .tasksCancelled),
    ("tick", .tick),
]

private func lifecycle(after events: [JobEvent]) -> JobLifecycle {
    var job = JobLifecycle()
    for event in events { _ = job.handle(event, now: 0) }
    return job
}

/// The state after each event, by state: the events in the order of `probes`.
private let expected: [String: String] = [
    "created":
        "restarting created created cancelled created created failing created created created created created",
    "restarting":
        "restarting restarting restarting cancelling running restarting failing restarting restarting finished "
        + "restarting restarting",
    "running":
        "running stopping(suspend) stopping(drain) cancelling running restarting failing running running finished "
        + "running running",
    "stopping":
        "stopping(suspend) stopping(suspend) stopping(suspend) cancelling stopping(suspend) restarting failing "
        + "stopping(suspend,checkpoint9) running finished stopping(suspend) stopping(suspend)",
    "stopped":
        "S S S cancelling S failing failing S S finished S S",
    "cancelling":
        "cancelling cancelling cancelling cancelling cancelling cancelling cancelling cancelling cancelling cancelled "
        + "cancelled cancelling",
    "failing":
        "failing failing failing failing failing failing failing failing failing failed failed failing",
    "finished":
        "finished finished finished finished finished finished finished finished finished finished finished finished",
    "failed": "failed failed failed failed failed failed failed failed failed failed failed failed",
    "cancelled":
        "cancelled cancelled cancelled cancelled cancelled cancelled cancelled cancelled cancelled cancelled cancelled "
        + "cancelled",
]

@Test(arguments: starts.indices) func everyPairOfStateAndEvent(start: Int) throws {
    let (name, events) = starts[start]
    let row = try #require(expected[name]).split(separator: " ")
    try #require(row.count == probes.count)
    for (probe, wanted) in zip(probes, row) {
        var job = lifecycle(after: events)
        _ = job.handle(probe.event, now: 0)
        let text = "\(job.state)".filter { $0 != " " }
        #expect(text == (wanted == "S" ? "stopping(suspend,checkpoint9)" : wanted), "\(name) + \(probe.name)")
    }
}

@Test func stopEndsWhenTheTasksHaveEnded() {
    var job = lifecycle(after: [.start, .tasksRunning])
    #expect(
        job.handle(.stop(request: 1, kind: .drain, timeout: 50), now: 100) == [
            .triggerStop(request: 1, kind: .drain), .wake(at: 150),
        ])
    #expect(job.handle(.stop(request: 2, kind: .drain, timeout: 20), now: 110) == [.wake(at: 130)])
    #expect(
        job.handle(.stop(request: 3, kind: .suspend, timeout: nil), now: 110) == [
            .answer(
                request: 3, .rejected(reason: "the job is already stopping (drain): ask for the same or cancel it"))
        ])
    #expect(job.handle(.snapshotEnded(request: 1, .completed(checkpoint: 4)), now: 120) == [])
    #expect(
        job.handle(.tasksFinished, now: 125) == [
            .answer(request: 1, .stopped(checkpoint: 4)), .answer(request: 2, .stopped(checkpoint: 4)),
            .ended(.finished, reason: nil),
        ])
}

@Test func stopThatTakesTooLongIsACancel() {
    var job = lifecycle(after: [.start, .tasksRunning])
    _ = job.handle(.stop(request: 1, kind: .suspend, timeout: 50), now: 100)
    #expect(job.handle(.tick, now: 149) == [])
    #expect(job.handle(.tick, now: 150) == [.cancelTasks(reason: "the stop took too long")])
    #expect(job.handle(.cancel(request: 2), now: 151) == [])
    #expect(job.handle(.snapshotEnded(request: 1, .failed(reason: "cancelled")), now: 152) == [])
    #expect(
        job.handle(.tasksCancelled, now: 160) == [
            .answer(request: 1, .escalated(checkpoint: nil)), .answer(request: 2, .cancelled),
            .ended(.cancelled, reason: "the stop took too long"),
        ])
}

@Test func stopDuringARestartWaits() {
    var job = lifecycle(after: [.start, .tasksRunning, .tasksRestarting(reason: "x")])
    #expect(job.handle(.stop(request: 1, kind: .suspend, timeout: nil), now: 0) == [])
    #expect(job.handle(.tasksRunning, now: 5) == [.triggerStop(request: 1, kind: .suspend)])
    // The tasks fail again while the snapshot is on its way: the stop fails, the job goes on.
    #expect(job.handle(.tasksRestarting(reason: "x"), now: 6) == [])
    #expect(
        job.handle(.snapshotEnded(request: 1, .failed(reason: "y")), now: 6)
            == [.answer(request: 1, .failed(reason: "y"))])
    #expect(job.handle(.tasksRunning, now: 7) == [])
    #expect(job.state == .running)
}

@Test func failureAfterTheSnapshotNamesIt() {
    var job = lifecycle(after: starts[4].events)
    let actions = job.handle(.tasksRestarting(reason: "commit refused"), now: 0)
    let text = "the job failed: commit refused; checkpoint 9 is durable: start from it"
    #expect(
        actions == [.answer(request: 1, .failed(reason: text)), .cancelTasks(reason: "commit refused")])
    #expect(job.handle(.tasksCancelled, now: 0) == [.ended(.failed, reason: "commit refused")])
}
