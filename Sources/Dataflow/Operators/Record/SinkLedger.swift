// SPDX-License-Identifier: Apache-2.0
//  What a sink's writer has prepared and nobody has committed yet.

import Synchronization
import ThalwegBase
import ThalwegOperator

/// Keeps prepared output until it is committed, over checkpoints that are given up while the job goes on: such output
/// lies in every later checkpoint until one completes, and what made it durable is tried again until it succeeds.
final class SinkLedger<S: Sink>: Sendable {
    private struct Entry: Sendable {
        let checkpoint: Int64
        let committables: [S.Writer.Committable]
        let persist: (@Sendable () throws -> Void)?
        let publish: SinkCommit?
        var isPersisted: Bool

        var isCommittable: Bool { !committables.isEmpty || publish != nil }
    }

    private let sink: S
    private let entries = Guarded<[Entry]>([])

    init(_ sink: S) { self.sink = sink }

    func add(_ prepared: PreparedOutput<S.Writer.Committable, S.Writer.State>, checkpoint: Int64) {
        let entry = Entry(
            checkpoint: checkpoint, committables: prepared.committables, persist: prepared.persist,
            publish: prepared.publish, isPersisted: prepared.persist == nil)
        guard entry.isCommittable || !entry.isPersisted else { return }
        entries.withLock { $0.append(entry) }
    }

    /// All that waits, oldest first.
    var committables: [S.Writer.Committable] { entries.withLock { $0.flatMap(\.committables) } }
    var hasCommits: Bool { entries.withLock { $0.contains(where: \.isCommittable) } }
    /// Whether nothing of it lives in this process only.
    var isInCheckpoint: Bool { entries.withLock { $0.allSatisfy { $0.publish == nil } } }
    var isPersisted: Bool { entries.withLock { $0.allSatisfy(\.isPersisted) } }

    /// Makes durable what is not yet; from any thread.
    func persist(upTo checkpoint: Int64) throws {
        for entry in entries.withLock({ $0.filter { $0.checkpoint <= checkpoint && !$0.isPersisted } }) {
            try entry.persist?()
            entries.withLock { entries in
                for index in entries.indices where entries[index].checkpoint == entry.checkpoint {
                    entries[index].isPersisted = true
                }
                entries.removeAll { $0.isPersisted && !$0.isCommittable }
            }
        }
    }

    func commit(upTo checkpoint: Int64) throws {
        let due = entries.withLock { $0.filter { $0.checkpoint <= checkpoint && $0.isCommittable } }
        let committables = due.flatMap(\.committables)
        if !committables.isEmpty { try sink.commit(committables) }
        for entry in due { try entry.publish?.commit() }
        entries.withLock { $0.removeAll { $0.checkpoint <= checkpoint } }
    }

    /// Discards what was prepared at one checkpoint; an older one may be complete, and only wait for its commit.
    func abort(_ checkpoint: Int64) {
        let due = entries.withLock { entries in
            defer { entries.removeAll { $0.checkpoint == checkpoint } }
            return entries.filter { $0.checkpoint == checkpoint }
        }
        let committables = due.flatMap(\.committables)
        if !committables.isEmpty { sink.abort(committables) }
        for entry in due { entry.publish?.abort() }
    }
}
