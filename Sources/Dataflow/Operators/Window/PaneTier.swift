// SPDX-License-Identifier: Apache-2.0
//  How much memory the panes of a window may have, and which of them leave it.

import ThalwegBase
import ThalwegData
import ThalwegOperator
import ThalwegState
import ThalwegStorage

/// Decides when panes leave memory (FLIP-50): those first that no record has come to lately, and of these the ones that
/// are furthest from firing. Used by one task.
public final class PaneTier<Key: Hashable & Codable & Sendable, Accumulator: Codable & Sendable> {
    typealias KeyPane = Pane<Key, Accumulator>

    @usableFromInline let runs: PaneRuns
    let operatorName: String
    let maxParallelism: Int
    /// The most bytes of panes in memory.
    private let bytesMax: Int
    private let stored: StoredTables<Key, Accumulator>
    // Used by one task alone.
    /// Whether a pane has taken more memory since panes were last looked at.
    @exclusivity(unchecked) @usableFromInline var hasGrown = false
    /// Records until it is measured again what values refer to.
    @exclusivity(unchecked) @usableFromInline var recordsLeft = Int.max
    /// While a snapshot is read: what comes from it takes the place of what files have.
    @exclusivity(unchecked) @usableFromInline var isRestoring = false
    private var nextSlot = 0

    /// What a value takes in memory for each byte that it takes in a file: boxes, spare capacity.
    private static var heapFactor: Int { 3 }
    /// To write panes their keys are put in order: so many bytes for each, beside the key's own.
    private static var orderBytes: Int { 64 }
    /// The part of the budget that panes and the order of their keys have. The rest is for copies of pages that a
    /// snapshot still reads, and for blocks of files.
    private static var paneShare: Double { 0.75 }
    /// Neighbouring panes of no more than this share one file, and come back together.
    private static var sharedBytesMin: Int { 256 << 10 }
    private static var measuredSlotsMax: Int { 32 }
    private static var measuredBytesMax: Int { 64 << 10 }
    private static var measuredRecordsMin: Int { 1024 }

    /// Nil when all panes stay in memory.
    @usableFromInline
    init?(_ context: OperatorContext, _ stored: StoredTables<Key, Accumulator>) {
        guard let place = context.rowPlace else { return nil }
        operatorName = context.name
        maxParallelism = context.maxParallelism
        self.stored = stored
        runs = PaneRuns(context.rowOwner, stored.describe("panes", of: context.name), in: place)
        bytesMax = Int(Double(place.budgetBytes) * Self.paneShare)
        if !(_isPOD(Key.self) && _isPOD(Accumulator.self)) { recordsLeft = Self.measuredRecordsMin }
    }

    /// What a pane takes.
    private func bytes(_ pane: KeyPane) -> Int {
        pane.table.byteCount + pane.accumulators.byteCount + pane.table.count * Self.orderBytes + pane.heldBytes
    }

    /// Whether a table with so many keys more has room.
    @usableFromInline
    func hasRoom(for keys: Int, beside panes: [Pane<Key, Accumulator>]) -> Bool {
        let keyBytes = MemoryLayout<Key>.stride + MemoryLayout<Accumulator>.stride + 8 + 32
        return keys * keyBytes + panes.reduce(0) { $0 + bytes($1) } <= bytesMax
    }

    /// Measures what panes refer to that records have come to.
    func measure(_ panes: [KeyPane]) throws {
        var cost = 0
        for pane in panes where pane.isUnmeasured && pane.table.count > 0 {
            pane.isUnmeasured = false
            let sample = try stored.measure(
                pane.table, pane.accumulators, from: nextSlot % max(1, pane.table.slotLimit),
                slotsMax: Self.measuredSlotsMax, bytesMax: Self.measuredBytesMax)
            guard sample.slots > 0 else { continue }
            nextSlot = (nextSlot + sample.slots) & 0xFFFF_FFFF
            pane.heldBytes = Self.heapFactor * sample.bytes * pane.table.count / sample.slots
            cost += sample.bytes
        }
        // Measuring costs no more than a small part of what adding records does.
        recordsLeft = max(Self.measuredRecordsMin, cost / 8)
    }

    /// The panes that are to leave memory, each group in a file of its own; none when all have room.
    ///
    /// - Returns: places among the panes, ascending within each group.
    func victims(_ panes: [KeyPane]) -> [[Int]] {
        let sizes = panes.map { $0.table.count > 0 ? bytes($0) : 0 }
        var left = sizes.reduce(0, +)
        guard left > bytesMax else { return [] }
        let present = panes.indices.filter { sizes[$0] > 0 }
        var chosen = Set<Int>()
        for isInUse in [false, true] {
            for place in present.reversed() where panes[place].isInUse == isInUse && left > bytesMax / 4 * 3 {
                // The last one stays as long as it has room.
                if isInUse && left <= bytesMax { break }
                chosen.insert(place)
                left -= sizes[place]
            }
        }
        for pane in panes { pane.isInUse = false }
        return groups(of: chosen.sorted(), panes, sizes)
    }

    private func groups(of chosen: [Int], _ panes: [KeyPane], _ sizes: [Int]) -> [[Int]] {
        let full = max(bytesMax / 16, Self.sharedBytesMin)
        var groups: [[Int]] = []
        var group: [Int] = []
        var bytes = 0
        func close() {
            if !group.isEmpty { groups.append(group) }
            group = []
            bytes = 0
        }
        for place in chosen {
            // A pane with files of its own has no part in others.
            if panes[place].isAtRest || sizes[place] >= full {
                close()
                groups.append([place])
                continue
            }
            if let last = group.last, last + 1 != place || bytes + sizes[place] > full { close() }
            group.append(place)
            bytes += sizes[place]
        }
        close()
        return groups
    }
}
