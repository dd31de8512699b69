// SPDX-License-Identifier: Apache-2.0
//  Aggregates before the exchange what belongs to the same key and pane (FLIP-44).

import ThalwegBase
import ThalwegData
import ThalwegOperator
import ThalwegState

/// The aggregate of the records of one key in one pane that one producer has seen.
@frozen
public struct PartialAggregate<Key: Sendable, Accumulator: Sendable>: Sendable {
    public let key: Key
    @usableFromInline let paneStart: Int64
    @usableFromInline let accumulator: Accumulator
    /// The number of records in it, so that late ones are counted rightly.
    @usableFromInline let records: Int

    @inlinable
    init(key: Key, paneStart: Int64, accumulator: Accumulator, records: Int) {
        self.key = key
        self.paneStart = paneStart
        self.accumulator = accumulator
        self.records = records
    }
}

/// Stands before an exchange into a window of fixed size and sends one partial aggregate per key and pane instead of
/// the records.
///
/// What it holds it sends before any signal that could make the window fire without it, so results are the same as
/// without it.
public final class PaneCombiner<Key, Input, Aggregate>
where
    Key: Hashable & Codable & Sendable, Input: Sendable, Aggregate: AggregateFunction, Aggregate.Input == Input
{
    public typealias Partial = PartialAggregate<Key, Aggregate.Accumulator>

    /// A pane's aggregates with the number of records in each.
    @frozen
    @usableFromInline
    struct Counted {
        @usableFromInline var accumulator: Aggregate.Accumulator
        @usableFromInline var records: Int

        @inlinable
        init(_ accumulator: Aggregate.Accumulator) {
            self.accumulator = accumulator
            records = 0
        }
    }

    /// With so many keys held, everything is sent: beyond, there is little to combine.
    @inlinable static var keysMax: Int { 1 << 16 }
    /// The same for all panes together, where a pane counts as ``paneKeysMin`` at least.
    @inlinable static var allKeysMax: Int { 1 << 18 }
    /// A pane has memory for so many keys.
    @inlinable static var paneKeysMin: Int { 1 << 10 }

    @usableFromInline let grid: WindowGrid
    @usableFromInline let aggregate: Aggregate
    @usableFromInline let key: (Input) -> Key
    @usableFromInline let hasher: KeyHasher<Key>
    @usableFromInline let collector: Collector<Partial>
    @usableFromInline let forward: (Signal) throws -> Void
    @usableFromInline let keys: UnsafeMutablePointer<Key>
    @usableFromInline let hashes: UnsafeMutablePointer<UInt64>
    @usableFromInline let slots: UnsafeMutablePointer<Int32>
    // Used by one task alone.
    @exclusivity(unchecked) @usableFromInline var panes: [Pane<Key, Counted>] = []
    @exclusivity(unchecked) @usableFromInline var spare: [Pane<Key, Counted>] = []
    /// The keys of all panes.
    @exclusivity(unchecked) @usableFromInline var keysHeld = 0

    @inlinable
    public init(
        _ grid: WindowGrid, aggregate: Aggregate, key: @escaping (Input) -> Key, hasher: KeyHasher<Key>,
        into outlet: Inlet<Partial>, capacity: Int
    ) {
        self.grid = grid
        self.aggregate = aggregate
        self.key = key
        self.hasher = hasher
        forward = outlet.signal
        collector = Collector(outlet, clock: RecordClock(), capacity: capacity)
        keys = .allocate(capacity: capacity)
        hashes = .allocate(capacity: capacity)
        slots = .allocate(capacity: capacity)
    }

    deinit {
        keys.deallocate()
        hashes.deallocate()
        slots.deallocate()
    }

    /// The door for the operator upstream.
    @inlinable
    public var inlet: Inlet<Input> {
        Inlet(push: { try self.add($0) }, signal: { try self.signal($0) })
    }

    @inlinable
    func add(_ batch: Batch<Input>) throws {
        let (rows, times, count, key, hasher) = (batch.rows, batch.times, batch.count, self.key, self.hasher)
        guard batch.isTimed else { throw LateHandling<Input>.untimed }
        for index in 0..<count {
            let value = key(rows[index])
            hashes[index] = hasher.hash(value)
            (keys + index).initialize(to: value)
        }
        defer { keys.deinitialize(count: count) }
        var index = 0
        while index < count {
            let moment = times[index]
            if moment < -TimestampRange.limit || moment > TimestampRange.limit { throw TimestampRange.error(moment) }
            let start = grid.paneStart(moment)
            let end = start &+ grid.pane
            let first = index
            repeat { index &+= 1 } while index < count && times[index] >= start && times[index] < end
            let pane = pane(start)
            let known = pane.table.count
            pane.table.resolve(
                keys + first, hashes: hashes + first, count: index - first, into: slots, onInsert: { _ in })
            if pane.table.slotLimit > pane.accumulators.capacity { pane.accumulators.reserve(pane.table.slotLimit) }
            for position in first..<index {
                let cell = pane.accumulators.address(Int(slots[position &- first]))
                aggregate.add(rows[position], to: &cell.pointee.accumulator)
                cell.pointee.records &+= 1
            }
            keysHeld &+= pane.table.count &- known
            if pane.table.count > Self.keysMax || keysHeld &+ panes.count &* Self.paneKeysMin > Self.allKeysMax {
                try send { _ in true }
            }
        }
        try collector.flush()
    }

    @inlinable
    func pane(_ start: Int64) -> Pane<Key, Counted> {
        if let last = panes.last, last.start == start { return last }
        if let known = panes.first(where: { $0.start == start }) { return known }
        let pane = spare.popLast() ?? Pane(initial: Counted(aggregate.makeAccumulator()))
        pane.start = start
        panes.append(pane)
        return pane
    }

    @inlinable
    func signal(_ signal: Signal) throws {
        switch signal {
        case .watermark(let watermark):
            let time = watermark.time.milliseconds
            try send { start in start &+ grid.pane &- 1 <= time }
        case .idle, .end, .barrier:
            // Others may carry event time on without this producer; and nothing stays behind a barrier, as what is
            // held here is in no snapshot.
            try send { _ in true }
        case .active, .flush, .splitStarted, .splitFinished:
            break
        }
        try forward(signal)
    }

    /// Sends the panes whose start is chosen.
    @inlinable
    func send(_ isChosen: (Int64) -> Bool) throws {
        var index = 0
        while index < panes.count {
            let pane = panes[index]
            guard isChosen(pane.start) else {
                index += 1
                continue
            }
            panes.remove(at: index)
            keysHeld &-= pane.table.count
            for slot in 0..<pane.table.slotLimit {
                let cell = pane.accumulators.address(slot)
                collector.emit(
                    PartialAggregate(
                        key: pane.table.key(at: slot), paneStart: pane.start, accumulator: cell.pointee.accumulator,
                        records: cell.pointee.records), at: pane.start)
            }
            pane.reset()
            if spare.count < 4 { spare.append(pane) }
        }
        try collector.flush()
    }
}

extension PaneWindowOperator {
    /// Takes partial aggregates in place of records.
    @inlinable
    public func mergePartials(_ batch: Batch<PartialAggregate<Key, Aggregate.Accumulator>>) throws {
        let (rows, count) = (batch.rows, batch.count)
        let (ahead, ownTime) = (storedTime.ahead(of: time), time)
        defer { time = ownTime }
        for index in 0..<count {
            let partial = rows + index
            if let ahead { time = max(ownTime, ahead.time(hash: hasher.hash(partial.pointee.key))) }
            let start = partial.pointee.paneStart
            let (firstEnd, lastEnd) = (grid.firstEnd(pane: start), grid.lastEnd(pane: start))
            if time != .min {
                if lastEnd &- 1 <= time {
                    late.countDropped(partial.pointee.records)
                    continue
                }
                if firstEnd &- 1 <= time {
                    late.countPartial(Int((time &+ 1 &- firstEnd) / grid.slide &+ 1) * partial.pointee.records)
                }
            }
            let pane = pane(start)
            let (slot, _) = pane.table.findOrInsert(partial.pointee.key, hash: hasher.hash(partial.pointee.key))
            if slot >= pane.accumulators.capacity { widen(pane) }
            pane.touch()
            if pane.accumulators.isShared { pane.accumulators.thaw(page: slot >> 10) }
            aggregate.merge(partial.pointee.accumulator, into: &pane.accumulators.address(slot).pointee)
        }
        try makeRoom(after: count)
    }
}

extension OperatorInstance {
    /// Wraps a window of fixed size, which takes records at input 0 and partial aggregates at input 1.
    @inlinable
    public convenience init<Key, Input, Aggregate, Output>(
        panes op: PaneWindowOperator<Key, Input, Aggregate, Output>, in context: OperatorContext
    ) {
        let metrics = context.metrics
        let records: (Batch<Input>) throws -> Void = { batch in
            metrics.recordsIn.add(batch.count)
            try op.process(batch)
            try op.collector.flush()
            try op.flushSides()
        }
        let partials: (Batch<PartialAggregate<Key, Aggregate.Accumulator>>) throws -> Void = { batch in
            metrics.recordsIn.add(batch.count)
            try op.mergePartials(batch)
        }
        self.init(
            pushes: [records, partials], signal: OperatorInstance.signalHandler(op, context),
            snapshot: { try op.snapshot(into: &$0) }, declare: { try op.declare(&$0) },
            restore: { try op.restore(from: $0) }, close: { op.close() })
    }
}
