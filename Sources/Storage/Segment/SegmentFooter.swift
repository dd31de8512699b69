// SPDX-License-Identifier: Apache-2.0
//  What a segment says about itself at its end.

import ThalwegBase

/// The states of a segment, their statistics, and where their blocks lie.
public struct SegmentFooter: Hashable, Sendable {
    /// What a segment holds of one state.
    public struct Statistics: Hashable, Sendable {
        /// Tombstones included.
        public var entries: UInt64 = 0
        /// How many of the entries are tombstones, of either kind: none in what is not a layer over something else.
        public var tombstones: UInt64 = 0
        /// The bytes of all keys and values.
        public var plainBytes: UInt64 = 0
        /// The first and the last key; empty when there are no entries.
        public var firstKey: [UInt8] = []
        public var lastKey: [UInt8] = []
    }

    public internal(set) var states: [StateDescriptor]
    /// Of each state.
    public internal(set) var statistics: [Statistics]
    var blocks: BlockIndex

    /// The number of blocks.
    public var blockCount: Int { blocks.count }

    /// The entries of all states.
    public var entries: UInt64 { statistics.reduce(0) { $0 &+ $1.entries } }

    /// How many of them are tombstones.
    public var tombstones: UInt64 { statistics.reduce(0) { $0 &+ $1.tombstones } }

    /// The bytes of all keys and values.
    public var plainBytes: UInt64 { statistics.reduce(0) { $0 &+ $1.plainBytes } }

    /// The bytes of the file up to the footer.
    var dataBytes: UInt64 { blocks.last?.end ?? UInt64(SegmentFormat.headerBytes) }
}

// MARK: Bytes

extension SegmentFooter {
    /// The footer with the trailer that ends the file.
    func encoded() -> [UInt8] {
        var bytes: [UInt8] = []
        bytes.append(counted: JSONTree.array(states.map(\.tree)).bytes())
        for state in statistics {
            bytes.append(little: state.entries)
            bytes.append(little: state.tombstones)
            bytes.append(little: state.plainBytes)
            bytes.append(counted: state.firstKey)
            bytes.append(counted: state.lastKey)
        }
        bytes.append(little: UInt32(blocks.count))
        for (index, block) in blocks.enumerated() {
            bytes.append(little: block.state)
            bytes.append(little: block.storedBytes)
            bytes.append(little: block.filterBytes)
            bytes.append(little: block.plainBytes)
            bytes.append(little: block.entries)
            bytes.append(little: block.checksum)
            bytes.append(counted: blocks.firstKey(of: index))
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

    /// Reads what ``encoded()`` of version 2 wrote, without the trailer.
    ///
    /// - Throws: `JSONTree.Mismatch`, with the reason.
    init(version2 bytes: UnsafeRawBufferPointer) throws {
        var reader = FooterReader(bytes)
        guard case .array(let trees) = try JSONTree.parse(try reader.counted()) else {
            throw JSONTree.Mismatch(reason: "the table of states is no list")
        }
        states = try trees.map { try StateDescriptor($0) }
        statistics = try states.map { _ in
            Statistics(
                entries: try reader.take(UInt64.self), tombstones: try reader.take(UInt64.self),
                plainBytes: try reader.take(UInt64.self), firstKey: try reader.counted(), lastKey: try reader.counted())
        }
        let count = Int(try reader.take(UInt32.self))
        blocks = BlockIndex()
        var offset = UInt64(SegmentFormat.headerBytes)
        for _ in 0..<count {
            let state = try reader.take(UInt16.self)
            var block = BlockIndex.Block(
                storedBytes: try reader.take(UInt32.self), filterBytes: try reader.take(UInt32.self),
                plainBytes: try reader.take(UInt32.self), entries: try reader.take(UInt32.self), state: state,
                checksum: try reader.take(UInt64.self))
            block.offset = offset
            offset = block.end
            let firstKey = try reader.lent()
            try Self.check(block, firstKey, after: blocks, states: states.count)
            blocks.append(block, firstKey: firstKey)
        }
        guard reader.isAtEnd else { throw JSONTree.Mismatch(reason: "more follows the index of blocks") }
    }

    /// What readers rely on, whoever wrote the file.
    private static func check(
        _ block: BlockIndex.Block, _ firstKey: UnsafeRawBufferPointer, after blocks: BlockIndex, states: Int
    ) throws {
        let least = SegmentFormat.blockHeaderBytes + SegmentFormat.checksumBytes
        guard Int(block.state) < states, block.storedBytes >= least, block.entries > 0,
            block.plainBytes <= SegmentFormat.blockPlainBytesMax, firstKey.count <= SegmentFormat.keyBytesMax,
            block.filterBytes == 0 || block.filterBytes >= BlockFilter.laneBytes + SegmentFormat.checksumBytes
        else { throw JSONTree.Mismatch(reason: "the index has an impossible block") }
        guard let last = blocks.last else { return }
        let isBehind = blocks.withFirstKey(of: blocks.count - 1) { compare($0, firstKey) < 0 }
        guard last.state < block.state || last.state == block.state && isBehind else {
            throw JSONTree.Mismatch(reason: "the index of blocks is not in order")
        }
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

    mutating func counted() throws -> [UInt8] { Array(try lent()) }

    mutating func lent() throws -> UnsafeRawBufferPointer {
        let count = Int(try take(UInt32.self))
        guard bytes.count - position >= count else { throw JSONTree.Mismatch(reason: "the footer ends early") }
        defer { position += count }
        return UnsafeRawBufferPointer(rebasing: bytes[position..<position + count])
    }
}
