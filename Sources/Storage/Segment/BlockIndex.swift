// SPDX-License-Identifier: Apache-2.0
//  Where the blocks of a segment lie: some 50 bytes for each, in flat arrays.

import ThalwegBase

/// The blocks of a segment in order, with the first key of each.
struct BlockIndex: Hashable, Sendable, RandomAccessCollection {
    /// One block.
    struct Block: Hashable, Sendable {
        /// Where it begins in the file.
        var offset: UInt64 = 0
        /// Its bytes in the file, from its header to its checksum.
        var storedBytes: UInt32
        /// The bytes of its filter, behind it, with a checksum; 0: it has none.
        var filterBytes: UInt32
        var plainBytes: UInt32
        var entries: UInt32
        var state: UInt16
        var checksum: UInt64

        var end: UInt64 { offset + UInt64(storedBytes) + UInt64(filterBytes) }
    }

    private var blocks: ContiguousArray<Block> = []
    /// The first 8 bytes of the first keys as numbers that order as keys do: a search looks at nothing else until they
    /// are equal.
    private var prefixes: ContiguousArray<UInt64> = []
    /// The 8 bytes after those, in the same way: most keys are no longer.
    private var middles: ContiguousArray<UInt64> = []
    /// The first keys, one after another, and where each ends.
    private var keys: ContiguousArray<UInt8> = []
    private var keyEnds: ContiguousArray<UInt32> = []

    var startIndex: Int { 0 }
    var endIndex: Int { blocks.count }

    subscript(_ index: Int) -> Block { blocks[index] }

    /// - Precondition: the keys of all blocks have less than 4 GiB: a footer has 2 GiB at most.
    mutating func append(_ block: Block, firstKey: UnsafeRawBufferPointer) {
        blocks.append(block)
        prefixes.append(firstKey.orderedPrefix)
        middles.append(firstKey.orderedMiddle)
        keys.append(contentsOf: firstKey)
        keyEnds.append(UInt32(keys.count))
    }

    /// What a block takes in memory, when its first key is that of a small row.
    static let bytesPerBlock = MemoryLayout<Block>.stride + 32

    /// Gives back memory that was taken for blocks to come.
    mutating func trim() {
        blocks.trim()
        prefixes.trim()
        middles.trim()
        keys.trim()
        keyEnds.trim()
    }

    /// What it takes in memory.
    var memoryBytes: Int {
        blocks.capacity * MemoryLayout<Block>.stride + (prefixes.capacity + middles.capacity) * 8 + keys.capacity
            + keyEnds.capacity * 4
    }

    func firstKey(of index: Int) -> [UInt8] { withFirstKey(of: index) { Array($0) } }

    /// Lends the first key of a block.
    @inline(__always)
    func withFirstKey<Result>(of index: Int, _ body: (UnsafeRawBufferPointer) throws -> Result) rethrows -> Result {
        let start = index == 0 ? 0 : Int(keyEnds[index &- 1])
        let end = Int(keyEnds[index])
        return try keys.withUnsafeBytes { try body(UnsafeRawBufferPointer(rebasing: $0[start..<end])) }
    }

    /// The blocks of a state: they lie side by side.
    func range(of state: Int) -> Range<Int> {
        let start = blocks.firstIndex(in: 0..<count, fromWhere: { Int($0.state) >= state })
        return start..<blocks.firstIndex(in: start..<count, fromWhere: { Int($0.state) > state })
    }

    /// The first block of a range whose first key is not below `key`, or the end of the range.
    @inline(__always)
    func first(in range: Range<Int>, notBelow key: UnsafeRawBufferPointer) -> Int {
        let prefix = key.orderedPrefix
        let low = prefixes.firstIndex(in: range, fromWhere: { $0 >= prefix })
        if low == range.upperBound || prefixes[low] != prefix { return low }
        // Of some the first 8 bytes are the same, and of few 8 more.
        let after = key.orderedMiddle
        let same = low..<prefixes.firstIndex(in: low..<range.upperBound, fromWhere: { $0 > prefix })
        var start = middles.firstIndex(in: same, fromWhere: { $0 >= after })
        if start == same.upperBound || middles[start] != after { return start }
        var end = middles.firstIndex(in: start..<same.upperBound, fromWhere: { $0 > after })
        while start < end {
            let middle = start &+ (end &- start) / 2
            if withFirstKey(of: middle, { compare($0, key) < 0 }) { start = middle &+ 1 } else { end = middle }
        }
        return start
    }

    /// The block of a range in which a key lies, if the segment has it: the last that begins at or before it; else the
    /// first.
    @inline(__always)
    func block(in range: Range<Int>, for key: UnsafeRawBufferPointer) -> Int {
        let next = first(in: range, notBelow: key)
        let mayBegin = next < range.upperBound && prefixes[next] == key.orderedPrefix
        if mayBegin && withFirstKey(of: next, { compare($0, key) == 0 }) { return next }
        return Swift.max(range.lowerBound, next &- 1)
    }
}

extension ContiguousArray {
    fileprivate mutating func trim() {
        guard capacity > count else { return }
        var exact = ContiguousArray()
        exact.reserveCapacity(count)
        exact.append(contentsOf: self)
        self = exact
    }

    /// The first index of a range from which on `belongs` holds, given that it holds from there to its end: by halving.
    @inline(__always)
    fileprivate func firstIndex(in range: Range<Int>, fromWhere belongs: (Element) -> Bool) -> Int {
        withUnsafeBufferPointer { elements in
            var low = range.lowerBound
            var count = range.count
            while count > 0 {
                let half = count / 2
                let goesOn = !belongs(elements[low &+ half])
                low = goesOn ? low &+ half &+ 1 : low
                count = goesOn ? count &- half &- 1 : half
            }
            return low
        }
    }
}

extension UnsafeRawBufferPointer {
    /// The 8 bytes after the first 8, the first one highest, zeros where there are none.
    @inline(__always)
    var orderedMiddle: UInt64 { count <= 8 ? 0 : UnsafeRawBufferPointer(rebasing: self[8...]).orderedPrefix }

    /// The first 8 bytes, the first one highest, zeros where there are none.
    @inline(__always)
    var orderedPrefix: UInt64 {
        if count >= 8 { return UInt64(bigEndian: loadUnaligned(as: UInt64.self)) }
        var value: UInt64 = 0
        for byte in self { value = value << 8 | UInt64(byte) }
        return count == 0 ? 0 : value << (8 &* (8 &- UInt64(count)))
    }
}
