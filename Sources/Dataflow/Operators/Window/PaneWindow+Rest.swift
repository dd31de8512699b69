// SPDX-License-Identifier: Apache-2.0
//  Windows whose panes leave memory when it has no room for them, and fire from files.

import ThalwegBase
import ThalwegData
import ThalwegOperator
import ThalwegState
import ThalwegStorage

extension PaneWindowOperator {
    // MARK: Making room

    /// Sends panes to rest if there are more than fit. After every batch.
    @inlinable @inline(__always)
    func makeRoom(after records: Int) throws {
        guard let tier else { return }
        tier.recordsLeft &-= records
        if tier.hasGrown || tier.recordsLeft <= 0 { try makeRoom(tier) }
    }

    @usableFromInline @inline(never)
    func makeRoom(_ tier: PaneTier<Key, Aggregate.Accumulator>) throws {
        tier.hasGrown = false
        if tier.recordsLeft <= 0 { try tier.measure(panes) }
        let tables = spare + [merged].compactMap { $0 }
        if !tables.isEmpty && !tier.hasRoom(for: 0, beside: panes + tables) {
            // Memory kept for panes to come goes first.
            spare = []
            merged = nil
        }
        for group in tier.victims(panes) { try rest(group, tier) }
        try tier.runs.tend()
    }

    /// Between windows that fire at one watermark: what came from files for one goes before the next.
    @usableFromInline @inline(never)
    func closeEarly(_ tier: PaneTier<Key, Aggregate.Accumulator>) throws {
        try dropClosed()
        tier.hasGrown = true
        try makeRoom(tier)
    }

    /// Writes panes to one file, and frees their memory.
    @usableFromInline
    func rest(_ places: [Int], _ tier: PaneTier<Key, Aggregate.Accumulator>) throws {
        let starts = places.map { panes[$0].start }
        for run in starts.count == 1 && panes[places[0]].isAtRest ? tier.runs.runs(of: starts[0]) : []
        where run.isShared(beside: starts[0]) {
            try load(run, tier)
        }
        let lease = freezing.begin()
        defer { if freezing.end() { unfreeze() } }
        let frozen = places.map { panes[$0].freeze(under: lease) }
        let part = stored.part(
            "panes", of: tier.operatorName, maxParallelism: tier.maxParallelism, frozen, isFile: true,
            over: tier.isRestoring ? nil : below(starts, tier))
        try tier.runs.write(part, starts: starts, count: places.reduce(0) { $0 + panes[$1].table.count })
        recent = nil
        for place in places {
            let pane = KeyPane(initial: aggregate.makeAccumulator())
            pane.start = panes[place].start
            pane.isAtRest = true
            panes[place] = pane
        }
    }

    /// What files have below panes, to be merged with what is in memory.
    @usableFromInline
    func below(_ starts: [Int64], _ tier: PaneTier<Key, Aggregate.Accumulator>) -> PanesBelow? {
        tier.runs.below(starts) { [stored, aggregate] old, new, bytes in
            var value = try stored.value(of: old)
            aggregate.merge(new.assumingMemoryBound(to: Aggregate.Accumulator.self).pointee, into: &value)
            try stored.encode(value, into: &bytes)
        }
    }

    /// Brings the panes of one file back into memory, below what is there.
    @usableFromInline
    func load(_ run: PaneRun, _ tier: PaneTier<Key, Aggregate.Accumulator>) throws {
        let entries = try tier.runs.entries(of: [run])
        var count = 0
        while try entries.next() {
            let start = try PaneRuns.start(of: entries.key)
            let place = place(of: start)
            // A pane that has closed is needed no more.
            guard place < panes.count, panes[place].start == start else { continue }
            let (key, hash) = try stored.key(of: entries.key)
            var value = try stored.value(of: entries.value)
            let (slot, isNew) = panes[place].table.findOrInsert(key, hash: hash)
            let address = address(of: slot, in: panes[place])
            if !isNew {
                // While a snapshot is read, what came from it holds all.
                if tier.isRestoring { continue }
                aggregate.merge(address.pointee, into: &value)
            }
            address.pointee = value
            panes[place].isUnmeasured = true
            count += 1
        }
        tier.runs.remove(run)
        tier.runs.note(loaded: count)
        tier.hasGrown = true
        for start in run.starts {
            let place = place(of: start)
            guard place < panes.count, panes[place].start == start else { continue }
            panes[place].isAtRest = !tier.runs.runs(of: start).isEmpty
        }
    }

    /// Where an accumulator is to be written.
    @inlinable
    func address(of slot: Int, in pane: Pane<Key, Aggregate.Accumulator>) -> UnsafeMutablePointer<Aggregate.Accumulator>
    {
        if slot >= pane.accumulators.capacity { pane.accumulators.reserve(slot + 1) }
        if pane.accumulators.isShared { pane.accumulators.thaw(page: slot >> 10) }
        return pane.accumulators.address(slot)
    }

    /// Loads the panes of shared files that have little to do with a window, so that such files are not read for
    /// each of their panes.
    @usableFromInline
    func loadShared(from start: Int64, to end: Int64, _ tier: PaneTier<Key, Aggregate.Accumulator>) throws {
        for run in tier.runs.runs(from: start, to: end) where run.starts.count > 1 {
            let wanted = run.starts.count { $0 >= start && $0 < end }
            if wanted * 2 < run.starts.count { try load(run, tier) }
        }
    }

    /// Forgets the files of panes that have closed; what else is in them comes back into memory.
    @usableFromInline
    func dropFiles(upTo start: Int64, _ tier: PaneTier<Key, Aggregate.Accumulator>) throws {
        if tier.runs.isEmpty { return }
        tier.runs.removeAll(upTo: start)
        for run in tier.runs.runs(from: .min, to: start &+ 1) { try load(run, tier) }
    }

    // MARK: Firing

    /// Whether a window has panes in files, or its panes cannot be merged in memory.
    @usableFromInline
    func firesFromFiles(_ places: Range<Int>, _ tier: PaneTier<Key, Aggregate.Accumulator>) -> Bool {
        let panes = self.panes[places]
        if panes.contains(where: { $0.isAtRest }) { return true }
        guard panes.count > 1 else { return false }
        return !tier.hasRoom(for: panes.reduce(0) { $0 + $1.table.count }, beside: self.panes)
    }

    /// Fires a window key by key: first those that files have, in their order, then those that are in memory alone.
    /// Each pane's older part comes first.
    @inlinable @inline(never)
    func fireFromFiles(
        _ places: Range<Int>, _ window: TimeWindow, _ tier: PaneTier<Key, Aggregate.Accumulator>
    ) throws {
        let (from, to) = (window.start.milliseconds, window.end.milliseconds)
        let memory = panes[places].filter { $0.table.count > 0 }
        var taken = memory.map { _ in SlotBits() }
        let ahead = storedTime.ahead(of: time)
        let entries = try tier.runs.entries(of: tier.runs.runs(from: from, to: to))
        var row: [UInt8] = []
        var current: (key: Key, hash: UInt64, total: Aggregate.Accumulator?)?
        // The first pane in memory that the current key was not looked for in.
        var next = 0
        var isMore = true
        while isMore {
            isMore = try entries.next()
            let bytes = entries.key
            let start = isMore ? try PaneRuns.start(of: bytes) : .max
            if isMore && (start < from || start >= to) { continue }
            let isSame = isMore && PaneRuns.isKey(bytes, of: row)
            if var last = current {
                // What is in memory of panes before this one, or of all when the key is done.
                while next < memory.count && (!isSame || memory[next].start < start) {
                    take(last.key, last.hash, memory[next], &taken[next], &last.total)
                    next &+= 1
                }
                if !isSame, let total = last.total, ahead.map({ to &- 1 > $0.time(hash: last.hash) }) ?? true {
                    try emit(last.key, aggregate.result(total), window, collector)
                }
                current = last
            }
            if !isMore { break }
            if !isSame {
                row.removeAll(keepingCapacity: true)
                row.append(contentsOf: bytes.dropLast(8))
                let (key, hash) = try stored.key(of: bytes)
                current = (key, hash, nil)
                next = 0
                while next < memory.count && memory[next].start < start {
                    take(key, hash, memory[next], &taken[next], &current!.total)  // set above
                    next &+= 1
                }
            }
            let part = try stored.value(of: entries.value)
            if current?.total == nil {
                current?.total = part
            } else {
                aggregate.merge(part, into: &current!.total!)  // not nil on this path
            }
        }
        try fireRest(of: memory, &taken, window, ahead)
    }

    /// Adds what a pane in memory has of a key.
    @inlinable @inline(__always)
    func take(
        _ key: Key, _ hash: UInt64, _ pane: Pane<Key, Aggregate.Accumulator>, _ taken: inout SlotBits,
        _ total: inout Aggregate.Accumulator?
    ) {
        guard let slot = pane.table.find(key, hash: hash) else { return }
        taken.insert(slot)
        let part = pane.accumulators.address(slot).pointee
        if total == nil { total = part } else { aggregate.merge(part, into: &total!) }  // set: not nil here
    }

    /// Fires the keys of panes that were not taken yet.
    @inlinable
    func fireRest(
        of memory: [Pane<Key, Aggregate.Accumulator>], _ taken: inout [SlotBits], _ window: TimeWindow,
        _ ahead: KeyGroupTimes?
    ) throws {
        let end = window.end.milliseconds
        for (index, pane) in memory.enumerated() {
            let table = pane.table
            for slot in 0..<table.slotLimit where table.isUsed(slot) && !taken[index].contains(slot) {
                let (key, hash) = (table.key(at: slot), table.hash(at: slot))
                var total: Aggregate.Accumulator? = pane.accumulators.address(slot).pointee
                for other in (index + 1)..<max(index + 1, memory.count) {
                    take(key, hash, memory[other], &taken[other], &total)
                }
                if let ahead, end &- 1 <= ahead.time(hash: hash) { continue }
                if let total { try emit(key, aggregate.result(total), window, collector) }
            }
        }
    }

    /// Adds what files have of a key in a pane.
    @usableFromInline
    func takeFromFiles(
        _ key: Key, _ hash: UInt64, _ start: Int64, _ tier: PaneTier<Key, Aggregate.Accumulator>,
        _ total: inout Aggregate.Accumulator?
    ) throws {
        var bytes = ByteWriter(capacity: 64)
        try stored.encode(key, hash: hash, start: start, maxParallelism: tier.maxParallelism, into: &bytes)
        var found: Aggregate.Accumulator?
        try bytes.withBytes { key in
            try tier.runs.find(key, of: start) { found = try stored.value(of: $0) }
        }
        guard let found else { return }
        if total == nil { total = found } else { aggregate.merge(found, into: &total!) }  // set: not nil here
    }

    // MARK: Snapshots

    /// Lists what is in files, and freezes what is in memory.
    func freeze(
        _ tier: PaneTier<Key, Aggregate.Accumulator>, into snapshot: inout OperatorSnapshot, under lease: PageLease
    ) {
        let present = panes.filter { $0.table.count > 0 }
        let part = stored.part(
            "panes", of: snapshot.operatorName, maxParallelism: snapshot.maxParallelism,
            present.map { $0.freeze(under: lease) },
            over: below(present.filter(\.isAtRest).map(\.start), tier))
        snapshot.add(
            tier.runs.freeze(
                part, checkpoint: snapshot.barrier.checkpoint,
                isSelfContained: snapshot.barrier.kind.isUserOwned))
    }

    /// Takes over what a snapshot has: panes in files stay there.
    func restore(from source: KeyedRestore, _ tier: PaneTier<Key, Aggregate.Accumulator>) throws {
        tier.isRestoring = true
        defer { tier.isRestoring = false }
        var count = 0
        func add(_ key: Key, _ hash: UInt64, _ start: Int64, _ value: Aggregate.Accumulator) throws {
            let pane = pane(start)
            address(of: pane.table.findOrInsert(key, hash: hash).slot, in: pane).pointee = value
            pane.isUnmeasured = true
            count += 1
            tier.hasGrown = true
            if count % 1024 == 0 { try makeRoom(after: 1024) }
        }
        if let others = try tier.runs.adopt(from: source) {
            for start in tier.runs.starts { pane(start).isAtRest = true }
            while try others.next() {
                let (key, hash) = try stored.key(of: others.key)
                try add(key, hash, PaneRuns.start(of: others.key), try stored.value(of: others.value))
            }
        } else {
            try stored.restore("panes", from: source, add)
        }
        // What was read takes the place of what files have, so it does not stay in memory as their newer part.
        for place in panes.indices where panes[place].isAtRest && panes[place].table.count > 0 {
            let start = panes[place].start
            for run in tier.runs.runs(of: start) where run.isShared(beside: start) { try load(run, tier) }
            if panes[place].isAtRest { try rest([place], tier) }
        }
        tier.hasGrown = true
    }
}
