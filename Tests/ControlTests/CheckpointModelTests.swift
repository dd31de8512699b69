// SPDX-License-Identifier: Apache-2.0
//  The checkpoint coordinator under thousands of random histories: what must always hold.

import Testing
import ThalwegBase
import ThalwegControl
import ThalwegStorage

/// A shell made of chance: it delivers what is on its way in any order, fails tasks, stops and finishes them, and
/// checks every action against what it knows.
private struct RandomShell {
    enum Fate { case underWay, writing, written, aborted }

    var random: SeededRandom
    var coordinator: CheckpointCoordinator
    let all: [TaskID]
    var now: Int64 = 0
    var lastID: Int64 = 0
    var fates: [Int64: Fate] = [:]
    var kinds: [Int64: SnapshotKind] = [:]
    var missing: [Int64: Set<TaskID>] = [:]
    var waiting: [(checkpoint: Int64, task: TaskID)] = []
    var committing: [Int64] = []
    var committed: Set<Int64> = []
    var finished: Set<TaskID> = []
    var restarting: Set<TaskID> = []
    var open: Set<Int64> = []
    var requests: Int64 = 0
    var isOver = false
    var hasStopped = false
    var completions = 0

    init(seed: UInt64) {
        random = SeededRandom(seed: seed)
        all = tasks(Int32.random(in: 1...4, using: &random))
        let settings = CheckpointSettings(
            interval: Bool.random(using: &random) ? 20 : nil,
            minimumPause: Bool.random(using: &random) ? 15 : 0, timeout: 60,
            concurrentMax: Int.random(in: 1...3, using: &random),
            toleratedFailures: Int.random(in: 0...3, using: &random), retained: Int.random(in: 1...3, using: &random))
        coordinator = CheckpointCoordinator(settings: settings)
        send(.started(tasks: all))
    }

    mutating func send(_ event: CheckpointEvent) {
        for action in coordinator.handle(event, now: now) { check(action) }
        #expect(
            coordinator.pendingCheckpoints
                == fates.filter { $0.value == .underWay || $0.value == .writing }
                .keys.sorted())
    }

    mutating func check(_ action: CheckpointAction) {
        switch action {
        case .trigger(let id, let kind, _): checkTrigger(id, kind)
        case .complete(let id, let kind, let tasks):
            if kind == .final {
                begin(id, kind)
                #expect(finished.count == all.count && restarting.isEmpty)
            }
            #expect(fates[id] == .underWay && tasks == all && missing[id]?.isEmpty == true)
            fates[id] = .writing
        case .commit(let id):
            #expect(fates[id] == .written && kinds[id] != .savepoint && !isOver && committed.insert(id).inserted)
            committing.append(id)
        case .abort(let id, _):
            #expect(fates[id] == .underWay || fates[id] == .writing)
            fates[id] = .aborted
        case .discard(let id): #expect(fates[id] == .aborted)
        case .release(let id): #expect(fates[id] == .written && coordinator.restorePoint != .checkpoint(id))
        case .answer(let request, let outcome):
            #expect(open.remove(request) != nil, "request \(request) answered twice")
            if case .completed(let id) = outcome {
                #expect(fates[id] == .written)
                if kinds[id]?.isStop == true { hasStopped = true }
            }
        case .failJob(_, let isFinal): if isFinal { hasStopped = true }
        case .wake(let at): #expect(at > now)
        }
    }

    mutating func begin(_ id: Int64, _ kind: SnapshotKind) {
        #expect(id == lastID + 1)
        lastID = id
        fates[id] = .underWay
        kinds[id] = kind
        missing[id] = Set(all).subtracting(finished)
    }

    mutating func checkTrigger(_ id: Int64, _ kind: SnapshotKind) {
        let pending = fates.filter { $0.value == .underWay || $0.value == .writing }
        #expect(pending.count < coordinator.settings.concurrentMax)
        #expect(!pending.contains { kinds[$0.key]?.isStop == true || kinds[$0.key] == .final })
        #expect(!kind.isStop || pending.isEmpty)
        #expect(restarting.isEmpty && !isOver && !hasStopped)
        begin(id, kind)
        waiting += all.map { (id, $0) }
    }

    mutating func step() {
        now += Int64.random(in: 0...4, using: &random)
        switch Int.random(in: 0..<100, using: &random) {
        case 0..<45: deliver()
        case 45..<58: send(.tick)
        case 58..<70: writeMetadata(succeeds: Int.random(in: 0..<8, using: &random) > 0)
        case 70..<78: commitNext()
        case 78..<84: request()
        case 84..<88: fail()
        case 88..<95: recover()
        case 95..<97: if let task = all.randomElement(using: &random) { finish(task) }
        default:
            guard let id = fates.filter({ $0.value == .underWay }).keys.min(), let task = all.first else { return }
            send(.declined(checkpoint: id, task: task, reason: "chance"))
        }
    }

    mutating func deliver() {
        guard !waiting.isEmpty else { return }
        let (checkpoint, task) = waiting.remove(at: Int.random(in: waiting.indices, using: &random))
        missing[checkpoint]?.remove(task)
        send(.acknowledged(checkpoint: checkpoint, task: task))
    }

    mutating func writeMetadata(succeeds: Bool) {
        guard let id = fates.filter({ $0.value == .writing }).keys.sorted().randomElement(using: &random) else {
            return
        }
        if kinds[id] != .savepoint {
            if case .undecided = coordinator.restorePoint {} else { Issue.record("a restart could miss \(id)") }
        }
        guard succeeds else { return send(.metadataFailed(checkpoint: id, reason: "chance")) }
        fates[id] = .written
        completions += 1
        send(.metadataWritten(checkpoint: id))
    }

    mutating func commitNext() {
        guard restarting.isEmpty, !committing.isEmpty else { return }
        send(.committed(checkpoint: committing.removeFirst()))
    }

    mutating func request() {
        requests += 1
        open.insert(requests)
        let kind: SnapshotKind =
            [.savepoint, .savepoint, .checkpoint, .checkpoint, .suspend, .drain].randomElement(using: &random)
            ?? .savepoint
        send(.trigger(request: requests, kind: kind))
    }

    mutating func fail() {
        guard let task = all.randomElement(using: &random) else { return }
        restarting.insert(task)
        finished.remove(task)
        // Its acknowledgements on their way may still arrive: they are late then.
        send(.tasksRestarting([task]))
    }

    mutating func recover() {
        // Tasks start again only from a decided checkpoint.
        if case .undecided = coordinator.restorePoint { return }
        let back = restarting.sorted()
        restarting = []
        send(.tasksRunning(back))
    }

    mutating func finish(_ task: TaskID) {
        guard !restarting.contains(task), finished.insert(task).inserted else { return }
        for id in missing.keys where fates[id] == .underWay { missing[id]?.remove(task) }
        send(.taskFinished(task))
    }
}

@Test(arguments: 0..<400 as Range<UInt64>) func randomHistories(seed: UInt64) {
    var shell = RandomShell(seed: seed)
    for _ in 0..<400 { shell.step() }
    shell.isOver = true
    shell.send(.ended(reason: "cancelled"))
    while shell.fates.values.contains(.writing) { shell.writeMetadata(succeeds: true) }
    #expect(shell.open.isEmpty, "never answered: \(shell.open.sorted())")
    #expect(shell.coordinator.pendingCheckpoints.isEmpty)
}

/// Whatever happened before, an undisturbed job of finished tasks ends with a final checkpoint.
@Test(arguments: 0..<200 as Range<UInt64>) func undisturbedJobsEnd(seed: UInt64) {
    var shell = RandomShell(seed: seed)
    for _ in 0..<Int(seed) { shell.step() }
    for _ in 0..<20 {
        shell.now += 1
        while shell.fates.values.contains(.writing) { shell.writeMetadata(succeeds: true) }
        shell.recover()
        while !shell.committing.isEmpty { shell.commitNext() }
        for task in shell.all { shell.finish(task) }
    }
    let hasFinal = shell.kinds.contains { $0.value == .final && shell.committed.contains($0.key) }
    #expect(hasFinal || shell.hasStopped)
    #expect(shell.open.isEmpty, "never answered: \(shell.open.sorted())")
}
