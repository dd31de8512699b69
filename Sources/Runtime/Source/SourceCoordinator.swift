// SPDX-License-Identifier: Apache-2.0
//  Holds a source's enumerator: its calls never overlap, and every split gets a number.

import Synchronization
import ThalwegBase
import ThalwegControl
import ThalwegData
import ThalwegGraph
import ThalwegOperator
import ThalwegStorage

/// The coordinator of one source. Its enumerator's calls run one at a time under its lock.
public final class SourceCoordinator<S: Source>: SourceCoordinating {
    public typealias Split = S.Reader.Split

    private struct Contents: Sendable {
        // Unchecked inside: the enumerator is used under the lock only.
        nonisolated(unsafe) var enumerator: S.Enumerator
        var isStarted = false
        /// The readers that the enumerator has been told of.
        var readerCount = 0
        var nextNumber: Int32 = 0
        var toldNoMore: Set<Int> = []
        var ledger: SplitLedger
        /// Splits as they were assigned; one stays here until no restart can bring it back.
        var assigned: [String: Split] = [:]
        /// Splits that readers had in the snapshot the job starts from, and what ended readers have not taken up.
        var waiting: [Split] = []
    }

    private let contents: Guarded<Contents>
    private let name: String
    private let parallelism: Int

    public init(_ source: S, _ seat: SourceCoordinatorSeat) throws {
        var contents = Contents(
            enumerator: try source.makeEnumerator(), ledger: SplitLedger(checkpoint: seat.checkpoint))
        if let restored = seat.restored {
            if restored.hasState(SourceStates.enumerator) {
                let stored = try restored.elements(
                    of: SourceStates.enumerator, as: S.Enumerator.Checkpoint.self)
                if let checkpoint = stored.flatMap(\.self).first {
                    contents.ledger.discover(S.Enumerator.unassigned(in: checkpoint))
                    try contents.enumerator.restore(checkpoint)
                }
            }
            if restored.hasState(SourceStates.splits) {
                contents.waiting = try restored.elements(of: SourceStates.splits, as: Split.self).flatMap(\.self)
                contents.ledger.discover(contents.waiting.map(\.id))
            }
        }
        self.contents = Guarded(contents)
        name = seat.name
        parallelism = seat.parallelism
    }

    /// Starts the enumerator unless it has been started: whichever reader comes first does it, so that no request is
    /// ever answered by an enumerator that has not looked for splits yet.
    public func start(_ deliver: (CoordinatorAction) -> Void) throws { try decide(deliver) { _, _ in } }

    public func requestSplit(from subtask: Int, _ deliver: (CoordinatorAction) -> Void) throws {
        try decide(deliver) { try $0.enumerator.handleSplitRequest(from: subtask, &$1) }
    }

    public func discover(_ deliver: (CoordinatorAction) -> Void) throws {
        try decide(deliver) { try $0.enumerator.discover(&$1) }
    }

    public var holdsBackEventTime: Bool { contents.withLock { $0.enumerator.holdsBackEventTime } }

    // MARK: Checkpoints

    public func snapshot(checkpoint: Int64) throws -> [StatePart] {
        let (enumerator, waiting) = contents.withLock { contents in
            let enumerator = contents.enumerator.snapshot()
            contents.ledger.freeze(
                checkpoint, unassigned: S.Enumerator.unassigned(in: enumerator) + contents.waiting.map(\.id))
            return (enumerator, contents.waiting)
        }
        // In the place behind the readers: splits of an earlier snapshot that have not been dealt out yet.
        var snapshot = OperatorSnapshot(
            operatorName: name, subtask: parallelism, maxParallelism: 1,
            barrier: CheckpointBarrier(checkpoint: checkpoint, time: 0), isFinal: false)
        try snapshot.add([enumerator], state: SourceStates.enumerator)
        if !waiting.isEmpty { try snapshot.add(waiting, state: SourceStates.splits) }
        return snapshot.parts
    }

    public func reset(
        _ subtasks: Set<Int>, toCheckpoint checkpoint: Int64, restored: (any RestoredState)?,
        _ deliver: (CoordinatorAction) -> Void
    ) throws {
        var kept: [[Split]] = []
        if let restored, restored.hasState(SourceStates.splits) {
            kept = try restored.elements(of: SourceStates.splits, as: Split.self)
        }
        let positions = Dictionary(kept.flatMap(\.self).map { ($0.id, $0) }) { first, _ in first }
        // Giving back needs no start: what cannot be looked for now is looked for by the reader that comes first.
        try decide(deliver, starting: false) { contents, context in
            // Under the lock: nothing can be assigned between forgetting and assigning anew.
            for subtask in subtasks.sorted() { deliver(.forget(subtask: subtask)) }
            let complete = contents.toldNoMore.intersection(subtasks)
            contents.toldNoMore.subtract(subtasks)
            var returned: [Int: [Split]] = [:]
            for lost in contents.ledger.reset(subtasks, to: checkpoint, held: Set(positions.keys)) {
                if let split = positions[lost.split] {
                    context.assign(split, to: lost.subtask)
                } else if let split = contents.assigned[lost.split] {
                    returned[lost.subtask, default: []].append(split)
                }
            }
            guard contents.isStarted else {
                // Dealt out again with what else the snapshot has.
                contents.waiting += returned.sorted { $0.key < $1.key }.flatMap(\.value)
                return
            }
            for subtask in subtasks.sorted() {
                if let splits = returned[subtask] {
                    try contents.enumerator.addSplitsBack(splits, from: subtask, &context)
                }
                if subtask < contents.readerCount { try contents.enumerator.addReader(subtask, &context) }
                // Whoever was given splits back asks or is told by the enumerator; the others were told before.
                if returned[subtask] == nil && complete.contains(subtask) { context.signalNoMoreSplits(to: subtask) }
            }
        }
    }

    // MARK: The ledger of splits

    public func finished(_ split: String, by subtask: Int) throws {
        do { try contents.withLock { try $0.ledger.finish(split, by: subtask) } } catch { throw inSource(error) }
    }

    public func passed(_ checkpoint: Int64, by subtask: Int, _ splits: () -> [String]) {
        contents.withLock { $0.ledger.pass(checkpoint, subtask: subtask, splits: splits()) }
    }

    public func ended(_ subtask: Int, _ splits: () -> (left: [String], untaken: [any AnyAssignedSplit])) {
        contents.withLock { contents in
            let (left, untaken) = splits()
            contents.ledger.end(subtask: subtask, splits: left)
            for case let assigned as AssignedSplit<Split> in untaken {
                contents.ledger.takeBack(assigned.split.id)
                contents.waiting.append(assigned.split)
            }
        }
    }

    public func handOver(
        from: Int, to: Int, _ take: () -> (any AnyAssignedSplit)?
    ) -> (any AnyAssignedSplit)? {
        contents.withLock { contents in
            guard contents.ledger.mayMove(from: from, to: to), let split = take() else { return nil }
            contents.ledger.move(split.id, to: to)
            return split
        }
    }

    public func verify(checkpoint: Int64) throws(ThalwegError) {
        guard let violation = contents.withLock({ $0.ledger.verify(checkpoint) }) else { return }
        throw ThalwegError(
            .bug, "a checkpoint does not have every split once", detail: "source \"\(name)\": \(violation)",
            hint: "a reader's snapshot has to name its unfinished splits, an enumerator's those that nobody was given")
    }

    public func settle(checkpoint: Int64) {
        contents.withLock { contents in
            for split in contents.ledger.settle(checkpoint) { contents.assigned[split] = nil }
        }
    }

    public func abort(checkpoint: Int64) { contents.withLock { $0.ledger.abort(checkpoint) } }

    private func inSource(_ error: any Error) -> any Error {
        guard var error = error as? ThalwegError else { return error }
        error.detail = "source \"\(name)\": " + (error.detail ?? "")
        return error
    }

    // MARK: Decisions

    /// Has the enumerator decide. What it decided before it threw is carried out all the same: it has told the splits
    /// from its state, and nobody else would have them.
    private func decide(
        _ deliver: (CoordinatorAction) -> Void, starting: Bool = true,
        _ body: (inout Contents, inout EnumeratorContext<Split>) throws -> Void
    ) throws {
        try contents.withLock { contents in
            var context = EnumeratorContext<Split>(parallelism: parallelism)
            let result = Result {
                if starting { try begin(&contents, &context) }
                try body(&contents, &context)
            }
            for action in context.actions {
                if let decision = try act(action, &contents) { deliver(decision) }
            }
            try result.get()
        }
    }

    /// Starts the enumerator unless it has been started; one that threw is started again by whoever comes next.
    private func begin(_ contents: inout Contents, _ context: inout EnumeratorContext<Split>) throws {
        if !contents.isStarted {
            // Dealt evenly, whoever had them before (27.b23).
            for (index, split) in contents.waiting.sorted(by: { $0.id < $1.id }).enumerated() {
                context.assign(split, to: index % parallelism)
            }
            contents.waiting = []
            try contents.enumerator.start(&context)
            contents.isStarted = true
            contents.ledger.discover(S.Enumerator.unassigned(in: contents.enumerator.snapshot()))
        }
        while contents.readerCount < parallelism {
            try contents.enumerator.addReader(contents.readerCount, &context)
            contents.readerCount += 1
        }
    }

    /// Numbers an assigned split and checks the enumerator's decisions: the engine owns the ledger of splits.
    private func act(
        _ action: EnumeratorContext<Split>.Action, _ contents: inout Contents
    ) throws -> CoordinatorAction? {
        switch action {
        case .assign(let split, let subtask):
            guard (0..<parallelism).contains(subtask), !contents.toldNoMore.contains(subtask) else {
                throw ThalwegError(
                    .bug, "an enumerator assigned a split wrongly",
                    detail: "source \"\(name)\": split '\(split.id)' to subtask \(subtask) of \(parallelism)",
                    hint: "a split may be assigned to an existing subtask that still expects splits")
            }
            do { try contents.ledger.assign(split.id, to: subtask) } catch { throw inSource(error) }
            contents.assigned[split.id] = split
            defer { contents.nextNumber += 1 }
            return .assign(
                AssignedSplit(number: contents.nextNumber, split: split), subtask: subtask,
                epoch: contents.ledger.epoch)
        case .noMoreSplits(let subtask):
            guard contents.toldNoMore.insert(subtask).inserted else { return nil }
            return .noMoreSplits(subtask: subtask, epoch: contents.ledger.epoch)
        case .callAgain(let delay):
            return .callAgain(after: delay)
        }
    }
}
