// SPDX-License-Identifier: Apache-2.0
//  Which results may leave now.

import ThalwegBase
import ThalwegOperator

/// The elements between two signals. Those that are ready leave in the order in which they became so.
@usableFromInline final class EmissionSegment<Entry> {
    @usableFromInline var ready = Fifo<Entry>()
    /// Elements that have not left.
    @usableFromInline var remaining = 0
    /// What follows when all have left.
    @usableFromInline var signals = Fifo<Signal>()

    @inlinable init() {}
}

/// Elements and signals in order of arrival, cut into segments by the signals (FLIP-12).
///
/// Signals keep their place: a segment's elements leave before its signals, those of the next segment after them. In a
/// segment elements leave as they become ready, elements of one lane in order. One lane for all makes everything
/// ordered, no lanes make it unordered.
@usableFromInline struct EmissionQueue<Input, Request, Output> {
    @usableFromInline typealias Entry = AsyncEntry<Input, Request, Output>

    /// What leaves next.
    @usableFromInline enum Departure {
        case element(Entry)
        case signal(Signal)
    }

    @usableFromInline var segments = Fifo<EmissionSegment<Entry>>()
    /// The last element of each lane.
    @usableFromInline var lastInLane: [UInt64: Entry] = [:]
    @usableFromInline var entries: [Int: Entry] = [:]
    @usableFromInline var signalCount = 0

    @inlinable init() {}

    /// Places taken: elements, ready or not, and signals.
    @inlinable var count: Int { entries.count + signalCount }
    @inlinable var isEmpty: Bool { count == 0 }
    /// The elements that have not left, in order of arrival.
    @inlinable var elements: [Entry] { entries.values.sorted { $0.sequence < $1.sequence } }

    @inlinable
    mutating func append(_ entry: Entry) {
        if segments.last.map({ !$0.signals.isEmpty }) ?? true { segments.append(EmissionSegment()) }
        guard let segment = segments.last else { return }
        entry.segment = segment
        segment.remaining += 1
        entries[entry.sequence] = entry
        guard let lane = entry.lane else { return }
        if let last = lastInLane.updateValue(entry, forKey: lane) {
            last.nextInLane = entry
            entry.isFirstInLane = false
        }
    }

    /// Adds a signal. A watermark directly behind another takes its place.
    @inlinable
    mutating func append(_ signal: Signal) {
        if segments.isEmpty { segments.append(EmissionSegment()) }
        guard let segment = segments.last else { return }
        if signal.follows(segment.signals.last) {
            segment.signals.last = signal
        } else {
            segment.signals.append(signal)
            signalCount += 1
        }
    }

    /// The element has got its outcome: it, and those of its lane that waited for it alone, may leave when it is their
    /// segment's turn.
    @inlinable
    mutating func resolved(_ entry: Entry) {
        guard entry.isFirstInLane else { return }
        var next: Entry? = entry
        while let entry = next, entry.outcome != nil {
            entry.segment?.ready.append(entry)
            next = entry.nextInLane
            entry.nextInLane = nil
            next?.isFirstInLane = true
            if next == nil, let lane = entry.lane { lastInLane[lane] = nil }
        }
    }

    /// Takes what may leave now; nil when it has to wait.
    @inlinable
    mutating func next() -> Departure? {
        while let segment = segments.first {
            if let entry = segment.ready.popFirst() {
                segment.remaining -= 1
                entry.segment = nil
                entries[entry.sequence] = nil
                return .element(entry)
            }
            guard segment.remaining == 0 else { return nil }
            if let signal = segment.signals.popFirst() {
                signalCount -= 1
                return .signal(signal)
            }
            _ = segments.popFirst()
        }
        return nil
    }

    /// Forgets everything, one by one: lanes are long lists that must not be destroyed recursively.
    @inlinable
    mutating func removeAll() {
        for entry in entries.values { (entry.nextInLane, entry.segment, entry.fetch) = (nil, nil, nil) }
        self = EmissionQueue()
    }
}

extension Signal {
    /// Whether this signal says all that the one before it did.
    @inlinable
    func follows(_ last: Signal?) -> Bool {
        if case .watermark = self, case .watermark = last { return true }
        return false
    }
}
