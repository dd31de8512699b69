// SPDX-License-Identifier: Apache-2.0
//  A keyed store whose rows leave memory when it has no room for them, and come back when they are asked for.

import ThalwegBase
import ThalwegData
import ThalwegStorage

extension KeyedStore {
    /// Lets rows rest in files when memory has no room for them. Before the first record and before a restore, of a
    /// store that keeps layers.
    ///
    /// - Throws: what a store says that is opened for them.
    public func rest(in place: RowPlace) throws {
        guard let owner = layers?.owner else { return }
        let makeForms = { [unowned self] in forms(operatorName: owner.operatorName) }
        let cold: any ColdRows =
            try place.stores.map { try RowShelf(of: owner, makeForms, in: place, $0) }
            ?? SegmentRows(of: owner.operatorName, makeForms, in: place)
        let tier = RowTier(cold, in: place)
        self.tier = tier
        storedIsTiered = true
        table.limitExtents(to: tier.extentBytes)
        for (_, column) in columns { column.limitExtents(to: tier.extentBytes) }
    }

    // MARK: A batch

    /// Notes the rows of a batch that was resolved, and loads those that are at rest.
    public func noteResolved(_ slots: UnsafePointer<Int32>, count: Int) throws {
        try throwFailure()
        layers?.noteChanged(slots, count: count, limit: table.slotLimit, rowCount: table.count)
        tier?.shelf?.changed.insert(slots, count: count, limit: table.slotLimit)
        if let tier, tier.notesHeat { tier.heat.insert(slots, count: count, limit: table.slotLimit) }
        if fresh.isEmpty { return }
        revive()
        if let tier, tier.hasCold {
            for slot in fresh {
                // What snapshots share is not written to.
                prepare(Int(slot))
                tier.begin(Int(slot))
            }
            try load(tier)
        }
    }

    func prepare(_ slot: Int) {
        if sharing.left > 0 { thaw(slot) }
    }

    /// Loads the rows of the new keys of a batch.
    func load(_ tier: RowTier) throws {
        guard let layers else { return }
        try tier.refresh(layers.chain)
        let (owner, encoder, metrics) = (layers.owner, encoder.raw, tier.place.metrics)
        let blocksBefore = tier.cold.blocksRead
        defer { metrics.blocksRead.add(tier.cold.blocksRead - blocksBefore) }
        var row = ByteWriter(capacity: 64)
        for slot in fresh {
            let slot = Int(slot)
            // What is gone is at rest no more, whatever layers say.
            guard table.isUsed(slot), !layers.stored.contains(slot) else { continue }
            row.removeAll()
            row.append(rowPrefix(table.hash(at: slot), owner))
            try encoder.encode(UnsafeRawPointer(table.keys.address(slot)), into: &row)
            if try row.withBytes({ try tier.cold.load($0, into: slot) }) {
                layers.stored.insert(slot)
                if wideRows.contains(slot) { metrics.largeRows.add(1) }
                metrics.loaded.add(1)
                tier.lookups.found += 1
            } else {
                metrics.missed.add(1)
                tier.lookups.vain += 1
            }
        }
    }

    /// What the encoded key follows in a row.
    func rowPrefix(_ hash: UInt64, _ owner: RowOwner) -> UInt16 {
        UInt16(truncatingIfNeeded: KeyGroup.of(hash: hash, maxParallelism: owner.maxParallelism)).bigEndian
    }

    // MARK: Making room

    /// Sends rows to rest if there are more than fit.
    public func makeRoom() throws {
        guard let tier, let layers else { return }
        try throwFailure()
        tier.hasWideRows = !wideRows.isEmpty
        if mayHaveLarge || tier.hasWideRows { try tendWideRows(tier, layers) }
        try tier.tend(layers, filter: { keptAtRest })
        try tier.refresh(layers.chain)
        if tier.isMeasureDue(rowCount: table.count, slotBytes: slotBytes) { try measure(tier, layers.owner) }
        tier.notesHeat = tier.hasCold || table.count > tier.rowsMax / 2
        if let shelf = tier.shelf, layers.isPartial, gone.count > tier.rowsMax { try shelve(SlotBits(), shelf, layers) }
        if table.count > tier.rowsMax { try evict(table.count - tier.rowsMax + tier.evictedMin, tier) }
    }

    /// Finds out how much memory rows take.
    private func measure(_ tier: RowTier, _ owner: RowOwner) throws {
        let sampleMax = 1024
        var sample = SlotBits()
        var count = 0
        // Here and there: neighbours may be of one kind.
        let step = max(1, table.slotLimit / sampleMax)
        for slot in stride(from: table.slotLimit - 1, through: 0, by: -step)
        where table.isUsed(slot) && !wideRows.contains(slot) {
            sample.insert(slot)
            count += 1
        }
        guard count > 0 else { return }
        let kept = gone
        gone = KeyTable()
        let parts = peek(operatorName: owner.operatorName, maxParallelism: owner.maxParallelism, changed: sample)
        gone = kept
        let counter = ByteCounter()
        let inline = Set(columns.filter { $0.column.isInline }.map(\.name))
        for part in parts where !inline.contains(part.descriptor.name) { try part.write(to: counter) }
        let strides = columns.map { $0.column.slotBytes }
        tier.measure(
            RowMemory(
                strides: strides + [MemoryLayout<Key>.stride, MemoryLayout<UInt64>.stride],
                encodedBytes: counter.bytes / count, extentBytes: tier.extentBytes),
            rowCount: table.count)
    }

    /// The bytes of a slot, those of the key and its hash included.
    private var slotBytes: Int {
        columns.reduce(MemoryLayout<Key>.stride + MemoryLayout<UInt64>.stride) { $0 + $1.column.slotBytes }
    }

    private func evict(_ wanted: Int, _ tier: RowTier) throws {
        guard let layers else { return }
        let victims = chooseVictims(wanted, tier)
        if victims.isEmpty { return }
        layers.becomePartial(usedSlots)
        var unsaved = SlotBits()
        var unsavedCount = 0
        for slot in victims where tier.shelf?.changed.contains(slot) == true || isUnsaved(slot, layers) {
            unsaved.insert(slot)
            unsavedCount += 1
        }
        if unsavedCount > 0 {
            if let shelf = tier.shelf {
                try shelve(unsaved, shelf, layers)
                tier.place.metrics.spilledRows.add(unsavedCount)
            } else {
                try spill(unsaved, count: unsavedCount, layers, tier)
            }
        }
        for (index, slot) in victims.enumerated() {
            // Memory is asked for while other rows are taken out.
            if index + 16 < victims.count { table.prefetch(slot: victims[index + 16]) }
            drop(slot, layers, tier)
        }
        tier.hasCold = true
        tier.place.metrics.evicted.add(victims.count)
        tier.evicted += victims.count
    }

    /// Moves the hand on over slots until it has found enough rows that may leave; somewhat more than wanted.
    private func chooseVictims(_ wanted: Int, _ tier: RowTier) -> [Int] {
        let wordCount = (table.slotLimit + 63) >> 6
        var victims: [Int] = []
        victims.reserveCapacity(wanted + 64)
        var chosen = SlotBits()
        var looked = 0
        while victims.count < wanted && looked < RowTier.passesMax * wordCount {
            if tier.hand >= wordCount { tier.hand = 0 }
            var cold = tier.pass(tier.hand) & ~chosen.word(tier.hand)
            while cold != 0 {
                let slot = tier.hand << 6 | cold.trailingZeroBitCount
                cold &= cold &- 1
                guard table.isUsed(slot) else { continue }
                victims.append(slot)
                chosen.insert(slot)
            }
            tier.hand += 1
            looked += 1
        }
        return victims
    }

    /// Writes rows as a layer over all others.
    private func spill(_ rows: SlotBits, count: Int, _ layers: RowLayers, _ tier: RowTier) throws {
        let (place, owner) = (tier.place, layers.owner)
        let path = place.names.next("\(owner.operatorName)-\(owner.subtask)")
        let lease = place.leases.take(path)
        let parts = peek(operatorName: owner.operatorName, maxParallelism: owner.maxParallelism, changed: rows)
        let (store, sequence) = (place.store, layers.nextSequence(checkpoint: 0))
        let layer = RowLayer(
            sequence: sequence, rowCount: count + gone.count, states: Set(parts.map(\.descriptor.name)),
            sync: { try store.syncRun(path) })
        let run = try store.writeRun(
            path, operators: [owner.operatorName], subtask: owner.subtask, sequence: sequence,
            parts: parts.map { $0.noting(in: layer) }, filteredRows: layer.rowCount,
            blockBytes: tier.blockBytes)
        layer.written(run.map { HeldSegment($0.file, lease) }, run: run)
        layers.add(layer, holding: rows)
        gone = KeyTable()
        place.metrics.spilledRows.add(count)
        place.metrics.spilledBytes.add(Int(run?.byteCount ?? 0))
        tier.changed(layers.chain, added: layer)
    }

    /// Takes a row out of memory; it is at rest.
    private func drop(_ slot: Int, _ layers: RowLayers, _ tier: RowTier) {
        prepare(slot)
        for (_, column) in columns { column.clear(slot) }
        mayBeEmpty = false
        table.remove(slot: slot)
        layers.changed.remove(slot)
        layers.stored.remove(slot)
        tier.shelf?.drop(slot)
    }

    // MARK: Timers at rest

    /// When a row at rest may have a timer that is due; `Int64.max`: none has.
    public func nextTimeAtRest(_ domain: StateTTL.Domain) -> Int64 {
        guard let tier else { return .max }
        if let shelf = tier.shelf { return shelf.nextTime(domain) }
        return domain == .eventTime ? tier.eventTimers.nextTime : tier.processingTimers.nextTime
    }

    /// Loads rows at rest with timers that are due, as many as fit into memory at a time.
    ///
    /// - Returns: up to when timers may fire now, and whether there are more.
    public func wake(_ domain: StateTTL.Domain, upTo limit: Int64) throws -> (upTo: Int64, isMore: Bool) {
        guard let tier, let layers else { return (limit, false) }
        if let shelf = tier.shelf { return try wake(domain, upTo: limit, from: shelf, tier, layers) }
        try tier.refresh(layers.chain)
        let owner = layers.owner
        var woken = 0
        while woken < tier.place.batchCapacity {
            let next =
                domain == .eventTime ? tier.eventTimers.popDue(limit) : tier.processingTimers.popDue(limit)
            guard var stretch = next else { return (limit, false) }
            guard let layer = stretch.layer else { continue }
            var later = Int64.max
            fresh.removeAll(keepingCapacity: true)
            try tier.cold.timers(of: stretch.state, in: layer, from: stretch.from, to: stretch.to) { row, time in
                if time > limit {
                    later = min(later, time)
                    return
                }
                var reader = ByteReader(row)
                let group = Int(try reader.read(UInt16.self).byteSwapped)
                guard owner.keyGroups.contains(group) else { return }
                if insertAtRest(try encoder.decode(&reader)) { woken += 1 }
            }
            if later < .max {
                stretch.earliest = later
                if domain == .eventTime { tier.eventTimers.add(stretch) } else { tier.processingTimers.add(stretch) }
            }
            for slot in fresh {
                prepare(Int(slot))
                layers.changed.remove(Int(slot))
                layers.stored.remove(Int(slot))
            }
            try load(tier)
            // A row that has changed since no longer has the timer, or is there no more.
            releaseUnused()
        }
        return (limit, nextTimeAtRest(domain) <= limit)
    }

    /// Makes room for a row that is said to be at rest; false when it is not.
    func insertAtRest(_ key: Key) -> Bool {
        let hash = hasher.hash(key)
        // What is in memory, or gone, speaks for itself.
        if table.find(key, hash: hash) != nil || gone.find(key, hash: hash) != nil { return false }
        if flights.contains(where: { $0.gone.find(key, hash: hash) != nil }) { return false }
        let slot = table.findOrInsert(key, hash: hash).slot
        if table.slotLimit > reserved { widen() }
        fresh.append(Int32(truncatingIfNeeded: slot))
        return true
    }
}

extension StatePart {
    /// The same part; its timers are noted while it is written.
    func noting(in layer: RowLayer) -> StatePart {
        guard descriptor.kind == .timers else { return self }
        let notes = TimerNotes(descriptor.name)
        layer.add(notes)
        return StatePart(descriptor) { [self] writer in try write(to: NotingWriter(writer, notes)) }
    }
}

/// Counts the bytes of entries.
private final class ByteCounter: EntryWriter {
    private(set) var bytes = 0

    func add(_ kind: EntryKind, key: UnsafeRawBufferPointer, value: UnsafeRawBufferPointer, rowBytes: Int) throws {
        if kind == .put { bytes += key.count + value.count }
    }
}
