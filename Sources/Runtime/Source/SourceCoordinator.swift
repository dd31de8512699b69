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
        var nextNumber: Int32 = 0
        var toldNoMore: Set<Int> = []
        var assigned: Set<String> = []
    }

    private let contents: Mutex<Contents>
    private let parallelism: Int

    public init(_ source: S, parallelism: Int) throws {
        contents = Mutex(Contents(enumerator: try source.makeEnumerator()))
        self.parallelism = parallelism
    }

    public func start() throws -> [CoordinatorAction] {
        try decide { enumerator, context in
            try enumerator.start(&context)
            for subtask in 0..<context.parallelism { try enumerator.addReader(subtask, &context) }
        }
    }

    public func requestSplit(from subtask: Int) throws -> [CoordinatorAction] {
        try decide { try $0.handleSplitRequest(from: subtask, &$1) }
    }

    public func discover() throws -> [CoordinatorAction] { try decide { try $0.discover(&$1) } }

    public var holdsBackEventTime: Bool { contents.withLock { $0.enumerator.holdsBackEventTime } }

    private func decide(
        _ body: (inout S.Enumerator, inout EnumeratorContext<S.Reader.Split>) throws -> Void
    ) throws -> [CoordinatorAction] {
        try contents.withLock { contents in
            var context = EnumeratorContext<S.Reader.Split>(parallelism: parallelism)
            try body(&contents.enumerator, &context)
            return try context.actions.compactMap { try Self.act($0, &contents, parallelism: parallelism) }
        }
    }

    /// Numbers an assigned split and checks the enumerator's decisions: the engine owns the ledger of splits.
    private static func act(
        _ action: EnumeratorContext<S.Reader.Split>.Action, _ contents: inout Contents, parallelism: Int
    ) throws -> CoordinatorAction? {
        switch action {
        case .assign(let split, let subtask):
            guard (0..<parallelism).contains(subtask), contents.assigned.insert(split.id).inserted else {
                throw ThalwegError(
                    .bug, "an enumerator assigned a split wrongly",
                    detail: "split \(split.id) to subtask \(subtask) of \(parallelism)",
                    hint: "a split may be assigned once, to an existing subtask")
            }
            guard !contents.toldNoMore.contains(subtask) else {
                throw ThalwegError(
                    .bug, "an enumerator assigned a split to a reader that it had told of the end",
                    detail: "split \(split.id) to subtask \(subtask)",
                    hint: "signal the end of the splits after the last assignment")
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
