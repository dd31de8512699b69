// SPDX-License-Identifier: Apache-2.0
//  Drives a source's reader: splits in, batches out.

import ThalwegBase
import ThalwegData
import ThalwegOperator
import ThalwegState
import ThalwegStorage

/// The head of a source's chain: polls the reader and pushes what it read.
public final class SourceOperator<S: Source> {
    @usableFromInline let reader: S.Reader
    @usableFromInline let outlet: Inlet<S.Element>
    @usableFromInline let batch: Batch<S.Element>
    @usableFromInline let link: any SourceLink
    @usableFromInline let signal: (Signal) throws -> Void
    @usableFromInline let context: OperatorContext
    @usableFromInline let errors: RecordErrorHandler
    @exclusivity(unchecked) @usableFromInline var paused: Set<Int32> = []
    @exclusivity(unchecked) @usableFromInline var toldNoMore = false
    @exclusivity(unchecked) @usableFromInline var isFinished = false
    @exclusivity(unchecked) @usableFromInline var wasIdle = false
    @exclusivity(unchecked) @usableFromInline var wasHeldBack = false

    @inlinable
    public init(_ source: S, onError policy: RecordErrorPolicy, in context: OperatorContext, link: any SourceLink)
        throws
    {
        self.context = context
        self.link = link
        outlet = context.mainOutlet()
        batch = Batch(capacity: context.batchCapacity)
        signal = context.signalForwarder()
        errors = context.errorHandler(policy)
        reader = try source.makeReader(
            SourceReaderContext(
                name: context.name, subtask: context.subtask, parallelism: context.parallelism,
                processingTime: context.processingTime, errors: errors, metrics: context.metrics,
                requestSplit: { [unowned link] in try link.requestSplit() }, wake: link.wake))
        link.limit(openSplits: reader.openSplitsMax)
        try reader.start()
    }

    /// Reads one batch and pushes it through the chain.
    @inlinable
    public func poll() throws -> PollResult {
        if isFinished { return .finished }
        try takeSplits()
        let status = try reader.poll(into: batch)
        try errors.flush()
        switch status {
        case .records:
            wasIdle = false
            context.metrics.recordsOut.add(batch.count)
            do { try outlet.push(batch) } catch {
                batch.removeAll()
                throw error
            }
            batch.removeAll()
            return .progress
        case .nothing:
            let isHeldBack = link.holdsBackEventTime
            if !wasIdle || wasHeldBack && !isHeldBack { try signal(.flush) }
            wasIdle = true
            wasHeldBack = isHeldBack
            return .idle
        case .splitFinished(let split):
            try link.finished(split: split)
            try signal(.splitFinished(split))
            return .progress
        case .finished:
            isFinished = true
            try signal(.watermark(.end))
            try signal(.end)
            return .finished
        }
    }

    /// The splits that were given to this subtask before the barrier, with their positions.
    @inlinable
    public func snapshot(into snapshot: inout OperatorSnapshot) throws {
        if !snapshot.isFinal { try takeSplits() }
        let splits = reader.snapshot()
        let waiting = try link.pass(snapshot.barrier, holding: splits.map(\.id), isFinal: snapshot.isFinal)
        let assigned = waiting.compactMap { $0 as? AssignedSplit<S.Reader.Split> }
        try snapshot.add(splits + assigned.map(\.split), state: SourceStates.splits)
    }

    /// Declares what the readers and the enumerator of a source store.
    public static func declare(_ states: inout StateDeclarations) throws {
        states.add(try WantedState(SourceStates.splits, kind: .split, elements: S.Reader.Split.self))
        states.add(try WantedState(SourceStates.enumerator, kind: .split, elements: S.Enumerator.Checkpoint.self))
    }

    @inlinable
    func takeSplits() throws {
        for assigned in try link.takeAssigned() {
            // The coordinator of this source hands out this source's splits.
            guard let split = assigned as? AssignedSplit<S.Reader.Split> else { continue }
            try signal(.splitStarted(split.number))
            try reader.addSplits([split])
        }
        if link.noMoreSplits && !toldNoMore {
            toldNoMore = true
            reader.noMoreSplits()
        }
        let pausedNow = link.pausedSplits()
        if pausedNow != paused {
            paused = pausedNow
            reader.pause(paused)
        }
    }
}

extension OperatorInstance {
    /// Wraps a source.
    @inlinable
    public convenience init<S: Source>(source op: SourceOperator<S>) {
        self.init(
            pushes: [], signal: { _ in }, poll: { try op.poll() }, snapshot: { try op.snapshot(into: &$0) },
            close: { op.reader.close() })
    }
}
