// SPDX-License-Identifier: Apache-2.0
//  The entries of one row, side by side.

import ThalwegBase

/// What a lookup found: entries in ascending order of what follows the row in their keys. Used again for the next one.
public final class RowBuffer {
    /// Where an entry lies.
    struct Span {
        var suffixStart: Int
        var suffixBytes: Int
        var valueStart: Int
        var valueBytes: Int
        var kind: EntryKind
    }

    let bytes = GrowingBuffer(capacity: 4 << 10)
    @exclusivity(unchecked) var byteCount = 0
    @exclusivity(unchecked) var spans: ContiguousArray<Span> = []
    /// Where the entries of each run begin, while they are put together.
    @exclusivity(unchecked) var starts: ContiguousArray<Int> = []
    private var merged: ContiguousArray<Span> = []

    public init() {}

    /// The number of entries.
    public var count: Int { spans.count }

    /// What follows the row in the key of an entry. Lent until the next lookup.
    public func suffix(_ index: Int) -> UnsafeRawBufferPointer {
        UnsafeRawBufferPointer(start: bytes.start + spans[index].suffixStart, count: spans[index].suffixBytes)
    }

    /// The value of an entry. Lent until the next lookup.
    public func value(_ index: Int) -> UnsafeRawBufferPointer {
        UnsafeRawBufferPointer(start: bytes.start + spans[index].valueStart, count: spans[index].valueBytes)
    }

    func removeAll() {
        byteCount = 0
        spans.removeAll(keepingCapacity: true)
        starts.removeAll(keepingCapacity: true)
    }

    /// Adds an entry whose suffix begins like that of the entry before.
    @inline(__always)
    func append(
        _ kind: EntryKind, shared: Int, rest: UnsafeRawBufferPointer, value: UnsafeRawBufferPointer
    ) {
        let suffixBytes = shared &+ rest.count
        let wanted = byteCount &+ suffixBytes &+ value.count
        bytes.reserve(wanted, keeping: byteCount)
        var end = bytes.start + byteCount
        if shared > 0 {
            end.copyMemory(from: bytes.start + spans[spans.count &- 1].suffixStart, byteCount: shared)
            end += shared
        }
        if let base = rest.baseAddress { end.copyMemory(from: base, byteCount: rest.count) }
        end += rest.count
        if let base = value.baseAddress { end.copyMemory(from: base, byteCount: value.count) }
        spans.append(
            Span(
                suffixStart: byteCount, suffixBytes: suffixBytes, valueStart: byteCount &+ suffixBytes,
                valueBytes: value.count, kind: kind))
        byteCount = wanted
    }

    /// Leaves what is there: of each key the entry of the newest run, unless that is a tombstone.
    func settle() {
        if starts.count > 1 { mergeRuns() }
        if spans.contains(where: { $0.kind != .put }) { spans.removeAll { $0.kind != .put } }
    }

    /// The runs are few: each time the least of their next entries is taken.
    private func mergeRuns() {
        merged.removeAll(keepingCapacity: true)
        var heads = starts
        let ends = starts.dropFirst() + [spans.count]
        while true {
            var least = -1
            for (run, end) in zip(heads.indices, ends) where heads[run] < end {
                if least < 0 || compare(suffix(heads[run]), suffix(heads[least])) < 0 { least = run }
            }
            if least < 0 { break }
            let taken = heads[least]
            merged.append(spans[taken])
            for (run, end) in zip(heads.indices, ends)
            where run != least && heads[run] < end && compare(suffix(heads[run]), suffix(taken)) == 0 {
                heads[run] += 1
            }
            heads[least] += 1
        }
        swap(&spans, &merged)
    }
}
