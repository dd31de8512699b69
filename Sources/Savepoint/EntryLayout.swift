// SPDX-License-Identifier: Apache-2.0
//  What the bytes of a state's entries mean, by its kind and its schemas.

import ThalwegBase
import ThalwegData
import ThalwegStorage

/// How the entries of one state are read and written without the program that made them.
struct EntryLayout: Sendable {
    /// A part of the key.
    struct Part: Sendable {
        let name: String
        let codec: DynamicCodec

        init(_ name: String, _ schema: RecordSchema) {
            self.name = name
            codec = DynamicCodec(schema)
        }

        init(_ name: String, _ kind: ScalarKind) { self.init(name, RecordSchema(root: .scalar(kind))) }
    }

    static let keyName = "key"
    /// The most values in one entry of a list.
    static let chunkValuesMax = 1024

    let descriptor: StateDescriptor
    /// What follows the key group in the key.
    let parts: [Part]
    let value: DynamicCodec?
    /// Whether values carry stamps.
    let hasStamps: Bool

    /// - Throws: kind `corrupt` when the description lacks a schema.
    init(_ descriptor: StateDescriptor) throws(ThalwegError) {
        self.descriptor = descriptor
        func key(_ schema: RecordSchema?) throws(ThalwegError) -> Part {
            guard let schema else { throw Self.incomplete(descriptor) }
            return Part(Self.keyName, schema)
        }
        switch descriptor.kind {
        case .value: parts = [try key(descriptor.key)]
        case .list: parts = [try key(descriptor.key), Part("chunk", .uint32)]
        case .map:
            guard let userKey = descriptor.userKey else { throw Self.incomplete(descriptor) }
            parts = [try key(descriptor.key), Part("mapKey", userKey)]
        case .pane: parts = [try key(descriptor.key), Part("window", .time)]
        case .timers: parts = [try key(descriptor.key), Part("time", .time)]
        case .buffer: parts = [try key(descriptor.key), Part("time", .time), Part("index", .uint32)]
        case .split, .union, .inFlight: parts = [Part("subtask", .uint32), Part("index", .uint32)]
        case .broadcast: parts = [try key(descriptor.userKey)]
        case .keyedList: parts = [Part("id", .uint64)]
        }
        guard descriptor.kind == .timers || descriptor.value != nil else { throw Self.incomplete(descriptor) }
        value = descriptor.kind == .timers ? nil : descriptor.value.map { DynamicCodec($0) }
        hasStamps = descriptor.hasStamps
    }

    private static func incomplete(_ state: StateDescriptor) -> ThalwegError {
        ThalwegError(
            .corrupt, "a state is described without its schema",
            detail: "operator \"\(state.operatorName)\", state \"\(state.name)\" of kind \(state.kind.rawValue)")
    }

    /// The part with the key; nil when entries have none.
    var key: Part? { parts.first { $0.name == Self.keyName } }

    // MARK: Reading

    /// - Parameter bytes: the value; nil leaves it out.
    func entry(_ key: UnsafeRawBufferPointer, _ bytes: UnsafeRawBufferPointer?) throws -> SavepointEntry {
        do {
            var reader = ByteReader(key)
            var entry = SavepointEntry()
            if descriptor.kind.isKeyed { entry.keyGroup = Int(try reader.read(UInt16.self).byteSwapped) }
            for part in parts {
                entry.place.append(DynamicValue.Field(part.name, try part.codec.decodeKey(&reader)))
            }
            guard reader.remaining == 0 else { throw Self.left(reader) }
            if let bytes { try read(bytes, into: &entry) }
            return entry
        } catch {
            throw damaged(key, error)
        }
    }

    private func read(_ bytes: UnsafeRawBufferPointer, into entry: inout SavepointEntry) throws {
        var reader = ByteReader(bytes)
        if let value {
            switch descriptor.kind {
            case .list:
                // Elements may take no bytes: only the limit of a chunk bounds them.
                let count = try reader.readVarint()
                guard count <= UInt64(Self.chunkValuesMax) else { throw Self.left(reader) }
                if hasStamps { for _ in 0..<count { entry.stamps.append(try reader.read(Int64.self)) } }
                var values: [DynamicValue] = []
                for _ in 0..<count { values.append(try value.decode(&reader)) }
                entry.value = .array(values)
            case .inFlight: entry.value = try packet(&reader, value)
            default:
                if hasStamps { entry.stamps.append(try reader.read(Int64.self)) }
                entry.value = try value.decode(&reader)
            }
        }
        guard reader.remaining == 0 else { throw Self.left(reader) }
    }

    /// The records of a batch that lay in a channel, with their times.
    private func packet(_ reader: inout ByteReader, _ codec: DynamicCodec) throws -> DynamicValue {
        let count = try reader.readLength(itemBytes: 1)
        let isTimed = try reader.read(UInt8.self) == 1
        var times: [EventTime] = []
        if isTimed { for _ in 0..<count { times.append(EventTime(milliseconds: try reader.read(Int64.self))) } }
        var records: [DynamicValue] = []
        for index in 0..<count {
            let record = try codec.decode(&reader)
            let time = isTimed ? [DynamicValue.Field("time", .time(times[index]))] : []
            records.append(.record(time + [DynamicValue.Field("record", record)]))
        }
        return .array(records)
    }

    private static func left(_ reader: ByteReader) -> ThalwegError {
        ThalwegError(
            .corrupt, "damaged entry bytes", detail: "they are not what the schema says, at byte \(reader.position)")
    }

    private func damaged(_ key: UnsafeRawBufferPointer, _ error: any Error) -> ThalwegError {
        let digits = key.prefix(32).map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
        return ThalwegError(
            .corrupt, "an entry of a snapshot is damaged",
            detail: "operator \"\(descriptor.operatorName)\", state \"\(descriptor.name)\", key 0x\(digits)",
            hint: "bring the snapshot back from a copy, or read another one", cause: error)
    }

    /// The key group that a key belongs to.
    func keyGroup(of key: DynamicValue, maxParallelism: Int) throws -> Int {
        guard let part = self.key else { return 0 }
        return KeyGroup.of(hash: try part.codec.hash(key), maxParallelism: maxParallelism)
    }

    /// The key group that the place of an entry belongs to; nil when only the program that wrote it knows.
    func keyGroup(of place: [DynamicValue.Field], maxParallelism: Int) throws -> Int? {
        if descriptor.kind == .keyedList {
            guard case .unsigned(let id)? = place.first?.value else { return nil }
            return KeyGroup.of(hash: StableHash.mix(id), maxParallelism: maxParallelism)
        }
        guard let key = place.first(where: { $0.name == Self.keyName }) else { return nil }
        return try keyGroup(of: key.value, maxParallelism: maxParallelism)
    }

    /// How many bytes of a key, from its beginning, are the row that the entry belongs to: key group and key of a keyed
    /// state whose keys may have several entries.
    func rowBytes(of key: UnsafeRawBufferPointer) throws -> Int {
        switch descriptor.kind {
        case .list: return max(0, key.count - MemoryLayout<UInt32>.size)
        case _ where descriptor.kind.isKeyed && parts.count > 1 && parts[0].name == Self.keyName:
            var reader = ByteReader(key)
            _ = try reader.read(UInt16.self)
            _ = try parts[0].codec.decodeKey(&reader)
            return reader.position
        default: return key.count
        }
    }

    // MARK: Writing

    /// The bytes of the key of an entry at a place.
    func keyBytes(_ place: [DynamicValue.Field], keyGroup: Int?) throws -> [UInt8] {
        var writer = ByteWriter(capacity: 64)
        if let keyGroup { writer.append(UInt16(truncatingIfNeeded: keyGroup).byteSwapped) }
        for (part, field) in zip(parts, place) { try part.codec.encodeKey(field.value, into: &writer) }
        return writer.bytes()
    }
}
