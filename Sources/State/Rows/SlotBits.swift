// SPDX-License-Identifier: Apache-2.0
//  A set of slots.

/// A set of slots, one bit for each.
public struct SlotBits: Sendable {
    @usableFromInline var words: [UInt64] = []

    @inlinable
    public init() {}

    @inlinable
    public var isEmpty: Bool { words.allSatisfy { $0 == 0 } }

    /// The number of slots in the set.
    public var count: Int { words.reduce(0) { $0 &+ $1.nonzeroBitCount } }

    @inlinable @inline(__always)
    public func contains(_ slot: Int) -> Bool {
        let word = slot >> 6
        return word < words.count && words[word] & (1 << UInt64(truncatingIfNeeded: slot & 63)) != 0
    }

    @inlinable @inline(__always)
    public mutating func insert(_ slot: Int) {
        let word = slot >> 6
        if word >= words.count { grow(word) }
        words[word] |= 1 << UInt64(truncatingIfNeeded: slot & 63)
    }

    /// Adds the slots of a batch.
    @inlinable
    public mutating func insert(_ slots: UnsafePointer<Int32>, count: Int, limit: Int) {
        if limit > words.count << 6 { grow((limit - 1) >> 6) }
        words.withUnsafeMutableBufferPointer { words in
            guard let base = words.baseAddress else { return }
            for index in 0..<count {
                let slot = Int(slots[index])
                base[slot >> 6] |= 1 << UInt64(truncatingIfNeeded: slot & 63)
            }
        }
    }

    @inlinable
    public mutating func remove(_ slot: Int) {
        let word = slot >> 6
        if word < words.count { words[word] &= ~(1 << UInt64(truncatingIfNeeded: slot & 63)) }
    }

    /// The slots from `64 * index` on, the first one lowest.
    func word(_ index: Int) -> UInt64 { index < words.count ? words[index] : 0 }

    /// Replaces the slots from `64 * index` on.
    mutating func set(word index: Int, _ bits: UInt64) {
        if index >= words.count {
            if bits == 0 { return }
            grow(index)
        }
        words[index] = bits
    }

    /// Adds all slots below a limit.
    mutating func fill(_ limit: Int) {
        if limit > words.count << 6 { grow((limit - 1) >> 6) }
        for index in 0..<limit >> 6 { words[index] = .max }
        if limit & 63 != 0 { words[limit >> 6] |= 1 << UInt64(limit & 63) - 1 }
    }

    public mutating func removeAll() {
        for index in words.indices { words[index] = 0 }
    }

    public mutating func subtract(_ other: SlotBits) {
        for index in 0..<min(words.count, other.words.count) { words[index] &= ~other.words[index] }
    }

    public mutating func formUnion(_ other: SlotBits) {
        if other.words.count > words.count { grow(other.words.count - 1) }
        for index in other.words.indices { words[index] |= other.words[index] }
    }

    /// The slots that `body` wants.
    func filter(_ body: (Int) -> Bool) -> SlotBits {
        var kept = self
        forEach { if !body($0) { kept.remove($0) } }
        return kept
    }

    /// Calls `body` with each slot, in ascending order.
    @inlinable
    public func forEach(_ body: (Int) throws -> Void) rethrows {
        for (index, word) in words.enumerated() {
            var rest = word
            while rest != 0 {
                try body(index << 6 | rest.trailingZeroBitCount)
                rest &= rest &- 1
            }
        }
    }

    @usableFromInline @inline(never)
    mutating func grow(_ word: Int) {
        words.reserveCapacity(max(word + 1, words.count + words.count / 2))
        while words.count <= word { words.append(0) }
    }
}
