// SPDX-License-Identifier: Apache-2.0
//  What waits for partners, by key.

import ThalwegBase
import ThalwegData
import ThalwegState
import ThalwegStorage

/// What waits for partners under one key.
@frozen
public struct IntervalBuffers<First, Second> {
    @usableFromInline var first = TimedBuffer<First>()
    @usableFromInline var second = TimedBuffer<Second>()
    /// Whether the slot stands in a list of the operator's expiries, perhaps since it was another key's.
    @usableFromInline var isListed = false
    /// Whether nothing has been stored since the slot was last looked at and found empty.
    @usableFromInline var isIdle = false

    @inlinable
    init() {}

    /// When the last record will have met all its partners; nil when there is no record.
    @inlinable @inline(__always)
    func expiry(lower: Int64, upper: Int64) -> Int64? {
        if first.isEmpty { return second.isEmpty ? nil : second.lastTime &- lower }
        let expiry = first.lastTime &+ upper
        return second.isEmpty ? expiry : max(expiry, second.lastTime &- lower)
    }
}

/// The buffers of every key, by slot.
public final class IntervalColumn<First: Codable & Sendable, Second: Codable & Sendable>: KeyedColumn {
    // Used by one task alone.
    @exclusivity(unchecked) @usableFromInline var pages = PagedColumn(initial: IntervalBuffers<First, Second>())

    @usableFromInline let spareFirst: SpareBlocks<First>
    @usableFromInline let spareSecond: SpareBlocks<Second>
    private let storedFirst: StoredType<First>
    private let storedSecond: StoredType<Second>

    /// Learns the types of both sides. Throws for classes.
    ///
    /// - Parameter isTiered: whether rows leave memory, which then is not kept for others.
    public init(isTiered: Bool = false) throws(ThalwegError) {
        spareFirst = isTiered ? SpareBlocks(countMax: 64) : SpareBlocks()
        spareSecond = isTiered ? SpareBlocks(countMax: 64) : SpareBlocks()
        storedFirst = try StoredType()
        storedSecond = try StoredType()
    }

    deinit {
        for page in 0..<pages.pageCount {
            if let lease = pages.lease(ofPage: page) {
                lease.adopt(ReplacedBuffers(buffers(ofPage: page)))
            } else {
                for slot in page << 10..<(page + 1) << 10 { clear(slot) }
            }
        }
    }

    @inlinable
    public func reserve(_ count: Int) { pages.reserve(count) }

    @inlinable
    public func isEmpty(_ slot: Int) -> Bool {
        let buffers = pages.address(slot)
        return buffers.pointee.first.isEmpty && buffers.pointee.second.isEmpty && !buffers.pointee.isListed
    }

    @inlinable
    public func clear(_ slot: Int) {
        pages.address(slot).pointee.first.release(spareFirst)
        pages.address(slot).pointee.second.release(spareSecond)
        pages.address(slot).pointee.isIdle = false
    }

    public var slotBytes: Int { MemoryLayout<IntervalBuffers<First, Second>>.stride }
    public func limitExtents(to byteCount: Int) { pages.limitExtents(to: byteCount) }

    // MARK: Snapshots

    /// The buffers of a page as they are: the memory of their records is shared, not copied.
    private func buffers(ofPage page: Int) -> [IntervalBuffers<First, Second>] {
        (page << 10..<(page + 1) << 10).map { pages.address($0).pointee }
    }

    /// The records of a page go to the snapshot, and the operator goes on with copies.
    public func thaw(page: Int) {
        guard let lease = pages.thaw(page: page) else { return }
        lease.adopt(ReplacedBuffers(buffers(ofPage: page)))
        for slot in page << 10..<(page + 1) << 10 {
            let buffers = pages.address(slot)
            buffers.pointee.first.detach()
            buffers.pointee.second.detach()
        }
    }

    public func unfreeze() { pages.unfreeze() }

    private func describe(_ name: String, _ owner: StateOwner) -> (first: StateDescriptor, second: StateDescriptor) {
        (
            owner.describe(name + ".first", .buffer, value: storedFirst.schema),
            owner.describe(name + ".second", .buffer, value: storedSecond.schema)
        )
    }

    public func freeze(_ name: String, _ keys: FrozenKeys) -> [StatePart] {
        let view = pages.freeze(under: keys.lease)
        let (first, second) = describe(name, keys.owner)
        return [
            keys.part(first) { [storedFirst] slot, entries in
                try view.address(slot).pointee.first.write(storedFirst, to: &entries)
            },
            keys.part(second) { [storedSecond] slot, entries in
                try view.address(slot).pointee.second.write(storedSecond, to: &entries)
            },
        ]
    }

    public func forms(_ name: String, _ owner: StateOwner) -> [StoredForm] {
        let (first, second) = describe(name, owner)
        return [
            StoredForm(first, of: First.self) { _ in
                { [self] slot, key, bytes in
                    let time = try key.readOrdered()
                    pages.address(slot).pointee.first.insert(
                        try storedFirst.codec.decode(bytes), at: time, limit: .min, spareFirst)
                }
            },
            StoredForm(second, of: Second.self) { _ in
                { [self] slot, key, bytes in
                    let time = try key.readOrdered()
                    pages.address(slot).pointee.second.insert(
                        try storedSecond.codec.decode(bytes), at: time, limit: .min, spareSecond)
                }
            },
        ]
    }
}

extension TimedBuffer {
    /// Goes on with a copy of the records; the memory so far belongs to somebody else.
    mutating func detach() {
        guard let memory else { return }
        guard !isEmpty else {
            self = TimedBuffer()
            return
        }
        let copy = SpareBlocks<Value>.allocate(Int(capacity))
        (times(copy) + Int(head)).update(from: times(memory) + Int(head), count: count)
        (values(copy) + Int(head)).initialize(from: values(memory) + Int(head), count: count)
        self.memory = copy
    }

    /// Destroys the records and their memory, on any thread.
    func destroy() {
        guard let memory else { return }
        (values(memory) + Int(head)).deinitialize(count: count)
        memory.deallocate()
    }
}

extension TimedBuffer where Value: Codable & Sendable {
    /// Writes the records as entries of one key.
    func write(_ stored: StoredType<Value>, to entries: inout KeyedEntries) throws {
        guard let memory else { return }
        for place in Int(head)..<Int(end) {
            try entries.add(
                { key in
                    key.appendOrdered(times(memory)[place])
                    key.append(UInt32(truncatingIfNeeded: place - Int(head)).bigEndian)
                },
                value: { try stored.codec.encode(values(memory) + place, count: 1, into: &$0) })
        }
    }
}

/// Buffers that only a snapshot reads any more.
// Unchecked: the records have one owner at a time.
private struct ReplacedBuffers<First, Second>: ReplacedPage, @unchecked Sendable {
    private let buffers: [IntervalBuffers<First, Second>]

    init(_ buffers: [IntervalBuffers<First, Second>]) { self.buffers = buffers }

    func dispose() {
        for buffer in buffers {
            buffer.first.destroy()
            buffer.second.destroy()
        }
    }
}
