// SPDX-License-Identifier: Apache-2.0
//  A keyed store whose rows rest in a store of bytes.

import ThalwegBase
import ThalwegData
import ThalwegStorage

extension KeyedStore {
    // MARK: Leaving memory

    /// Puts rows on the shelf as they are now, and takes those from it that are gone.
    func shelve(_ rows: SlotBits, _ shelf: RowShelf, _ layers: RowLayers) throws {
        if shelf.isRestoring { layers.settle() }
        let owner = layers.owner
        let (keys, parts) = peekAll(
            operatorName: owner.operatorName, maxParallelism: owner.maxParallelism, changed: rows)
        let order = try keys.order()
        let sections = try parts.map { part in
            let section = RowSection(order)
            try part.write(to: section)
            return section
        }
        var batch = RowBatch()
        try order.forEach(prefetching: { _ in nil }) { place, rank, row in
            let slot = Int(place)
            if slot < keys.slotLimit {
                try shelf.put(row, sections, rank, slot: slot, isUnsaved: isUnsaved(slot, layers), into: &batch)
            } else {
                try shelf.remove(row, isUnsaved: true, into: &batch)
            }
            try shelf.write(&batch, isLast: false)
        }
        try shelf.write(&batch, isLast: true)
        gone = KeyTable()
        // More than come: those that are needed no more stay few.
        if let keptAtRest { try shelf.sweep(2 * order.count, keptAtRest) }
    }

    /// Takes the rows from the shelf that are gone; that they are is written by the checkpoint that is being frozen.
    func removeGone(from shelf: RowShelf) throws {
        guard gone.count > 0, let owner = layers?.owner else { return }
        var batch = RowBatch()
        var row = ByteWriter(capacity: 64)
        let encoder = encoder.raw
        for place in 0..<gone.slotLimit where gone.isUsed(place) {
            row.removeAll()
            row.append(rowPrefix(gone.hash(at: place), owner))
            try encoder.encode(UnsafeRawPointer(gone.keys.address(place)), into: &row)
            try row.withBytes { try shelf.remove($0, isUnsaved: false, into: &batch) }
            try shelf.write(&batch, isLast: false)
        }
        try shelf.write(&batch, isLast: true)
    }

    // MARK: Coming back

    /// Loads rows with timers that are due, in the order of their times.
    func wake(
        _ domain: StateTTL.Domain, upTo limit: Int64, from shelf: RowShelf, _ tier: RowTier, _ layers: RowLayers
    ) throws -> (upTo: Int64, isMore: Bool) {
        fresh.removeAll(keepingCapacity: true)
        let end = try shelf.takeDue(domain, upTo: limit, countMax: tier.place.batchCapacity) { row in
            var reader = ByteReader(row)
            _ = try reader.read(UInt16.self)
            let key = try encoder.decode(&reader)
            if insertAtRest(key) { return true }
            // The shelf has its timer no more: should it leave memory before that fires, it is put anew.
            if let slot = table.find(key, hash: hasher.hash(key)) { shelf.changed.insert(slot) }
            return false
        }
        for slot in fresh {
            let slot = Int(slot)
            prepare(slot)
            layers.changed.remove(slot)
            layers.stored.remove(slot)
            shelf.begin(slot)
            shelf.changed.insert(slot)
        }
        try load(tier)
        releaseUnused()
        return end
    }

    /// The slot of a key that is being restored; what was restored of it before is loaded if it has left memory.
    func slot(of key: Key, hash: UInt64, restoringTo shelf: RowShelf) throws -> Int {
        if let slot = table.find(key, hash: hash) { return slot }
        // Rows grow from state to state.
        if let tier, table.count >= tier.rowsMax { tier.forgetMeasure() }
        try makeRoom()
        let slot = table.findOrInsert(key, hash: hash).slot
        if table.slotLimit > reserved { widen() }
        layers?.stored.remove(slot)
        shelf.begin(slot)
        if let tier, tier.hasCold {
            fresh = [Int32(truncatingIfNeeded: slot)]
            try load(tier)
            fresh.removeAll(keepingCapacity: true)
        }
        noteChanged(slot)
        return slot
    }
}
