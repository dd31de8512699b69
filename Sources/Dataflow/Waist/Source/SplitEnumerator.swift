// SPDX-License-Identifier: Apache-2.0
//  Who finds the splits of a source and gives them out (FLIP-27).

import ThalwegBase

/// Finds splits and decides which reader gets which. One per source and job; its calls never overlap.
///
/// A value that decides: it answers through the context, the runtime acts. A call that throws counts as a failure of
/// the reader for which it was made; what it has decided before holds, so what is assigned must be out of its state. A
/// discovery that throws is repeated after as long as was asked for last.
public protocol SplitEnumerator<Split> {
    associatedtype Split: SourceSplit
    /// What is needed to go on after a restart: the splits not yet assigned.
    associatedtype Checkpoint: Codable & Sendable
    /// Takes over what an enumerator of the same source had stored. Called at most once, before ``start(_:)``; the
    /// splits that readers had are dealt out by the engine.
    mutating func restore(_ checkpoint: Checkpoint) throws
    /// Called before anything else but ``restore(_:)``: once, and again only when it has thrown.
    mutating func start(_ context: inout EnumeratorContext<Split>) throws
    /// A reader exists and can be given splits.
    mutating func addReader(_ subtask: Int, _ context: inout EnumeratorContext<Split>) throws
    /// A reader asks for work.
    mutating func handleSplitRequest(from subtask: Int, _ context: inout EnumeratorContext<Split>) throws
    /// The time asked for with `callAgain(after:)` has passed.
    mutating func discover(_ context: inout EnumeratorContext<Split>) throws
    /// Splits of a failed reader come back.
    mutating func addSplitsBack(_ splits: [Split], from subtask: Int, _ context: inout EnumeratorContext<Split>) throws
    func snapshot() -> Checkpoint
    /// The ids of the splits in what ``snapshot()`` gave: those that were found and not assigned, or given back.
    ///
    /// At each checkpoint the engine compares them with what the readers hold; one that is in two places or in none
    /// fails the checkpoint.
    static func unassigned(in checkpoint: Checkpoint) -> [String]
    /// Whether splits are known that are not assigned yet and whose records may be as old as any other: while this is
    /// so, the source's event time waits.
    var holdsBackEventTime: Bool { get }
}

extension SplitEnumerator {
    public mutating func start(_ context: inout EnumeratorContext<Split>) throws {}
    public mutating func addReader(_ subtask: Int, _ context: inout EnumeratorContext<Split>) throws {}
    public mutating func handleSplitRequest(from subtask: Int, _ context: inout EnumeratorContext<Split>) throws {}
    public mutating func discover(_ context: inout EnumeratorContext<Split>) throws {}
}

extension SplitEnumerator where Checkpoint == [Split] {
    public static func unassigned(in checkpoint: [Split]) -> [String] { checkpoint.map(\.id) }
}

/// What an enumerator sees and decides.
public struct EnumeratorContext<Split: SourceSplit> {
    /// The number of readers; may differ from run to run.
    public let parallelism: Int
    /// The decisions so far, in order.
    public private(set) var actions: [Action] = []

    /// A decision of the enumerator.
    public enum Action {
        case assign(Split, subtask: Int)
        case noMoreSplits(subtask: Int)
        case callAgain(after: Duration)
    }

    public init(parallelism: Int) { self.parallelism = parallelism }

    public mutating func assign(_ split: Split, to subtask: Int) { actions.append(.assign(split, subtask: subtask)) }
    public mutating func signalNoMoreSplits(to subtask: Int) { actions.append(.noMoreSplits(subtask: subtask)) }
    /// Has `discover` called once, later.
    public mutating func callAgain(after delay: Duration) { actions.append(.callAgain(after: delay)) }
}

/// Gives known splits to whoever asks (pull), or all at once, split i to reader i mod parallelism (push).
public struct FixedSplits<Split: SourceSplit>: SplitEnumerator {
    /// Who decides when a split is handed over.
    public enum Assignment: String, Codable, Sendable { case pull, push }

    // A slice: taking the first is O(1).
    private var pending: ArraySlice<Split>
    private let assignment: Assignment

    /// Creates an enumerator of splits known from the start.
    ///
    /// - Throws: `ThalwegError(.bug)` when two splits have the same id.
    public init(_ splits: [Split], assignment: Assignment = .pull) throws(ThalwegError) {
        var seen: Set<String> = []
        for split in splits where !seen.insert(split.id).inserted {
            throw ThalwegError(.bug, "two splits have the same id", detail: split.id)
        }
        pending = splits[...]
        self.assignment = assignment
    }

    public mutating func start(_ context: inout EnumeratorContext<Split>) throws {
        guard assignment == .push else { return }
        for (index, split) in pending.enumerated() { context.assign(split, to: index % context.parallelism) }
        pending = []
        for subtask in 0..<context.parallelism { context.signalNoMoreSplits(to: subtask) }
    }

    public mutating func handleSplitRequest(from subtask: Int, _ context: inout EnumeratorContext<Split>) throws {
        if pending.isEmpty {
            if assignment == .pull { context.signalNoMoreSplits(to: subtask) }
        } else {
            context.assign(pending.removeFirst(), to: subtask)
        }
    }

    public mutating func addSplitsBack(
        _ splits: [Split], from subtask: Int, _ context: inout EnumeratorContext<Split>
    ) throws {
        switch assignment {
        case .pull: pending = splits[...] + pending
        case .push:
            for split in splits { context.assign(split, to: subtask) }
            context.signalNoMoreSplits(to: subtask)
        }
    }

    public mutating func restore(_ checkpoint: [Split]) { pending = checkpoint[...] }
    public func snapshot() -> [Split] { Array(pending) }
    public var holdsBackEventTime: Bool { !pending.isEmpty }
}
