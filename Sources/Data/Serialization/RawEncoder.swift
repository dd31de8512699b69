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
    }

    /// Appends the value at `address`; false when it is nil.
    public func encode(_ address: UnsafeRawPointer, into writer: inout ByteWriter) throws -> Bool {
        guard let program else { return try general(address, &writer) }
        if let presence, presence.isNil(presence.steps[0], address) { return false }
        try program.encode(address, count: 1, stride: program.size, into: &writer)
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
    let program: Program?
    let general: @Sendable (UnsafeRawPointer, inout ByteWriter) throws -> Void

    /// Appends the key at `address`.
    public func encode(_ address: UnsafeRawPointer, into writer: inout ByteWriter) throws {
        guard let program else { return try general(address, &writer) }
        try program.encodeKey(address, into: &writer)
    }
}

extension KeyEncoder {
    /// Encodes one key as ``encode(_:into:)`` does.
    public var raw: RawKeyEncoder {
        RawKeyEncoder(program: program) { [self] address, writer in
            try encode(address.assumingMemoryBound(to: Key.self).pointee, into: &writer)
        }
    }
}
