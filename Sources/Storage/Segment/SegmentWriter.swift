// SPDX-License-Identifier: Apache-2.0
//  Writes sorted entries as compressed, checksummed blocks: everything that rests.

import ThalwegBase

/// Writes one segment, entry by entry, in memory for one block and the index.
///
/// Calls, in this order: for each state that has entries, in ascending order, `begin(state:)` and then `add` for each
/// of its entries; at the end `finish()`. The output is neither synced nor closed here.
public final class SegmentWriter: EntryWriter {
    private let output: any FileOutput
    private let hasFilters: Bool
    /// Takes the rows of all states.
    private let rowFilter: RowFilter?
    @exclusivity(unchecked) private var stateRows = 0
    /// The most rows that a state has, of a segment with filters.
    private(set) var rowsMax = 0
    private let blockBytes: Int
    private let compressor: BlockCompressor
    private let isCancelled: () -> Bool
    private let fileChecksum = RunningChecksum()

    /// The entries of the block being filled.
    private let plain = GrowingBuffer(capacity: 80 << 10)
    @exclusivity(unchecked) private var plainBytes = 0
    @exclusivity(unchecked) private var blockEntries = 0
    private let stored = GrowingBuffer()
    /// What is not written yet: small blocks go to the disk together.
    private let pending = GrowingBuffer()
    private var pendingBytes = 0
    private static let pendingBytesMax = 64 << 10
    private let lastKey = GrowingBuffer()
    /// -1 before the first entry of a state.
    @exclusivity(unchecked) private var lastKeyBytes = -1
    /// How many bytes of the last key are its row.
    @exclusivity(unchecked) private var lastRowBytes = 0
    /// Of the block.
    private let firstKey = GrowingBuffer()
    @exclusivity(unchecked) private var firstKeyBytes = 0
    /// Of the block's rows, when it gets a filter.
    @exclusivity(unchecked) private var hashes: [UInt64] = []
    @exclusivity(unchecked) private var stateBytes = 0
    @exclusivity(unchecked) private var tombstones: UInt64 = 0

    private var state = -1
    private var footer: SegmentFooter
    private var isFinished = false
    /// The bytes of the file so far.
    public private(set) var byteCount: Int64 = 0

    /// - Parameters:
    ///   - states: the table of states; entries refer to them by index. States without entries may be listed.
    ///   - isCancelled: asked once a block; when it says so, the writer throws `CancellationError`.
    /// - Throws: a `ThalwegError` of kind `job` for options that cannot be.
    public convenience init(
        _ output: any FileOutput, states: [StateDescriptor], options: SegmentOptions = SegmentOptions(),
        isCancelled: @escaping () -> Bool = { false }
    ) throws(ThalwegError) {
        try self.init(output, states: states, options: options, noting: nil, isCancelled: isCancelled)
    }

    /// - Parameter rowFilter: takes the rows of all states, if the segment has filters.
    init(
        _ output: any FileOutput, states: [StateDescriptor], options: SegmentOptions, noting rowFilter: RowFilter?,
        isCancelled: @escaping () -> Bool
    ) throws(ThalwegError) {
        self.rowFilter = rowFilter
        guard states.count <= SegmentFormat.statesMax, (1...(16 << 20)).contains(options.blockBytes) else {
            throw ThalwegError(
                .job, "a segment cannot be written like that",
                detail: "\(states.count) states in blocks of \(options.blockBytes) bytes",
                hint: "at most \(SegmentFormat.statesMax) states, blocks of at most 16 MiB")
        }
        self.output = output
        self.isCancelled = isCancelled
        hasFilters = options.hasFilters
        blockBytes = options.blockBytes
        compressor = try BlockCompressor(level: options.compressionLevel)
        footer = SegmentFooter(
            states: states, statistics: states.map { _ in SegmentFooter.Statistics() }, blocks: BlockIndex())
    }

    // MARK: Entries

    /// From now on entries belong to this state of the table.
    public func begin(state next: Int) throws {
        guard next > state, next < footer.states.count, !isFinished else {
            throw ThalwegError(.bug, "states are not written in order", detail: "state \(next) after state \(state)")
        }
        try endState()
        state = next
    }

    public func add(
        _ kind: EntryKind, key: UnsafeRawBufferPointer, value: UnsafeRawBufferPointer, rowBytes: Int
    ) throws {
        if key.count > SegmentFormat.keyBytesMax || value.count > SegmentFormat.valueBytesMax {
            throw tooLarge(key.count, value.count)
        }
        var shared = 0
        if lastKeyBytes >= 0 {
            shared = sharedPrefix(lastKey.bytes(lastKeyBytes), key)
            let isAscending =
                shared < key.count
                && (shared == lastKeyBytes || lastKey.start.load(fromByteOffset: shared, as: UInt8.self) < key[shared])
            if !isAscending { throw disorder(key) }
        } else {
            try checkBegun()
        }
        // The first key of a block stands in full, so that a block can be read without the one before.
        let kept = blockEntries == 0 ? 0 : shared
        if blockEntries == 0 {
            firstKey.hold(key)
            firstKeyBytes = key.count
        }
        // The row of the entry before goes on as long as keys begin with it; else a row is a whole key. What is
        // otherwise is said.
        let isSameRow = kept >= lastRowBytes && blockEntries != 0
        let hasRow = rowBytes != (isSameRow ? lastRowBytes : key.count)
        if hasRow || kind != .put { try check(kind, key, value, rowBytes) }
        let rest = key.count &- kept
        plain.reserve(plainBytes &+ rest &+ value.count &+ SegmentFormat.entryLengthsBytesMax, keeping: plainBytes)
        var end = plain.start + plainBytes
        let (first, last) = (kept &<< 1 | (hasRow ? 1 : 0), value.count &<< 2 | Int(kind.rawValue))
        if first | rest | last < 0x80 {
            // Three bytes in one word; what is behind them is overwritten.
            let word = UInt32(truncatingIfNeeded: first | rest &<< 8 | last &<< 16)
            end.storeBytes(of: word.littleEndian, as: UInt32.self)
            end += 3
        } else {
            Self.put(first, at: &end)
            Self.put(rest, at: &end)
            Self.put(last, at: &end)
        }
        if hasRow { Self.put(rowBytes, at: &end) }
        if let base = key.baseAddress {
            RawCopy.copy(end, base + kept, rest)
            end += rest
            lastKey.reserve(key.count, keeping: max(0, lastKeyBytes))
            RawCopy.copy(lastKey.start + shared, base + shared, key.count &- shared)
        }
        if let base = value.baseAddress {
            RawCopy.copy(end, base, value.count)
            end += value.count
        }
        lastKeyBytes = key.count
        plainBytes = end - plain.start
        blockEntries &+= 1
        stateBytes &+= key.count &+ value.count
        if hasFilters && !(isSameRow && rowBytes == lastRowBytes) {
            let hash = UnsafeRawBufferPointer(rebasing: key[..<rowBytes]).checksum
            hashes.append(hash)
            stateRows &+= 1
            rowFilter?.insert(hash)
        }
        lastRowBytes = rowBytes
        if plainBytes >= blockBytes { try endBlock() }
    }

    @inline(__always)
    private static func put(_ value: Int, at end: inout UnsafeMutableRawPointer) {
        var rest = UInt(bitPattern: value)
        while rest >= 0x80 {
            end.storeBytes(of: UInt8(truncatingIfNeeded: rest) | 0x80, as: UInt8.self)
            end += 1
            rest >>= 7
        }
        end.storeBytes(of: UInt8(truncatingIfNeeded: rest), as: UInt8.self)
        end += 1
    }

    // MARK: Blocks

    private func endState() throws {
        try endBlock()
        rowsMax = max(rowsMax, stateRows)
        stateRows = 0
        guard lastKeyBytes >= 0 else {
            stateBytes = 0
            tombstones = 0
            return
        }
        footer.statistics[state].plainBytes = UInt64(max(0, stateBytes))
        footer.statistics[state].tombstones = tombstones
        footer.statistics[state].lastKey = Array(lastKey.bytes(lastKeyBytes))
        stateBytes = 0
        tombstones = 0
        lastKeyBytes = -1
    }

    private func endBlock() throws {
        guard blockEntries > 0 else { return }
        if isCancelled() { throw CancellationError() }
        let header = SegmentFormat.blockHeaderBytes
        stored.reserve(header + BlockCompressor.bound(plainBytes) + SegmentFormat.checksumBytes)
        let room = UnsafeMutableRawBufferPointer(start: stored.start + header, count: stored.capacity - header)
        var compression = BlockCompression.zstd
        var payload = compressor.compress(plain.bytes(plainBytes), into: room) ?? 0
        if payload == 0 {
            compression = .plain
            payload = plainBytes
            room.copyMemory(from: plain.bytes(plainBytes))
        }
        store(UInt32(payload), at: 0)
        store(UInt32(plainBytes), at: 4)
        store(UInt32(blockEntries), at: 8)
        store(UInt16(state), at: 12)
        store(compression.rawValue, at: 14)
        let checksum = stored.bytes(header + payload).checksum
        store(checksum, at: header + payload)
        let filter = hasFilters ? BlockFilter.make(hashes) : []
        let storedBytes = header + payload + SegmentFormat.checksumBytes
        footer.blocks.append(
            BlockIndex.Block(
                offset: footer.dataBytes, storedBytes: UInt32(storedBytes),
                filterBytes: filter.isEmpty ? 0 : UInt32(filter.count + SegmentFormat.checksumBytes),
                plainBytes: UInt32(plainBytes), entries: UInt32(blockEntries), state: UInt16(state),
                checksum: checksum), firstKey: firstKey.bytes(firstKeyBytes))
        if footer.statistics[state].entries == 0 {
            footer.statistics[state].firstKey = Array(firstKey.bytes(firstKeyBytes))
        }
        footer.statistics[state].entries += UInt64(blockEntries)
        try write(stored.bytes(storedBytes))
        if !filter.isEmpty {
            var bytes = filter
            bytes.append(little: filter.withUnsafeBytes(\.checksum))
            try write(bytes)
        }
        hashes.removeAll(keepingCapacity: true)
        plainBytes = 0
        blockEntries = 0
    }

    // MARK: Blocks of another segment

    /// From now on blocks and entries come from a state of another segment that stands at the same place of its table.
    func beginCopy(of state: Int, _ statistics: SegmentFooter.Statistics) throws {
        try begin(state: state)
        stateBytes = Int(clamping: statistics.plainBytes)
        tombstones = statistics.tombstones
    }

    /// Takes over a block as it is.
    ///
    /// - Parameters:
    ///   - stored: its bytes, with checksum.
    ///   - filter: the bytes of its filter, with checksum; empty when it has none.
    ///   - last: the last key of the block, or any key of it that the next block comes after.
    func adopt(
        _ block: BlockIndex.Block, firstKey: [UInt8], stored: [UInt8], filter: [UInt8], last: [UInt8]
    ) throws {
        try endBlock()
        var adopted = block
        adopted.offset = footer.dataBytes
        firstKey.withUnsafeBytes { footer.blocks.append(adopted, firstKey: $0) }
        if footer.statistics[state].entries == 0 { footer.statistics[state].firstKey = firstKey }
        footer.statistics[state].entries += UInt64(block.entries)
        try write(stored)
        if !filter.isEmpty { try write(filter) }
        last.withUnsafeBytes { lastKey.hold($0) }
        lastKeyBytes = last.count
    }

    private func store<Value: FixedWidthInteger & BitwiseCopyable>(_ value: Value, at offset: Int) {
        stored.start.storeBytes(of: value.littleEndian, toByteOffset: offset, as: Value.self)
    }

    // MARK: The file

    /// Ends the segment.
    ///
    /// - Returns: what the footer says, and the XXH3 of the whole file.
    public func finish() throws -> (footer: SegmentFooter, checksum: UInt64) {
        guard !isFinished else { throw ThalwegError(.bug, "a segment is finished twice") }
        try endState()
        isFinished = true
        footer.blocks.trim()
        try write(footer.encoded())
        try writePending()
        return (footer, fileChecksum.value)
    }

    /// Ends the segment, unless it has no entries: then nothing is written, and the result is nil.
    func finishUnlessEmpty() throws -> (footer: SegmentFooter, checksum: UInt64)? {
        try endState()
        return footer.blocks.isEmpty ? nil : try finish()
    }

    private func write(_ bytes: [UInt8]) throws { try bytes.withUnsafeBytes { try write($0) } }

    private func write(_ bytes: UnsafeRawBufferPointer) throws {
        if byteCount == 0 {
            try SegmentFormat.header(version: SegmentFormat.version).withUnsafeBytes { try append($0) }
        }
        try append(bytes)
    }

    private func append(_ bytes: UnsafeRawBufferPointer) throws {
        fileChecksum.update(bytes)
        byteCount += Int64(bytes.count)
        if pendingBytes + bytes.count > Self.pendingBytesMax { try writePending() }
        guard bytes.count < Self.pendingBytesMax else { return try output.write(bytes) }
        pending.reserve(pendingBytes + bytes.count, keeping: pendingBytes)
        if let base = bytes.baseAddress {
            (pending.start + pendingBytes).copyMemory(from: base, byteCount: bytes.count)
        }
        pendingBytes += bytes.count
    }

    private func writePending() throws {
        guard pendingBytes > 0 else { return }
        try output.write(pending.bytes(pendingBytes))
        pendingBytes = 0
    }

    // MARK: Refusals

    private func checkBegun() throws {
        guard state >= 0, !isFinished else { throw ThalwegError(.bug, "an entry is written outside a state") }
    }

    private func check(
        _ kind: EntryKind, _ key: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer, _ rowBytes: Int
    ) throws {
        guard (0...key.count).contains(rowBytes), kind == .put || value.isEmpty,
            kind != .rowTombstone || rowBytes == key.count
        else {
            throw ThalwegError(
                .bug, "an entry cannot be written like that",
                detail: "\(stateName): \(kind) of \(value.count) bytes, key \(Self.hex(key)), row of \(rowBytes) bytes")
        }
        if kind != .put { tombstones += 1 }
    }

    private var stateName: String {
        guard footer.states.indices.contains(state) else { return "no state" }
        return "state '\(footer.states[state].name)' of '\(footer.states[state].operatorName)'"
    }

    private func disorder(_ key: UnsafeRawBufferPointer) -> ThalwegError {
        ThalwegError(
            .bug, "entries are not written in ascending order of their keys",
            detail: "\(stateName): key \(Self.hex(key)) after \(Self.hex(lastKey.bytes(lastKeyBytes)))")
    }

    private func tooLarge(_ keyBytes: Int, _ valueBytes: Int) -> ThalwegError {
        ThalwegError(
            .job, "an entry of a state is too large to be stored",
            detail: "\(stateName): key of \(keyBytes) bytes, value of \(valueBytes) bytes",
            hint: "keys may have \(SegmentFormat.keyBytesMax) bytes, values \(SegmentFormat.valueBytesMax); "
                + "store large collections as list or map state")
    }

    private static func hex(_ key: UnsafeRawBufferPointer) -> String {
        let digits = key.prefix(32).map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
        return "0x" + digits + (key.count > 32 ? "…" : "")
    }
}
