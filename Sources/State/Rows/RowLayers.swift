// SPDX-License-Identifier: Apache-2.0
//  The layers of files below the rows of a keyed store, and which rows have changed since the newest.

import ThalwegBase
import ThalwegStorage

/// Whose rows they are.
public struct RowOwner: Sendable {
    public let operatorName: String
    public let subtask: Int
    /// The key groups of the subtask.
    public let keyGroups: Range<Int>
    public let maxParallelism: Int

    public init(operatorName: String, subtask: Int, keyGroups: Range<Int>, maxParallelism: Int) {
        self.operatorName = operatorName
        self.subtask = subtask
        self.keyGroups = keyGroups
        self.maxParallelism = maxParallelism
    }
}

/// What a keyed store knows of its rows at rest, so that a checkpoint writes only what has changed since the one before
/// (FLIP-47, FLIP-50).
///
/// A row is all that the states of an operator hold for one key. Used by one task.
public final class RowLayers {
    /// The oldest first.
    private(set) var chain: [RowLayer] = []
    /// The slots of rows that may have changed since the newest layer.
    @exclusivity(unchecked) var changed = SlotBits()
    /// The slots of rows that a layer may have.
    @exclusivity(unchecked) var stored = SlotBits()
    /// Whether so many rows have changed since the newest layer that the next one holds all: which ones have is noted
    /// no more until then.
    private(set) var hasAllChanged = false
    /// After so many further changes it is looked at how many rows have changed.
    @exclusivity(unchecked) private var untilCounted = RowLayers.countedMin
    private static let countedMin = 64
    private var lastSequence: Int64 = 0
    /// Whether layers have rows that memory has not.
    private(set) var isPartial = false
    /// Whether layers may have what has expired: the next one that holds all rows has it no more (FLIP-25).
    ///
    /// Set once in each stretch of time in which entries expire, an eighth of a life: so often are all rows written.
    var hasExpired = false

    /// The most layers: each costs a file to open at a restore.
    private static let layersMax = 32

    let owner: RowOwner
    private let root: String
    let leases: RunLeases

    /// - Parameters:
    ///   - root: of the store that the layers lie in.
    ///   - leases: who holds which file of it.
    public init(_ owner: RowOwner, root: String, leases: RunLeases) {
        self.owner = owner
        self.root = root
        self.leases = leases
    }

    /// Goes on from the layers of a snapshot, if they are as this store would write them.
    ///
    /// - Parameters:
    ///   - forms: the states as they stand in layers now.
    ///   - take: brings a file of another store, or of the user, into this one; nil: then they are not taken over.
    /// - Returns: whether they were taken over.
    func adopt(
        _ segments: RestoredSegments, _ forms: [StateDescriptor],
        take: ((RestoredSegments.File) throws -> HeldSegment)?
    ) throws -> Bool {
        let names = Set(forms.map(\.name))
        var files: [RestoredSegments.File] = []
        for file in segments.files {
            let held = file.states.filter { $0.operatorName == owner.operatorName && names.contains($0.name) }
            if held.isEmpty { continue }
            guard held.count == file.states.count, held.allSatisfy(forms.contains) else { return false }
            let groups = (file.file.keyGroups ?? 0..<owner.maxParallelism).clamped(to: owner.keyGroups)
            if groups.isEmpty { continue }
            var file = file
            file.file.keyGroups = groups
            files.append(file)
        }
        let isOwn = segments.root == root && !segments.isUserOwned && segments.isInPlace
        guard isOwn || take != nil else { return false }
        let sorted = files.sorted { ($0.file.sequence, $0.path) < ($1.file.sequence, $1.path) }
        chain = try sorted.map { file in
            var held = try isOwn ? HeldSegment(file.file, leases.take(file.file.path)) : take?(file)
            // What lay alone is a layer like others from now on.
            held?.file.sequence = max(1, file.file.sequence)
            let layer = RowLayer(
                sequence: max(1, file.file.sequence), rowCount: Int(clamping: file.file.entries),
                states: Set(file.states.map(\.name)))
            layer.written(held)
            return layer
        }
        lastSequence = max(lastSequence, chain.last?.sequence ?? 0)
        return !chain.isEmpty
    }

    /// Whether a layer may have entries of a state.
    func rests(_ state: String) -> Bool { chain.contains { $0.states.contains(state) } }

    /// The rows that were just loaded are those of the layers.
    func settle() {
        stored.formUnion(changed)
        changed.removeAll()
    }

    /// The rows of a batch may change.
    ///
    /// - Parameters:
    ///   - limit: one past the highest slot.
    ///   - rowCount: how many rows there are in memory.
    func noteChanged(_ slots: UnsafePointer<Int32>, count: Int, limit: Int, rowCount: Int) {
        if hasAllChanged { return }
        changed.insert(slots, count: count, limit: limit)
        untilCounted &-= count
        if untilCounted > 0 { return }
        untilCounted = max(Self.countedMin, rowCount / 8)
        hasAllChanged = !isPartial && changed.count * 2 > rowCount
    }

    /// Layers are about to have rows that memory has not.
    ///
    /// - Parameter used: the slots in use.
    func becomePartial(_ used: @autoclosure () -> SlotBits) {
        if hasAllChanged { changed = used() }
        hasAllChanged = false
        isPartial = true
    }

    /// Whether the next layer holds all rows, so that those below are needed no more.
    ///
    /// - Parameter rowCount: how many rows there are.
    func isWholeNext(rowCount: Int) -> Bool {
        if isPartial { return false }
        if hasAllChanged || chain.isEmpty || hasExpired || chain.count >= Self.layersMax { return true }
        let waiting = changed.count
        let above = chain.dropFirst().reduce(0) { $0 + $1.rowCount }
        return (waiting + above) * 2 > rowCount
    }

    /// A sequence for a layer that belongs to a checkpoint or comes after it: higher than all before.
    func nextSequence(checkpoint: Int64) -> Int64 {
        lastSequence = max(lastSequence + 1, checkpoint << 20)
        return lastSequence
    }

    /// A snapshot has been frozen: what changes from now on belongs to the next.
    ///
    /// - Parameter limit: one past the highest slot.
    /// - Returns: the slots that were marked as changed, as far as the layer does not hold all.
    func begin(_ added: [RowLayer], isWhole: Bool, limit: Int) -> SlotBits {
        let frozen = changed
        if isWhole { hasExpired = false }
        chain = isWhole ? added : chain + added
        // Every other row is in a layer already, or in one that is being written.
        if hasAllChanged { stored.fill(limit) } else { stored.formUnion(frozen) }
        changed.removeAll()
        hasAllChanged = false
        untilCounted = Self.countedMin
        return frozen
    }

    /// Rows have been written between snapshots, and need not be in the next one.
    func add(_ layer: RowLayer, holding rows: SlotBits) {
        chain.append(layer)
        changed.subtract(rows)
        stored.formUnion(rows)
    }

    /// One layer takes the place of several neighbours; false when they are no longer there.
    func replace(_ merged: [RowLayer], with layer: RowLayer) -> Bool {
        guard let first = merged.first, let place = chain.firstIndex(where: { $0 === first }),
            place + merged.count <= chain.count,
            zip(chain[place...], merged).allSatisfy({ $0 === $1 })
        else { return false }
        let isThere = (try? layer.file()) ?? nil
        chain.replaceSubrange(place..<place + merged.count, with: isThere == nil ? [] : [layer])
        return true
    }

    /// The layer was written.
    func end(_ layer: RowLayer) {
        // Nothing had changed: there is no file.
        if (try? layer.file()) != nil { return }
        chain.removeAll { $0 === layer }
    }

    /// The layers could not be written: their rows wait for the next.
    ///
    /// - Parameter rows: the slots of their rows.
    func fail(_ added: [RowLayer], _ rows: SlotBits) {
        changed.formUnion(rows)
        chain.removeAll { layer in added.contains { $0 === layer } }
    }
}
