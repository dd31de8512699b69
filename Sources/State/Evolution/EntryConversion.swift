// SPDX-License-Identifier: Apache-2.0
//  Turns stored entries into those that a later form of a state would have stored.

import ThalwegBase
import ThalwegData
import ThalwegStorage

/// From the entries of a state as stored to the entries of the same state as it is declared now: keys, user keys and
/// values in their new encodings, in the key group that the new key belongs to.
///
/// Made once for a stored description, called for each entry, from any thread, as long after the restore as entries of
/// that description lie anywhere.
public struct EntryConversion: Sendable {
    /// The state as it was stored.
    public let stored: StateDescriptor
    /// The state as its converted entries have it: of the stored kind and properties, with the declared schemas.
    public let converted: StateDescriptor
    let key: SchemaConversion?
    let userKey: SchemaConversion?
    let value: SchemaConversion?
    private let maxParallelism: Int
    private let hasStamps: Bool

    init(
        stored: StateDescriptor, converted: StateDescriptor, key: SchemaConversion?, userKey: SchemaConversion?,
        value: SchemaConversion?, maxParallelism: Int
    ) {
        self.stored = stored
        self.converted = converted
        self.key = key
        self.userKey = userKey
        self.value = value
        self.maxParallelism = maxParallelism
        hasStamps = stored.hasStamps
    }

    /// Whether keys may belong to other key groups than they lie in.
    public var movesKeys: Bool { key != nil }

    /// Whether stored bytes can be read as they are.
    public var keepsBytes: Bool { key == nil && userKey == nil && value == nil }

    /// Whether two entries may become one.
    public var mayMerge: Bool { key?.mayMerge == true || userKey?.mayMerge == true }

    /// Converts one entry into the buffers. A tombstone has no value, one of a row no user key.
    ///
    /// - Returns: the key group of the converted entry; nil when the state is not keyed.
    /// - Throws: kind `corrupt` for damaged bytes, kind `job` when a function of the user's fails.
    @discardableResult
    public func convert(
        _ kind: EntryKind = .put, key keyBytes: UnsafeRawBufferPointer, value valueBytes: UnsafeRawBufferPointer,
        into entry: inout ConvertedEntry
    ) throws(ThalwegError) -> Int? {
        entry.key.removeAll()
        entry.value.removeAll()
        let group = try convertKey(keyBytes, kind == .rowTombstone, into: &entry.key)
        if kind == .put { try convertValue(valueBytes, into: &entry.value) }
        return group
    }

    // MARK: Keys

    private func convertKey(
        _ bytes: UnsafeRawBufferPointer, _ isRow: Bool, into writer: inout ByteWriter
    ) throws(ThalwegError) -> Int? {
        var reader = ByteReader(bytes)
        switch stored.kind {
        case .value, .list, .map, .pane, .timers, .buffer:
            var group = Int(try reader.read(UInt16.self).byteSwapped)
            var whole = ByteWriter(capacity: 64)
            if let key {
                let moved = try key.convertKey(&reader, into: &whole)
                group = KeyGroup.of(hash: try key.hash(moved), maxParallelism: maxParallelism)
            } else if userKey != nil, let schema = stored.key {
                // The user key can only be found behind the key.
                let start = reader.position
                _ = try DynamicCodec(schema).decodeKey(&reader)
                whole.append(UnsafeRawBufferPointer(rebasing: bytes[start..<reader.position]))
            }
            if let userKey, !isRow { try userKey.convertKey(&reader, into: &whole) }
            writer.append(UInt16(truncatingIfNeeded: group).bigEndian)
            whole.withBytes { writer.append($0) }
            writer.append(try reader.read(count: reader.remaining))
            return group
        case .broadcast:
            if let userKey { try userKey.convertKey(&reader, into: &writer) }
            writer.append(try reader.read(count: reader.remaining))
            return nil
        case .keyedList, .split, .union, .inFlight:
            writer.append(bytes)
            return stored.kind == .keyedList ? Int(try reader.read(UInt16.self).byteSwapped) : nil
        }
    }

    // MARK: Values

    private func convertValue(
        _ bytes: UnsafeRawBufferPointer, into writer: inout ByteWriter
    ) throws(ThalwegError) {
        guard let value else {
            writer.append(bytes)
            return
        }
        var reader = ByteReader(bytes)
        var count = 1
        switch stored.kind {
        case .value, .map:
            if hasStamps { writer.append(try reader.read(Int64.self)) }
        case .list:
            count = try Self.count(&reader)
            writer.appendVarint(UInt64(count))
            if hasStamps { for _ in 0..<count { writer.append(try reader.read(Int64.self)) } }
        case .inFlight:
            count = try Self.count(&reader)
            writer.appendVarint(UInt64(count))
            let isTimed = try reader.read(UInt8.self)
            writer.append(isTimed)
            if isTimed == 1 { for _ in 0..<count { writer.append(try reader.read(Int64.self)) } }
        case .pane, .buffer, .split, .union, .broadcast, .keyedList, .timers: break
        }
        for _ in 0..<count { try value.convert(&reader, into: &writer) }
        guard reader.remaining == 0 else {
            throw ThalwegError(
                .corrupt, "damaged record bytes", detail: "bytes follow the value of state \"\(stored.name)\"")
        }
    }
}

extension EntryConversion {
    /// The most values of an entry whose encodings may be empty.
    private static var emptyValuesMax: Int { 1 << 20 }

    /// A number of values, which is the file's word.
    private static func count(_ reader: inout ByteReader) throws(ThalwegError) -> Int {
        let count = Int(clamping: try reader.readVarint())
        guard count <= max(reader.remaining, emptyValuesMax) else {
            throw ThalwegError(.corrupt, "damaged record bytes", detail: "an entry claims to hold \(count) values")
        }
        return count
    }
}

/// Room for one converted entry, to be used again for the next.
public struct ConvertedEntry: ~Copyable {
    public var key = ByteWriter(capacity: 128)
    public var value = ByteWriter(capacity: 256)

    public init() {}
}
