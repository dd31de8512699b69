// SPDX-License-Identifier: Apache-2.0
//  Reads segments, and believes nothing that a checksum does not cover.

import ThalwegBase

/// One segment, open for reading. Memory: the footer, and a block for each cursor.
///
/// Every damage is a `ThalwegError` of kind `corrupt` that names the file, the place and the reason; no damage gives
/// other data than what was written. Used by one thread at a time.
public final class SegmentReader {
    public let footer: SegmentFooter
    private let source: any ByteSource
    private lazy var decompressor = BlockDecompressor()
    private var filters: [Int: [UInt8]] = [:]
    /// The bytes read from the file so far.
    public private(set) var bytesRead: Int64 = 0

    /// - Parameter byteCount: the size of the file.
    public init(_ source: any ByteSource, byteCount: Int64) throws(ThalwegError) {
        self.source = source
        let loaded = try Self.readFooter(source, byteCount: byteCount)
        footer = loaded.footer
        bytesRead = loaded.bytesRead
    }

    /// Opens a segment whose footer was read before.
    public init(_ source: any ByteSource, footer: SegmentFooter) {
        self.source = source
        self.footer = footer
    }

    public var name: String { source.name }

    // MARK: Looking

    /// The entries of a state in ascending order of their keys, from the first key not before `from` to the last one
    /// before `to`.
    ///
    /// - Parameter isLayer: whether the segment is a layer over older ones, so that tombstones are wanted too; else
    ///   they are damage.
    public func cursor(
        state: Int, from: [UInt8]? = nil, to: [UInt8]? = nil, isLayer: Bool = false
    ) -> SegmentCursor {
        SegmentCursor(self, state: state, from: from, to: to, isLayer: isLayer)
    }

    /// The value of a key, or nil, also when it has a tombstone; reads at most one block, and none when the filter
    /// knows better.
    ///
    /// - Parameter rowBytes: how many of the key's bytes are its row, where that is known: filters are of rows.
    public func value(of state: Int, key: [UInt8], rowBytes: Int? = nil) throws -> [UInt8]? {
        let range = footer.blocks.range(of: state)
        guard !range.isEmpty else { return nil }
        let index = key.withUnsafeBytes { footer.blocks.block(in: range, for: $0) }
        if let rowBytes, let filter = try filter(of: index) {
            let hash = key.withUnsafeBytes { UnsafeRawBufferPointer(rebasing: $0[..<rowBytes]).checksum }
            guard filter.withUnsafeBytes({ BlockFilter.mightContain(hash, in: $0) }) else { return nil }
        }
        let cursor = cursor(state: state, from: key, isLayer: true)
        guard try cursor.next(), compare(Array(cursor.key), key) == 0, cursor.kind == .put else { return nil }
        return Array(cursor.value)
    }

    /// Reads everything and compares it with what the footer says.
    public func verify() throws {
        for (state, expected) in footer.statistics.enumerated() {
            var found = SegmentFooter.Statistics()
            let cursor = cursor(state: state, isLayer: true)
            while try cursor.next() {
                let key = Array(cursor.key)
                if found.entries == 0 {
                    found.firstKey = key
                } else if compare(found.lastKey, key) >= 0 {
                    throw damage("state \(state)", "its keys are not in order")
                }
                found.entries += 1
                if cursor.kind != .put { found.tombstones += 1 }
                found.plainBytes += UInt64(key.count + cursor.value.count)
                found.lastKey = key
            }
            guard found == expected else { throw damage("state \(state)", "it is not what the footer says") }
        }
        for index in footer.blocks.indices { _ = try filter(of: index) }
    }

    // MARK: Blocks

    /// The bytes of memory that loading a block takes.
    func loadBytes(of index: Int, withFilter: Bool = false) -> Int {
        let block = footer.blocks[index]
        return max(Int(block.storedBytes) + (withFilter ? Int(block.filterBytes) : 0), Int(block.plainBytes))
    }

    /// Reads a block, and gives the place of its plain bytes in `memory`: one that is stored plain stays where it was
    /// read.
    ///
    /// - Parameters:
    ///   - filter: takes the bytes of the block's filter, which is read with it; nil: it is not wanted.
    ///   - memory: of ``loadBytes(of:withFilter:)`` bytes.
    ///   - stored: takes the bytes of a block that is compressed.
    func load(
        block index: Int, withFilter filter: UnsafeMutableRawPointer? = nil,
        into memory: UnsafeMutableRawBufferPointer, through stored: GrowingBuffer
    ) throws -> Range<Int> {
        let block = footer.blocks[index]
        let blockBytes = Int(block.storedBytes)
        let count = blockBytes + (filter == nil ? 0 : Int(block.filterBytes))
        let header = SegmentFormat.blockHeaderBytes
        let payload = blockBytes - header - SegmentFormat.checksumBytes
        let seemsPlain = payload == Int(block.plainBytes)
        if !seemsPlain { stored.reserve(count) }
        let target = seemsPlain ? UnsafeMutableRawBufferPointer(rebasing: memory[..<count]) : stored.room(count)
        try read(at: block.offset, into: target, place: "block \(index)")
        if let filter { try take(filter: index, from: UnsafeRawBufferPointer(rebasing: target[blockBytes...]), filter) }
        let bytes = UnsafeRawBufferPointer(rebasing: target[..<blockBytes])
        let checksum = UnsafeRawBufferPointer(rebasing: bytes[..<(header + payload)]).checksum
        guard checksum == block.checksum, checksum == bytes.little(at: header + payload, as: UInt64.self) else {
            throw damage("block \(index) at byte \(block.offset)", "its checksum differs")
        }
        let plainBytes = Int(block.plainBytes)
        guard bytes.little(at: 0, as: UInt32.self) == payload, bytes.little(at: 4, as: UInt32.self) == plainBytes,
            bytes.little(at: 8, as: UInt32.self) == block.entries, bytes.little(at: 12, as: UInt16.self) == block.state,
            let compression = BlockCompression(rawValue: bytes.little(at: 14, as: UInt16.self))
        else { throw damage("block \(index) at byte \(block.offset)", "its header is not what the index says") }
        if compression == .plain && seemsPlain { return header..<header + payload }
        var input = UnsafeRawBufferPointer(rebasing: bytes[header..<header + payload])
        if seemsPlain {
            stored.hold(input)
            input = stored.bytes(payload)
        }
        let plain = UnsafeMutableRawBufferPointer(rebasing: memory[..<plainBytes])
        guard compression == .zstd, decompressor.decompress(input, into: plain) else {
            throw damage("block \(index) at byte \(block.offset)", "it cannot be decompressed")
        }
        return 0..<plainBytes
    }

    /// Copies a filter without its checksum.
    private func take(filter index: Int, from bytes: UnsafeRawBufferPointer, _ filter: UnsafeMutableRawPointer) throws {
        let count = bytes.count - SegmentFormat.checksumBytes
        let plain = UnsafeRawBufferPointer(rebasing: bytes[..<count])
        guard plain.checksum == bytes.little(at: count, as: UInt64.self), count % BlockFilter.laneBytes == 0,
            let start = plain.baseAddress
        else { throw damage("filter of block \(index)", "its checksum differs") }
        filter.copyMemory(from: start, byteCount: count)
    }

    /// A block and its filter as they stand in the file, their checksums compared.
    func storedBytes(of index: Int) throws -> (block: [UInt8], filter: [UInt8]) {
        let block = footer.blocks[index]
        var stored = [UInt8](repeating: 0, count: Int(block.storedBytes))
        try stored.withUnsafeMutableBytes { try read(at: block.offset, into: $0, place: "block \(index)") }
        let count = stored.count - SegmentFormat.checksumBytes
        let isWhole = stored.withUnsafeBytes {
            let checksum = UnsafeRawBufferPointer(rebasing: $0[..<count]).checksum
            return checksum == block.checksum && checksum == $0.little(at: count, as: UInt64.self)
        }
        guard isWhole else { throw damage("block \(index) at byte \(block.offset)", "its checksum differs") }
        guard try self.filter(of: index) != nil else { return (stored, []) }
        var filter = [UInt8](repeating: 0, count: Int(block.filterBytes))
        let offset = block.offset + UInt64(block.storedBytes)
        try filter.withUnsafeMutableBytes { try read(at: offset, into: $0, place: "filter \(index)") }
        return (stored, filter)
    }

    private func filter(of index: Int) throws -> [UInt8]? {
        let block = footer.blocks[index]
        guard block.filterBytes > 0 else { return nil }
        if let filter = filters[index] { return filter }
        var bytes = [UInt8](repeating: 0, count: Int(block.filterBytes))
        let offset = block.offset + UInt64(block.storedBytes)
        try bytes.withUnsafeMutableBytes { try read(at: offset, into: $0, place: "filter \(index)") }
        let count = bytes.count - SegmentFormat.checksumBytes
        let isWhole = bytes.withUnsafeBytes {
            UnsafeRawBufferPointer(rebasing: $0[..<count]).checksum == $0.little(at: count, as: UInt64.self)
        }
        guard isWhole, count % BlockFilter.laneBytes == 0 else {
            throw damage("filter \(index) at byte \(offset)", "its checksum differs")
        }
        bytes.removeLast(SegmentFormat.checksumBytes)
        filters[index] = bytes
        return bytes
    }

    private func read(
        at offset: UInt64, into buffer: UnsafeMutableRawBufferPointer, place: String
    ) throws(ThalwegError) {
        try Self.read(source, at: offset, into: buffer, place: place)
        bytesRead += Int64(buffer.count)
    }

    // MARK: The footer

    private static func readFooter(
        _ source: any ByteSource, byteCount: Int64
    ) throws(ThalwegError) -> (footer: SegmentFooter, bytesRead: Int64) {
        let edges = SegmentFormat.headerBytes + SegmentFormat.trailerBytes
        guard byteCount >= Int64(edges) else {
            throw damage(source.name, "the file", "it has \(byteCount) bytes, too few for a segment")
        }
        var header = [UInt8](repeating: 0, count: SegmentFormat.headerBytes)
        try read(source, at: 0, into: &header, place: "the header")
        var trailer = [UInt8](repeating: 0, count: SegmentFormat.trailerBytes)
        let trailerOffset = UInt64(byteCount) - UInt64(trailer.count)
        try read(source, at: trailerOffset, into: &trailer, place: "the trailer")
        let numbers = trailer.withUnsafeBytes {
            (
                offset: $0.little(at: 0, as: UInt64.self), count: $0.little(at: 8, as: UInt64.self),
                version: $0.little(at: 16, as: UInt32.self), zero: $0.little(at: 20, as: UInt32.self),
                checksum: $0.little(at: 24, as: UInt64.self)
            )
        }
        guard Array(trailer.suffix(8)) == SegmentFormat.magic, header.starts(with: SegmentFormat.magic) else {
            throw damage(source.name, "the header or the trailer", "it is not that of a segment, or it is cut off")
        }
        guard numbers.count <= SegmentFormat.footerBytesMax, numbers.count <= UInt64(byteCount) - UInt64(edges),
            numbers.offset == trailerOffset - numbers.count
        else { throw damage(source.name, "the trailer", "its numbers do not fit the file") }
        var bytes = [UInt8](repeating: 0, count: Int(numbers.count))
        try read(source, at: numbers.offset, into: &bytes, place: "the footer")
        let checksum = (bytes + trailer.prefix(24)).withUnsafeBytes(\.checksum)
        guard checksum == numbers.checksum else { throw damage(source.name, "the footer", "its checksum differs") }
        guard numbers.zero == 0 else { throw damage(source.name, "the trailer", "its unused bytes are used") }
        guard header == SegmentFormat.header(version: numbers.version) else {
            throw damage(source.name, "the header", "its version differs")
        }
        let parse: (UnsafeRawBufferPointer) throws -> SegmentFooter
        switch numbers.version {
        case 2: parse = { try SegmentFooter(version2: $0) }
        default:
            throw ThalwegError(
                .input, "a segment of another version",
                detail: "\(source.name): version \(numbers.version), this release reads \(SegmentFormat.version)",
                hint: "read it with the release that wrote it")
        }
        do {
            let footer = try bytes.withUnsafeBytes(parse)
            guard footer.dataBytes == numbers.offset else {
                throw JSONTree.Mismatch(reason: "its blocks do not fill the file")
            }
            return (footer, Int64(edges) + Int64(bytes.count))
        } catch {
            throw damage(source.name, "the footer", (error as? JSONTree.Mismatch)?.reason ?? "\(error)")
        }
    }

    private static func read(
        _ source: any ByteSource, at offset: UInt64, into bytes: inout [UInt8], place: String
    ) throws(ThalwegError) {
        do {
            try bytes.withUnsafeMutableBytes { try read(source, at: offset, into: $0, place: place) }
        } catch let error as ThalwegError {
            throw error
        } catch {
            throw ThalwegError(.bug, "a read failed in an unknown way", cause: error)
        }
    }

    private static func read(
        _ source: any ByteSource, at offset: UInt64, into buffer: UnsafeMutableRawBufferPointer, place: String
    ) throws(ThalwegError) {
        var done = 0
        while done < buffer.count {
            let rest = UnsafeMutableRawBufferPointer(rebasing: buffer[done...])
            let count = try source.read(at: offset + UInt64(done), into: rest)
            guard count > 0 else { throw damage(source.name, place, "the file ends before it") }
            done += count
        }
    }

    // MARK: Damage

    func damage(_ place: String, _ reason: String) -> ThalwegError { Self.damage(name, place, reason) }

    private static func damage(_ name: String, _ place: String, _ reason: String) -> ThalwegError {
        ThalwegError(
            .corrupt, "a segment is damaged", detail: "file \(name), \(place): \(reason)",
            hint: "bring the file back from a copy, or start from another snapshot")
    }
}
