// SPDX-License-Identifier: Apache-2.0
//  When the timers of rows at rest are due.

import Synchronization
import ThalwegBase
import ThalwegData
import ThalwegStorage

/// Where in a layer timers lie: a stretch of neighbouring keys, with the earliest time among them.
struct TimerStretch: Comparable, Sendable {
    var earliest: Int64
    let state: String
    /// The first key of the stretch, and the first one after it.
    let from: [UInt8]
    var to: [UInt8]?
    var layer: RowLayer?

    static func == (left: TimerStretch, right: TimerStretch) -> Bool { !(left < right) && !(right < left) }
    static func < (left: TimerStretch, right: TimerStretch) -> Bool {
        left.earliest != right.earliest
            ? left.earliest < right.earliest : left.from.lexicographicallyPrecedes(right.from)
    }
}

/// The timers of one state of a layer, noted while it is written: a few bytes for each stretch of them.
final class TimerNotes: Sendable {
    /// How many timers a stretch has. To wake one, all of them are read.
    private static let stretchTimersMax = 64

    let state: String
    private let noted = Guarded<(stretches: [TimerStretch], left: Int)>(([], 0))

    init(_ state: String) { self.state = state }

    var stretches: [TimerStretch] { noted.withLock { $0.stretches } }

    func add(_ key: UnsafeRawBufferPointer) throws {
        var reader = ByteReader(UnsafeRawBufferPointer(rebasing: key.suffix(8)))
        let time = try reader.readOrdered()
        noted.withLock { noted in
            if noted.left == 0 {
                let from = Array(key)
                if !noted.stretches.isEmpty { noted.stretches[noted.stretches.count - 1].to = from }
                noted.stretches.append(TimerStretch(earliest: time, state: state, from: from))
                noted.left = Self.stretchTimersMax
            }
            let last = noted.stretches.count - 1
            noted.stretches[last].earliest = min(noted.stretches[last].earliest, time)
            noted.left -= 1
        }
    }
}

/// Passes entries on and notes them as timers.
final class NotingWriter: EntryWriter {
    private let writer: any EntryWriter
    private let notes: TimerNotes

    init(_ writer: any EntryWriter, _ notes: TimerNotes) {
        self.writer = writer
        self.notes = notes
    }

    func add(_ kind: EntryKind, key: UnsafeRawBufferPointer, value: UnsafeRawBufferPointer, rowBytes: Int) throws {
        try writer.add(kind, key: key, value: value, rowBytes: rowBytes)
        if kind == .put { try notes.add(key) }
    }
}

/// The stretches of all layers of one store in one time domain, the earliest first.
///
/// Those of layers that are there no more stay until they come up, or are as many as the others.
struct ColdTimers {
    private var heap: [TimerStretch] = []
    private var layers: [RowLayer] = []
    /// When the heap has so many stretches, those that count no more are taken out.
    private var cleanAt = cleanMin

    private static let cleanMin = 64

    /// When a row at rest may have a timer; `Int64.max`: none has.
    var nextTime: Int64 { heap.first?.earliest ?? .max }

    mutating func add(_ stretch: TimerStretch) {
        heap.append(stretch)
        var child = heap.count - 1
        while child > 0, heap[child] < heap[(child - 1) / 2] {
            heap.swapAt(child, (child - 1) / 2)
            child = (child - 1) / 2
        }
    }

    /// Takes the earliest stretch, if it is due at `time`.
    mutating func popDue(_ time: Int64) -> TimerStretch? {
        guard let first = heap.first, first.earliest <= time else { return nil }
        removeFirst()
        dropGone()
        return first
    }

    /// Only the stretches of these layers count from now on.
    mutating func keep(_ layers: [RowLayer]) {
        self.layers = layers
        if heap.count >= cleanAt {
            heap = heap.filter(isThere)
            for parent in stride(from: heap.count / 2 - 1, through: 0, by: -1) { sink(parent) }
            cleanAt = max(Self.cleanMin, 2 * heap.count)
        }
        dropGone()
    }

    private func isThere(_ stretch: TimerStretch) -> Bool { layers.contains { $0 === stretch.layer } }

    /// Sees to it that the first stretch counts.
    private mutating func dropGone() {
        while let first = heap.first, !isThere(first) { removeFirst() }
    }

    private mutating func removeFirst() {
        let last = heap.removeLast()
        if heap.isEmpty { return }
        heap[0] = last
        sink(0)
    }

    private mutating func sink(_ start: Int) {
        var parent = start
        while true {
            var least = parent
            for child in (2 * parent + 1)..<(2 * parent + 3) where child < heap.count && heap[child] < heap[least] {
                least = child
            }
            if least == parent { return }
            heap.swapAt(parent, least)
            parent = least
        }
    }
}
