// SPDX-License-Identifier: Apache-2.0
//  The book of splits: case by case, and under hundreds of failures.

import Testing
import ThalwegBase
import ThalwegControl

@Test func assignmentsAfterTheCheckpointGoBackInOrder() throws {
    var ledger = SplitLedger()
    try ledger.discovered(["a", "b", "c", "d"])
    #expect(try ledger.assigned("a", to: 0, attempt: 0))
    ledger.snapshotEnumerator(1, unassigned: ["b", "c", "d"])
    // After the enumerator's snapshot: not part of checkpoint 1.
    #expect(try ledger.assigned("d", to: 0, attempt: 0))
    #expect(try ledger.assigned("b", to: 1, attempt: 0))
    ledger.snapshotReader(1, subtask: 0, splits: ["a"])
    ledger.snapshotReader(1, subtask: 1, splits: [])
    #expect(ledger.verify(1) == nil)
    let isKnown = ledger.completed(1)
    #expect(isKnown)
    #expect(try ledger.assigned("c", to: 0, attempt: 0))
    try ledger.finished("a", subtask: 0, attempt: 0)
    let reset = try ledger.resetSubtask(0, to: 1)
    #expect(reset == SplitReset(attempt: 1, handBack: ["a"], giveBack: ["d", "c"]))
    // The attempt before is over.
    #expect(try !ledger.assigned("c", to: 0, attempt: 0))
    try ledger.finished("a", subtask: 0, attempt: 0)
    #expect(try ledger.assigned("c", to: 1, attempt: 0))
    #expect(ledger.unassignedCount == 1)
    #expect(try ledger.resetSubtask(1, to: 1).giveBack == ["b", "c"])
    #expect(throws: ThalwegError.self) { try ledger.resetSubtask(1, to: 2) }
    #expect(throws: ThalwegError.self) { try ledger.discovered(["a"]) }
    #expect(throws: ThalwegError.self) { _ = try ledger.assigned("a", to: 1, attempt: 1) }
}

/// What two readers and the enumerator wrote, and what is wrong with it.
@Test(
    arguments: [
        (["c"], ["a"], ["b"], nil as SplitViolation?),
        ([], ["a"], ["b"], .nowhere(split: "c")),
        (["c"], [], ["b"], .nowhere(split: "a")),
        (["c"], ["a", "b"], ["b"], .twice(split: "b")),
        (["c", "c"], ["a"], ["b"], .twice(split: "c")),
        (["a", "c"], ["a"], ["b"], .twice(split: "a")),
        (["c"], ["b"], ["a"], .misplaced(split: "a")),
        (["c"], ["a", "z"], ["b"], .misplaced(split: "z")),
        (["c"], ["a", "done"], ["b"], .misplaced(split: "done")),
    ] as [([String], [String], [String], SplitViolation?)])
func violationsAreNamed(unassigned: [String], first: [String], second: [String], violation: SplitViolation?) throws {
    var ledger = SplitLedger()
    try ledger.discovered(["a", "b", "c", "done"])
    for (split, subtask) in [("a", 0), ("b", 1), ("done", 0)] {
        #expect(try ledger.assigned(split, to: subtask, attempt: 0))
    }
    ledger.snapshotEnumerator(7, unassigned: unassigned)
    try ledger.finished("done", subtask: 0, attempt: 0)
    ledger.snapshotReader(7, subtask: 0, splits: first)
    ledger.snapshotReader(7, subtask: 1, splits: second)
    #expect(ledger.verify(7) == violation)
    #expect(ledger.verify(8) == .unknownCheckpoint(8))
}

@Test func checkpointInTheRecoveryWindowIsCaught() throws {
    var ledger = SplitLedger(checkpoint: 5, readers: [0: ["a"], 1: ["b"]], unassigned: ["c"])
    _ = try ledger.resetSubtask(0, to: 5)
    // Reader 0 has registered again but has not been given its split back.
    ledger.snapshotEnumerator(6, unassigned: ["c"])
    ledger.snapshotReader(6, subtask: 0, splits: [])
    ledger.snapshotReader(6, subtask: 1, splits: ["b"])
    #expect(ledger.verify(6) == .nowhere(split: "a"))
}

@Test func returnedSplitMovesToAnotherReader() throws {
    var ledger = SplitLedger(checkpoint: 5, readers: [0: ["a", "b"]])
    try ledger.returned("b", subtask: 0, attempt: 0)
    #expect(try ledger.assigned("b", to: 1, attempt: 0))
    // Reader 0 finds 'b' in its state, but reader 1 has it.
    #expect(try ledger.resetSubtask(0, to: 5).handBack == ["a"])
    #expect(try ledger.resetSubtask(1, to: 5).giveBack == ["b"])
    try ledger.resetAll(to: 5)
    #expect(try ledger.resetSubtask(0, to: 5).handBack == ["a", "b"])
}
