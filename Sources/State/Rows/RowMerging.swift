// SPDX-License-Identifier: Apache-2.0
//  Layers are made one in the background, so that there are never many to look into.

import Synchronization
import ThalwegBase
import ThalwegStorage

/// Several layers of one store on their way to being one.
final class RowMerging: Sendable {
    private enum Outcome {
        case running
        case done(SegmentFile?)
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

    init(_ layers: [RowLayer], _ runs: [Run], isOldest: Bool, _ owner: RowOwner, in place: RowPlace) throws {
        self.layers = layers
        background = place.background
        let path = place.names.next("\(owner.operatorName)-\(owner.subtask)")
        lease = place.leases.take(path)
        let notes = [TimerNotes(TimerQueue.eventName), TimerNotes(TimerQueue.processingName)]
        self.notes = notes
        work = Work(
            merge: try place.store.merge(
                runs, isOldest: isOldest, as: path, operators: [owner.operatorName], subtask: owner.subtask,
                keyGroups: owner.keyGroups,
                filter: { state in
                    guard let noting = notes.first(where: { $0.state == state.name }) else { return nil }
                    // A timer that cannot be read is damage, which whoever restores it is told.
                    return { key, _ in
                        try? noting.add(key)
                        return true
                    }
                }))
    }

    func begin() { submit() }

    private func submit() {
        background { [self] in
            do {
                if try work.merge.step(bytesMax: Self.stepBytes) { return submit() }
                let file = work.merge.result?.file
                outcome.withLock { $0 = .done(file) }
            } catch {
                outcome.withLock { $0 = .failed(error) }
            }
        }
    }

    /// The one layer that takes the place of the others; nil while they are being merged.
    ///
    /// - Throws: why it cannot be made.
    func result(in place: RowPlace) throws -> RowLayer? {
        let file: SegmentFile? =
            try outcome.withLock { outcome throws -> SegmentFile?? in
                switch outcome {
                case .running: nil
                case .done(let file): .some(file)
                case .failed(let error): throw error
                }
            } ?? nil
        guard isOver else { return nil }
        let (store, path) = (place.store, lease.path)
        let layer = RowLayer(
            sequence: layers.last?.sequence ?? 1, rowCount: layers.reduce(0) { $0 + $1.rowCount },
            sync: { if file != nil { try store.syncRun(path) } })
        for notes in notes { layer.add(notes) }
        layer.written(file.map { HeldSegment($0, lease) })
        return layer
    }

    private var isOver: Bool {
        outcome.withLock { if case .running = $0 { false } else { true } }
    }
}

extension RowTier {
    /// Takes over layers that have become one, and sees to it that there are not too many.
    func tend(_ layers: RowLayers) throws {
        if let merging {
            do {
                guard let merged = try merging.result(in: place) else { return }
                self.merging = nil
                if layers.replace(merging.layers, with: merged) {
                    changed(layers.chain, added: merged)
                    place.metrics.merged.add(1)
                }
            } catch {
                // The layers are as they were; more of them must come before it is tried again.
                self.merging = nil
                mergeAt = layers.chain.count + 4
                if (error as? ThalwegError)?.kind == .corrupt { throw error }
            }
        }
        guard layers.chain.count >= mergeAt, !isStale else { return }
        // Those that are being written are newer than all that can be merged.
        let written = layers.chain.reversed().drop { !$0.isWritten }.prefix { $0.isWritten }
        let runs = written.compactMap(cold.run)
        guard runs.count == written.count, let range = RunPolicy().merge(runs.map(\.byteCount)) else { return }
        let chosen = Array(Array(written)[range].reversed())
        mergeAt = 2
        let merging = try RowMerging(
            chosen, Array(runs[range]), isOldest: chosen.first === layers.chain.first, layers.owner, in: place)
        self.merging = merging
        merging.begin()
    }
}
