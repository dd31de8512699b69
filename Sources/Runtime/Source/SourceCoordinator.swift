// SPDX-License-Identifier: Apache-2.0
//  Holds a source's enumerator: its calls never overlap, and every split gets a number.

import Synchronization
import ThalwegBase
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
        var nextNumber: Int32 = 0
        var toldNoMore: Set<Int> = []
        /// Who has a split and since which epoch; a split stays here when it has been read to its end.
        var owners: [String: Owner] = [:]
        /// Splits that readers had in the snapshot the job starts from.
        var restored: [Split] = []
        var epoch: Int64 = 0
    }

    private struct Owner: Sendable {
        var subtask: Int
        /// The checkpoint after whose enumerator snapshot the split was assigned.
        var epoch: Int64
        /// As it was assigned.
        var split: Split
        /// The place in the order of assignments.
        var order: Int32
    }

    private let contents: Guarded<Contents>
    private let name: String
    private let parallelism: Int

    public init(_ source: S, _ seat: SourceCoordinatorSeat) throws {
        var contents = Contents(enumerator: try source.makeEnumerator())
        contents.epoch = seat.checkpoint
        if let restored = seat.restored {
            if restored.hasState(SourceStates.enumerator) {
                let stored = try restored.elements(
                    of: SourceStates.enumerator, as: S.Enumerator.Checkpoint.self)
                if let checkpoint = stored.flatMap(\.self).first { try contents.enumerator.restore(checkpoint) }
            }
            if restored.hasState(SourceStates.splits) {
                contents.restored = try restored.elements(of: SourceStates.splits, as: Split.self).flatMap(\.self)
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
            contents.epoch = checkpoint
            return (contents.enumerator.snapshot(), contents.restored)
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
        try decide(deliver) { contents, context in
            // Under the lock: nothing can be assigned between forgetting and assigning anew.
            for subtask in subtasks.sorted() { deliver(.forget(subtask: subtask)) }
            let complete = contents.toldNoMore.intersection(subtasks)
            contents.toldNoMore.subtract(subtasks)
            let lost = contents.owners.filter { subtasks.contains($0.value.subtask) }.sorted {
                $0.value.order < $1.value.order
            }
            var returned: [Int: [Split]] = [:]
            for (id, owner) in lost {
                contents.owners[id] = nil
                if let split = positions[id] {
                    context.assign(split, to: owner.subtask)
                } else if owner.epoch >= checkpoint {
                    returned[owner.subtask, default: []].append(owner.split)
                } else {
                    // Read to its end before the checkpoint: nobody reads it again.
                    contents.owners[id] = owner
                }
            }
            for subtask in subtasks.sorted() {
                if let splits = returned[subtask] {
                    try contents.enumerator.addSplitsBack(splits, from: subtask, &context)
                }
                try contents.enumerator.addReader(subtask, &context)
                // Whoever was given splits back asks or is told by the enumerator; the others were told before.
                if returned[subtask] == nil && complete.contains(subtask) { context.signalNoMoreSplits(to: subtask) }
            }
        }
    }

    // MARK: Decisions

    private func decide(
        _ deliver: (CoordinatorAction) -> Void,
        _ body: (inout Contents, inout EnumeratorContext<Split>) throws -> Void
    ) throws {
        try contents.withLock { contents in
            var context = EnumeratorContext<Split>(parallelism: parallelism)
            if !contents.isStarted {
                contents.isStarted = true
                // Dealt evenly, whoever had them before (27.b23).
                for (index, split) in contents.restored.sorted(by: { $0.id < $1.id }).enumerated() {
                    context.assign(split, to: index % parallelism)
                }
                contents.restored = []
                try contents.enumerator.start(&context)
                for subtask in 0..<parallelism { try contents.enumerator.addReader(subtask, &context) }
            }
            try body(&contents, &context)
            for action in context.actions {
                if let decision = try Self.act(action, &contents, parallelism: parallelism) { deliver(decision) }
            }
        }
    }

    /// Numbers an assigned split and checks the enumerator's decisions: the engine owns the ledger of splits.
    private static func act(
        _ action: EnumeratorContext<Split>.Action, _ contents: inout Contents, parallelism: Int
    ) throws -> CoordinatorAction? {
        switch action {
        case .assign(let split, let subtask):
            guard (0..<parallelism).contains(subtask), !contents.toldNoMore.contains(subtask),
                contents.owners[split.id] == nil
            else {
                throw ThalwegError(
                    .bug, "an enumerator assigned a split wrongly",
                    detail: "split \(split.id) to subtask \(subtask) of \(parallelism)",
                    hint: "a split may be assigned once, to an existing subtask that still expects splits")
            }
            contents.owners[split.id] = Owner(
                subtask: subtask, epoch: contents.epoch, split: split, order: contents.nextNumber)
            defer { contents.nextNumber += 1 }
            return .assign(
                AssignedSplit(number: contents.nextNumber, split: split), subtask: subtask, epoch: contents.epoch)
        case .noMoreSplits(let subtask):
            guard contents.toldNoMore.insert(subtask).inserted else { return nil }
            return .noMoreSplits(subtask: subtask, epoch: contents.epoch)
        case .callAgain(let delay):
            return .callAgain(after: delay)
        }
    }
}
