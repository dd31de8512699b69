// SPDX-License-Identifier: Apache-2.0
//  The book of splits, case by case.

import Testing
import ThalwegBase

@testable import ThalwegControl

@Suite struct SplitLedgerTests {
    @Test func assignmentsAfterTheCheckpointGoBackInOrder() throws {
        var ledger = SplitLedger()
        ledger.discover(["a", "b", "c", "d"])
        try ledger.assign("a", to: 0)
        ledger.freeze(1, unassigned: ["b", "c", "d"])
        // After the enumerator's snapshot: not part of checkpoint 1.
        try ledger.assign("d", to: 0)
        try ledger.assign("b", to: 1)
        ledger.pass(1, subtask: 0, splits: ["a"])
        ledger.pass(1, subtask: 1, splits: [])
        let violation = ledger.verify(1)
        #expect(violation == nil)
        try ledger.assign("c", to: 0)
        try ledger.finish("a", by: 0)
        #expect(
            ledger.reset([0], to: 1, held: ["a"]) == [
                .init(split: "a", subtask: 0, isInCheckpoint: true),
                .init(split: "d", subtask: 0, isInCheckpoint: false),
                .init(split: "c", subtask: 0, isInCheckpoint: false),
            ])
        try ledger.assign("c", to: 1)
        #expect(ledger.reset([1], to: 1, held: ["a"]).map(\.split) == ["b", "c"])
    }

    @Test func whatWasFinishedBeforeTheCheckpointStaysFinished() throws {
        var ledger = SplitLedger(checkpoint: 3)
        for split in ["a", "b"] { try ledger.assign(split, to: 0) }
        try ledger.finish("a", by: 0)
        ledger.freeze(4, unassigned: [])
        ledger.pass(4, subtask: 0, splits: ["b"])
        let violation = ledger.verify(4)
        #expect(violation == nil)
        try ledger.finish("b", by: 0)
        #expect(ledger.reset([0], to: 4, held: ["b"]).map(\.split) == ["b"])
        let error = #expect(throws: ThalwegError.self) { try ledger.assign("a", to: 1) }
        #expect(error?.detail == "split 'a' was read to its end by reader 0 and was given to reader 1")
    }

    @Test func nobodyGetsOrFinishesWhatIsAnothers() throws {
        var ledger = SplitLedger()
        try ledger.assign("a", to: 0)
        let twice = #expect(throws: ThalwegError.self) { try ledger.assign("a", to: 1) }
        #expect(twice?.detail == "split 'a' is with reader 0 and was given to reader 1")
        let foreign = #expect(throws: ThalwegError.self) { try ledger.finish("a", by: 1) }
        #expect(foreign?.detail == "reader 1, split 'a', which is with reader 0")
        #expect(throws: ThalwegError.self) { try ledger.finish("z", by: 1) }
    }

    /// What two readers and the enumerator wrote, and what is wrong with it.
    @Test(
        arguments: [
            (["c"], ["a"], ["b"], nil as SplitViolation?),
            ([], ["a"], ["b"], .nowhere(split: "c", owner: .enumerator)),
            (["c"], [], ["b"], .nowhere(split: "a", owner: .reader(0))),
            (["c"], ["a", "b"], ["b"], .twice(split: "b", .reader(0), .reader(1))),
            (["c", "c"], ["a"], ["b"], .twice(split: "c", .enumerator, .enumerator)),
            (["a", "c"], ["a"], ["b"], .twice(split: "a", .enumerator, .reader(0))),
            (["c"], ["b"], ["a"], .misplaced(split: "a", in: .reader(1), owner: .reader(0))),
            (["c"], ["a", "z"], ["b"], .misplaced(split: "z", in: .reader(0), owner: nil)),
            (["c"], ["a"], ["b", "done"], .finished(split: "done", in: .reader(1), by: .reader(0))),
        ] as [([String], [String], [String], SplitViolation?)], [false, true])
    func violationsAreNamed(
        _ states: ([String], [String], [String], SplitViolation?), _ hasEnded: Bool
    ) throws {
        let (unassigned, first, second, expected) = states
        var ledger = SplitLedger()
        ledger.discover(["a", "b", "c", "done"])
        for (split, subtask) in [("a", 0), ("b", 1), ("done", 0)] { try ledger.assign(split, to: subtask) }
        ledger.freeze(7, unassigned: unassigned)
        try ledger.finish("done", by: 0)
        // What a reader left at its end serves as well.
        if hasEnded { ledger.end(subtask: 0, splits: first) } else { ledger.pass(7, subtask: 0, splits: first) }
        ledger.pass(7, subtask: 1, splits: second)
        let violation = ledger.verify(7)
        #expect(violation == expected)
    }

    @Test func aCheckpointInTheRecoveryWindowIsCaught() throws {
        var ledger = SplitLedger(checkpoint: 5)
        for (split, subtask) in [("a", 0), ("b", 1)] { try ledger.assign(split, to: subtask) }
        _ = ledger.reset([0], to: 5, held: ["a", "b"])
        // Reader 0 runs again but has not been given its split back.
        ledger.freeze(6, unassigned: [])
        ledger.pass(6, subtask: 0, splits: [])
        ledger.pass(6, subtask: 1, splits: ["b"])
        let violation = ledger.verify(6)
        #expect(violation == .nowhere(split: "a", owner: .enumerator))
    }

    @Test func aWaitingSplitMovesWhenNoBarrierIsBetween() throws {
        var ledger = SplitLedger(checkpoint: 5)
        for split in ["a", "b"] { try ledger.assign(split, to: 0) }
        ledger.freeze(6, unassigned: [])
        #expect(ledger.mayMove(from: 0, to: 1))
        ledger.pass(6, subtask: 0, splits: ["a", "b"])
        #expect(!ledger.mayMove(from: 0, to: 1))
        ledger.pass(6, subtask: 1, splits: [])
        #expect(ledger.mayMove(from: 0, to: 1))
        ledger.move("b", to: 1)
        var violation = ledger.verify(6)
        #expect(violation == nil)
        // Reader 0 has 'b' in its state, but reader 1 has it.
        #expect(ledger.reset([0], to: 6, held: ["a", "b"]).map(\.split) == ["a"])
        try ledger.assign("a", to: 0)
        #expect(ledger.reset([1], to: 6, held: ["a", "b"]).map(\.split) == ["b"])
        try ledger.assign("b", to: 1)
        // Before both barriers: the new owner has it in its state.
        ledger.freeze(7, unassigned: [])
        ledger.move("b", to: 0)
        ledger.pass(7, subtask: 0, splits: ["a", "b"])
        ledger.pass(7, subtask: 1, splits: [])
        violation = ledger.verify(7)
        #expect(violation == nil)
    }

    /// After a drain a split may be left that its reader never took up.
    @Test func whatAnEndedReaderHasNotTakenUpIsNobodys() throws {
        var ledger = SplitLedger(checkpoint: 5)
        try ledger.assign("a", to: 0)
        ledger.freeze(6, unassigned: ["b"])
        try ledger.assign("b", to: 0)
        ledger.end(subtask: 0, splits: ["a"])
        ledger.takeBack("b")
        for checkpoint in [6, 7] as [Int64] {
            if checkpoint == 7 { ledger.freeze(7, unassigned: ["b"]) }
            let violation = ledger.verify(checkpoint)
            #expect(violation == nil)
        }
    }

    /// What no restart can bring back is forgotten, but for a hash by which a second assignment is seen.
    @Test func itsSizeDoesNotGrow() throws {
        var ledger = SplitLedger()
        let perCheckpoint = 7
        for checkpoint in 1...2_000 as ClosedRange<Int64> {
            let splits = (0..<perCheckpoint).map { "split-\(checkpoint)-\($0)" }
            for (index, split) in splits.enumerated() { try ledger.assign(split, to: index % 2) }
            // One is read to its end between the barriers.
            for split in splits.dropLast() {
                try ledger.finish(split, by: splits.firstIndex(of: split).map { $0 % 2 } ?? 0)
            }
            ledger.freeze(checkpoint, unassigned: [])
            ledger.pass(checkpoint, subtask: 0, splits: [splits[perCheckpoint - 1]])
            try ledger.finish(splits[perCheckpoint - 1], by: 0)
            ledger.pass(checkpoint, subtask: 1, splits: [])
            let violation = ledger.verify(checkpoint)
            #expect(violation == nil)
            // Until the checkpoint is settled a restart would need what was finished since the one before.
            #expect(ledger.finished.count == perCheckpoint + (checkpoint > 1 ? 1 : 0))
            let settled = ledger.settle(checkpoint)
            #expect(settled.count == perCheckpoint - 1 + (checkpoint > 1 ? 1 : 0))
            #expect(Array(ledger.finished.keys) == [splits[perCheckpoint - 1]])
        }
        #expect(ledger.forgotten.count == 2_000 * perCheckpoint - 1)
        let error = #expect(throws: ThalwegError.self) { try ledger.assign("split-1-0", to: 1) }
        #expect(error?.detail == "split 'split-1-0' was read to its end long ago and was given to reader 1")
        ledger.discover(["split-1-0"])
        #expect(ledger.unfinished.isEmpty)
        // What was finished after the barrier comes back with a restart from there.
        let back = ledger.reset([0], to: 2_000, held: ["split-2000-6"])
        #expect(back.map(\.split) == ["split-2000-6"])
    }

    @Test func theOldestHashesGo() {
        var forgotten = ForgottenSplits()
        for number in 0..<ForgottenSplits.countMax + 100 { forgotten.add("\(number)") }
        #expect(forgotten.count == ForgottenSplits.countMax)
        #expect(!forgotten.contains("0") && !forgotten.contains("99") && forgotten.contains("100"))
        forgotten.add("100")
        #expect(forgotten.count == ForgottenSplits.countMax && forgotten.contains("101"))
    }
}
