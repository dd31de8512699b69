// SPDX-License-Identifier: Apache-2.0
//  What a segment says about itself at its end.

import ThalwegBase

/// The states of a segment, their statistics, and where their blocks lie.
public struct SegmentFooter: Hashable, Sendable {
    /// What a segment holds of one state.
    public struct Statistics: Hashable, Sendable {
        public var entries: UInt64 = 0
        /// The bytes of all keys and values.
        public var plainBytes: UInt64 = 0
        /// The first and the last key; empty when there are no entries.
        public var firstKey: [UInt8] = []
        public var lastKey: [UInt8] = []
    }

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
        var firstKey: [UInt8]

        var end: UInt64 { offset + UInt64(storedBytes) + UInt64(filterBytes) }
    }

    public internal(set) var states: [StateDescriptor]
    /// Of each state.
    public internal(set) var statistics: [Statistics]
    var blocks: [Block]

    /// The number of blocks.
    public var blockCount: Int { blocks.count }

    /// The entries of all states.
    public var entries: UInt64 { statistics.reduce(0) { $0 &+ $1.entries } }

    /// The bytes of all keys and values.
    public var plainBytes: UInt64 { statistics.reduce(0) { $0 &+ $1.plainBytes } }

    /// The bytes of the file up to the footer.
    var dataBytes: UInt64 { blocks.last?.end ?? UInt64(SegmentFormat.headerBytes) }

    /// The blocks of a state: they lie side by side.
    func blocks(of state: Int) -> Range<Int> {
        let start = blocks[...].firstIndex(fromWhere: { Int($0.state) >= state })
        return start..<blocks[...].firstIndex(fromWhere: { Int($0.state) > state })
    }

    /// The block in which a key lies, if the segment has it: the last of the state that begins at or before it; else
    /// the first.
    func block(of state: Int, for key: [UInt8]) -> Int {
        let range = blocks(of: state)
        return max(range.lowerBound, blocks[range].firstIndex(fromWhere: { compare(key, $0.firstKey) < 0 }) - 1)
    }
}

extension ArraySlice {
    /// The first index from which on `belongs` holds, given that it holds from there to the end: by halving.
    func firstIndex(fromWhere belongs: (Element) -> Bool) -> Int {
        var low = startIndex
        var high = endIndex
        while low < high {
            let middle = low + (high - low) / 2
            if belongs(self[middle]) { high = middle } else { low = middle + 1 }
        }
        return low
    }
}

// MARK: Bytes

extension SegmentFooter {
    /// The footer with the trailer that ends the file.
    func encoded() -> [UInt8] {
        var bytes: [UInt8] = []
        bytes.append(counted: JSONTree.array(states.map(\.tree)).bytes())
        for state in statistics {
            bytes.append(little: state.entries)
            bytes.append(little: state.plainBytes)
            bytes.append(counted: state.firstKey)
            bytes.append(counted: state.lastKey)
        }
        bytes.append(little: UInt32(blocks.count))
        for block in blocks {
            bytes.append(little: block.state)
            bytes.append(little: block.storedBytes)
            bytes.append(little: block.filterBytes)
            bytes.append(little: block.plainBytes)
            bytes.append(little: block.entries)
            bytes.append(little: block.checksum)
            bytes.append(counted: block.firstKey)
        }
        let count = UInt64(bytes.count)
        bytes.append(little: dataBytes)
        bytes.append(little: count)
        bytes.append(little: SegmentFormat.version)
        bytes.append(little: UInt32(0))
        bytes.append(little: bytes.withUnsafeBytes(\.checksum))
        bytes.append(contentsOf: SegmentFormat.magic)
        return bytes
    }

    /// Reads what ``encoded()`` wrote, without the trailer.
    ///
    /// - Throws: `JSONTree.Mismatch`, with the reason.
    init(_ bytes: UnsafeRawBufferPointer) throws {
        var reader = FooterReader(bytes)
        guard case .array(let trees) = try JSONTree.parse(try reader.counted()) else {
            throw JSONTree.Mismatch(reason: "the table of states is no list")
        }
        states = try trees.map { try StateDescriptor($0) }
        statistics = try states.map { _ in
            Statistics(
                entries: try reader.take(UInt64.self), plainBytes: try reader.take(UInt64.self),
                firstKey: try reader.counted(), lastKey: try reader.counted())
        }
        let count = Int(try reader.take(UInt32.self))
        blocks = []
        var offset = UInt64(SegmentFormat.headerBytes)
        for _ in 0..<count {
            let state = try reader.take(UInt16.self)
            var block = Block(
                storedBytes: try reader.take(UInt32.self), filterBytes: try reader.take(UInt32.self),
                plainBytes: try reader.take(UInt32.self), entries: try reader.take(UInt32.self), state: state,
                checksum: try reader.take(UInt64.self), firstKey: try reader.counted())
            block.offset = offset
            offset = block.end
            try Self.check(block, after: blocks.last, states: states.count)
            blocks.append(block)
        }
        guard reader.isAtEnd else { throw JSONTree.Mismatch(reason: "more follows the index of blocks") }
    }

    /// What readers rely on, whoever wrote the file.
    private static func check(_ block: Block, after last: Block?, states: Int) throws {
        let least = SegmentFormat.blockHeaderBytes + SegmentFormat.checksumBytes
        guard Int(block.state) < states, block.storedBytes >= least, block.entries > 0,
            block.plainBytes <= SegmentFormat.blockPlainBytesMax, block.firstKey.count <= SegmentFormat.keyBytesMax,
            block.filterBytes == 0 || block.filterBytes >= BlockFilter.laneBytes + SegmentFormat.checksumBytes
        else { throw JSONTree.Mismatch(reason: "the index has an impossible block") }
        guard let last else { return }
        guard last.state < block.state || last.state == block.state && compare(last.firstKey, block.firstKey) < 0
        else { throw JSONTree.Mismatch(reason: "the index of blocks is not in order") }
    }
}

/// Takes numbers and counted bytes, never beyond the end.
private struct FooterReader {
    private let bytes: UnsafeRawBufferPointer
    private var position = 0

    init(_ bytes: UnsafeRawBufferPointer) { self.bytes = bytes }

    var isAtEnd: Bool { position == bytes.count }

    mutating func take<Value: FixedWidthInteger & BitwiseCopyable>(_ type: Value.Type) throws -> Value {
        guard bytes.count - position >= MemoryLayout<Value>.size else {
            throw JSONTree.Mismatch(reason: "the footer ends early")
        }
        defer { position += MemoryLayout<Value>.size }
        return bytes.little(at: position, as: type)
    }

    mutating func counted() throws -> [UInt8] {
        let count = Int(try take(UInt32.self))
        guard bytes.count - position >= count else { throw JSONTree.Mismatch(reason: "the footer ends early") }
        defer { position += count }
        return Array(bytes[position..<position + count])
    }
}
