// SPDX-License-Identifier: Apache-2.0
//  Holds a source's enumerator: its calls never overlap, and every split gets a number.

import Synchronization
import ThalwegBase
import ThalwegGraph
import ThalwegOperator

/// The coordinator of one source. Its enumerator's calls run one at a time under its lock.
public final class SourceCoordinator<S: Source>: SourceCoordinating {
    private struct Contents: Sendable {
        // Unchecked inside: the enumerator is used under the lock only.
        nonisolated(unsafe) var enumerator: S.Enumerator
        var isStarted = false
        var nextNumber: Int32 = 0
        var toldNoMore: Set<Int> = []
        var assigned: Set<String> = []
    }

    private let contents: Guarded<Contents>
    private let parallelism: Int

    public init(_ source: S, parallelism: Int) throws {
        contents = Guarded(Contents(enumerator: try source.makeEnumerator()))
        self.parallelism = parallelism
    }

    /// Starts the enumerator unless it has been started: whichever reader comes first does it, so that no request is
    /// ever answered by an enumerator that has not looked for splits yet.
    public func start(_ deliver: (CoordinatorAction) -> Void) throws { try decide(deliver) { _, _ in } }

    public func requestSplit(from subtask: Int, _ deliver: (CoordinatorAction) -> Void) throws {
        try decide(deliver) { try $0.handleSplitRequest(from: subtask, &$1) }
    }

    public func discover(_ deliver: (CoordinatorAction) -> Void) throws { try decide(deliver) { try $0.discover(&$1) } }

    public var holdsBackEventTime: Bool { contents.withLock { $0.enumerator.holdsBackEventTime } }

    private func decide(
        _ deliver: (CoordinatorAction) -> Void,
        _ body: (inout S.Enumerator, inout EnumeratorContext<S.Reader.Split>) throws -> Void
    ) throws {
        try contents.withLock { contents in
            var context = EnumeratorContext<S.Reader.Split>(parallelism: parallelism)
            if !contents.isStarted {
                contents.isStarted = true
                try contents.enumerator.start(&context)
                for subtask in 0..<parallelism { try contents.enumerator.addReader(subtask, &context) }
            }
            try body(&contents.enumerator, &context)
            for action in context.actions {
                if let decision = try Self.act(action, &contents, parallelism: parallelism) { deliver(decision) }
            }
        }
    }

    /// Numbers an assigned split and checks the enumerator's decisions: the engine owns the ledger of splits.
    private static func act(
        _ action: EnumeratorContext<S.Reader.Split>.Action, _ contents: inout Contents, parallelism: Int
    ) throws -> CoordinatorAction? {
        switch action {
        case .assign(let split, let subtask):
            guard (0..<parallelism).contains(subtask), !contents.toldNoMore.contains(subtask),
                contents.assigned.insert(split.id).inserted
            else {
                throw ThalwegError(
                    .bug, "an enumerator assigned a split wrongly",
                    detail: "split \(split.id) to subtask \(subtask) of \(parallelism)",
                    hint: "a split may be assigned once, to an existing subtask that still expects splits")
            }
            defer { contents.nextNumber += 1 }
            return .assign(AssignedSplit(number: contents.nextNumber, split: split), subtask: subtask)
        case .noMoreSplits(let subtask):
            return contents.toldNoMore.insert(subtask).inserted ? .noMoreSplits(subtask: subtask) : nil
        case .callAgain(let delay):
            return .callAgain(after: delay)
        }
    }
}
