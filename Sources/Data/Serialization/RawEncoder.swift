// SPDX-License-Identifier: Apache-2.0
//  Encodes values where they lie, without knowing their type.

import ThalwegBase

/// Encodes the values of one type from their memory.
///
/// Compiled once for all types: generic code that is not specialised looks up the type's witnesses for every value,
/// which costs more than the encoding.
public struct RawEncoder: Sendable {
    private let program: Program?
    /// The program of the optional that holds a value; nil when values are always there.
    private let presence: Program?
    /// The same two, to be used without counting references for each value; held by the ones above.
    private let unretained: (program: Unmanaged<Program>, presence: Unmanaged<Program>?)?
    /// The size of values whose memory is their encoding; 0 for others.
    private let plainBytes: Int
    /// Where such a value, when it may be nil, has a byte that is 0 unless it is; -1 when it is never nil.
    private let tagOffset: Int
    /// Used instead when the type was not proven; false for nil.
    private let general: @Sendable (UnsafeRawPointer, inout ByteWriter) throws -> Bool

    /// For values that are always there.
    init(_ program: Program?, _ general: @escaping @Sendable (UnsafeRawPointer, inout ByteWriter) throws -> Bool) {
        self.init(program, presence: nil, general)
    }

    init(
        _ program: Program?, presence: Program?,
        _ general: @escaping @Sendable (UnsafeRawPointer, inout ByteWriter) throws -> Bool
    ) {
        self.program = program
        self.presence = presence
        self.general = general
        unretained = program.map { (.passUnretained($0), presence.map { .passUnretained($0) }) }
        let hasTag = presence?.steps[0].nilTest == .tag
        plainBytes = program?.isBulk == true && (presence == nil || hasTag) ? program?.size ?? 0 : 0
        tagOffset = hasTag ? Int(presence?.steps[0].sign ?? 0) : -1
    }

    /// Appends the value at `address`; false when it is nil.
    public func encode(_ address: UnsafeRawPointer, into writer: inout ByteWriter) throws -> Bool {
        if plainBytes > 0 {
            if tagOffset >= 0 && address.load(fromByteOffset: tagOffset, as: UInt8.self) != 0 { return false }
            writer.reserve(plainBytes)
            RawCopy.copy(writer.end, address, plainBytes)
            writer.advance(by: plainBytes)
            return true
        }
        guard let (program, presence) = unretained else { return try general(address, &writer) }
        if let presence, presence._withUnsafeGuaranteedRef({ $0.isNil($0.steps[0], address) }) { return false }
        try program._withUnsafeGuaranteedRef { try $0.encode(address, count: 1, stride: $0.size, into: &writer) }
        return true
    }
}

extension RecordCodec {
    /// Encodes one record as ``encode(_:count:into:)`` does.
    public var raw: RawEncoder {
        RawEncoder(program) { [self] address, writer in
            try encode(address.assumingMemoryBound(to: Record.self), count: 1, into: &writer)
            return true
        }
    }

    /// Encodes the record that an optional holds.
    public func rawOptional() throws(ThalwegError) -> RawEncoder {
        // A payload lies at the start of its optional.
        let optional = program == nil ? nil : try RecordType<Record?>.learn().layout?.program
        let presence = optional.flatMap { $0.stepCount > 0 && $0.steps[0].code == .optional ? $0 : nil }
        return RawEncoder(presence == nil ? nil : program, presence: presence) { [self] address, writer in
            guard let record = address.assumingMemoryBound(to: Record?.self).pointee else { return false }
            try withUnsafePointer(to: record) { try encode($0, count: 1, into: &writer) }
            return true
        }
    }
}

/// Encodes the keys of one type from their memory, so that the bytes sort as the keys do.
public struct RawKeyEncoder: Sendable {
    private let program: Program?
    /// The same, to be used without counting references for each key; held by the one above.
    private let unretained: Unmanaged<Program>?
    /// For a key that is one 64-bit number: the bits that differ in its bytes; nil for others.
    private let wordMask: UInt64?
    private let general: @Sendable (UnsafeRawPointer, inout ByteWriter) throws -> Void

    init(
        _ program: Program?, _ general: @escaping @Sendable (UnsafeRawPointer, inout ByteWriter) throws -> Void
    ) {
        self.program = program
        self.general = general
        unretained = program.map { .passUnretained($0) }
        wordMask = program.flatMap { program in
            guard program.stepCount == 1, program.steps[0].offset == 0 else { return nil }
            return switch program.steps[0].code {
            case .uint64: 0
            case .int64, .time: 1 << 63
            default: nil
            }
        }
    }

    /// Appends the key at `address`.
    public func encode(_ address: UnsafeRawPointer, into writer: inout ByteWriter) throws {
        if let wordMask { return writer.appendBigEndian(address.load(as: UInt64.self) ^ wordMask) }
        guard let unretained else { return try general(address, &writer) }
        try unretained._withUnsafeGuaranteedRef { try $0.encodeKey(address, into: &writer) }
    }
}

extension KeyEncoder {
    /// Encodes one key as ``encode(_:into:)`` does.
    public var raw: RawKeyEncoder {
        RawKeyEncoder(program) { [self] address, writer in
            try encode(address.assumingMemoryBound(to: Key.self).pointee, into: &writer)
        }
    }
}
