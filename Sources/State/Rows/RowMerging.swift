// SPDX-License-Identifier: Apache-2.0
//  Layers are made one in the background, so that there are never many to look into.

import Synchronization
import ThalwegBase
import ThalwegStorage

/// What stays of a state when files are made one; nil: everything.
public typealias MergeFilter = @Sendable (StateDescriptor) -> RunMerge.Filter?

/// Several layers of one store on their way to being one.
final class RowMerging: Sendable {
    private enum Outcome {
        case running
        case done(Run?)
        case failed(any Error)
    }

    /// One thread after another merges on.
    // Unchecked: the steps of one merge follow each other, each submitted by the one before.
    private struct Work: @unchecked Sendable {
        let merge: RunMerge
    }

    /// About how many bytes are written in one go: other work of the background waits for no more.
    private static let stepBytes = 4 << 20

    /// The oldest first.
    let layers: [RowLayer]
    private let lease: RunLease
    private let notes: [TimerNotes]
    private let work: Work
    private let background: @Sendable (@escaping @Sendable () -> Void) -> Void
    private let outcome = Guarded<Outcome>(.running)

    /// - Parameters:
    ///   - filterBytesMax: for a filter over the rows of all.
    ///   - blockBytes: see ``SegmentOptions``.
    ///   - notesTimers: whether timers are looked for in the layer.
    ///   - filter: what stays of a state; nil: everything.
    init(
        _ layers: [RowLayer], _ runs: [Run], isOldest: Bool, _ owner: RowOwner, in place: RowPlace,
        filterBytesMax: Int, blockBytes: Int = SegmentOptions.run.blockBytes, notesTimers: Bool = true,
        filter: MergeFilter? = nil
    ) throws {
        self.layers = layers
        background = place.background
        let path = place.names.next("\(owner.operatorName)-\(owner.subtask)")
        lease = place.leases.take(path)
        let notes =
            notesTimers ? [TimerNotes(TimerQueue.eventName), TimerNotes(TimerQueue.processingName)] : []
        self.notes = notes
        let rowCount = layers.reduce(0) { $0 + $1.rowCount }
        work = Work(
            merge: try place.store.merge(
                runs, isOldest: isOldest, as: path, operators: [owner.operatorName], subtask: owner.subtask,
                keyGroups: owner.keyGroups,
                filteredRows: Self.filteredRows(rowCount, filterBytesMax), blockBytes: blockBytes,
                filter: { state in
                    guard let noting = notes.first(where: { $0.state == state.name }) else { return filter?(state) }
                    // A timer that cannot be read is damage, which whoever restores it is told.
                    return { key, _ in
                        try? noting.add(key)
                        return true
                    }
                }))
    }

    /// For how many rows there is a filter: for fewer than there are it tells less, and for few it is not worth it.
    private static func filteredRows(_ rowCount: Int, _ bytesMax: Int) -> Int? {
        let rows = min(rowCount, Run.filteredRows(within: bytesMax))
        return rows * 2 >= rowCount && rows > 0 ? rows : nil
    }

    func begin() { submit() }

    private func submit() {
        background { [self] in
            do {
                if try work.merge.step(bytesMax: Self.stepBytes) { return submit() }
                let run = work.merge.result
                outcome.withLock { $0 = .done(run) }
            } catch {
                outcome.withLock { $0 = .failed(error) }
            }
        }
    }

    /// The one layer that takes the place of the others; nil while they are being merged.
    ///
    /// - Throws: why it cannot be made.
    func result(in place: RowPlace) throws -> RowLayer? {
        let made: Run?? = try outcome.withLock { outcome in
            switch outcome {
            case .running: nil
            case .done(let run): .some(run)
            case .failed(let error): throw error
            }
        }
        guard let run = made else { return nil }
        let (store, path) = (place.store, lease.path)
        let layer = RowLayer(
            sequence: layers.last?.sequence ?? 1, rowCount: run?.rowCount ?? 0,
            states: run?.statesWithEntries ?? [],
            sync: { [isThere = run != nil] in if isThere { try store.syncRun(path) } })
        for notes in notes { layer.add(notes) }
        layer.written(run.map { HeldSegment($0.file, lease) }, run: run)
        return layer
    }
}

extension RowTier {
    /// How many merges are under way at most: while a large one takes its time, small runs become few again.
    private static let mergesMax = 3

    /// Takes over layers that have become one, and sees to it that there are not too many.
    ///
    /// - Parameter filter: asked when layers begin to be merged.
    func tend(_ layers: RowLayers, filter: () -> MergeFilter?) throws {
        for merge in merging { try land(merge, layers) }
        guard mayMerge, !isStale, merging.count < Self.mergesMax else { return }
        mayMerge = false
        guard layers.chain.count >= mergeAt else { return }
        // Those that are being written are newer than all that can be merged; those that are being merged are older.
        let written = layers.chain.reversed().drop { !$0.isWritten }.prefix { layer in
            layer.isWritten && !merging.contains { $0.layers.contains { $0 === layer } }
        }
        let runs = try written.compactMap { try cold.run(of: $0) }
        guard runs.count == written.count, let range = RunPolicy().merge(runs.map(\.byteCount)) else { return }
        let chosen = Array(Array(written)[range].reversed())
        mergeAt = 2
        let (merged, isOldest) = (Array(runs[range]), chosen.first === layers.chain.first)
        let merge = try RowMerging(
            chosen, merged, isOldest: isOldest, layers.owner, in: place,
            filterBytesMax: shelf == nil ? filterBytesMax(replacing: merged, isOldest: isOldest) : 0,
            blockBytes: blockBytes, notesTimers: shelf == nil, filter: filter())
        merging.append(merge)
        merge.begin()
    }

    private func land(_ merge: RowMerging, _ layers: RowLayers) throws {
        do {
            guard let merged = try merge.result(in: place) else { return }
            merging.removeAll { $0 === merge }
            mayMerge = true
            if layers.replace(merge.layers, with: merged) {
                changed(layers.chain, added: merged)
                place.metrics.merged.add(1)
            }
        } catch {
            // The layers are as they were; more of them must come before it is tried again.
            merging.removeAll { $0 === merge }
            mergeAt = layers.chain.count + 4
            if (error as? ThalwegError)?.kind == .corrupt { throw error }
        }
    }
}
