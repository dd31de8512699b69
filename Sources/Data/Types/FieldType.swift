// SPDX-License-Identifier: Apache-2.0
//  The type of a field together with what is needed to reach it in raw memory.

import ThalwegBase

/// How a field lies in memory.
public indirect enum FieldType: Sendable {
    case scalar(ScalarKind)
    case optional(OptionalLayout)
    case array(ArrayLayout)
    case record(RecordShape)
    case rawValue(RawValueTable)
    case codable(CodableWitness)

    /// The type as data.
    public var schema: SchemaType {
        switch self {
        case .scalar(let kind): .scalar(kind)
        case .optional(let optional): .optional(optional.wrapped.schema)
        case .array(let array): .array(array.element.schema)
        case .record(let shape): .record(shape.fields.map { .init(name: $0.name, type: $0.type.schema) })
        case .rawValue(let table): .rawValue(table.kind, cases: table.texts)
        case .codable(let witness): .codable(witness.typeName)
        }
    }

    /// The bytes from the first to the last of the value's own.
    public var size: Int {
        switch self {
        case .scalar(let kind): kind.size
        case .optional(let optional): optional.size
        case .array: MemoryLayout<[Int]>.size
        case .record(let shape): shape.size
        case .rawValue(let table): table.tagSize
        case .codable(let witness): witness.size
        }
    }

    /// True if copying the bytes copies the value.
    public var isBitwiseCopyable: Bool {
        switch self {
        case .scalar(let kind): kind != .string
        case .optional(let optional): optional.wrapped.isBitwiseCopyable
        case .array: false
        case .record(let shape): shape.fields.allSatisfy { $0.type.isBitwiseCopyable }
        case .rawValue: true
        case .codable(let witness): witness.isBitwiseCopyable
        }
    }

    /// The fields that only plain `Codable` reaches, as paths with reasons.
    func codablePaths(under path: String) -> [String] {
        switch self {
        case .scalar, .rawValue: []
        case .optional(let optional): optional.wrapped.codablePaths(under: path)
        case .array(let array): array.element.codablePaths(under: path + "[]")
        case .record(let shape):
            shape.fields.flatMap { $0.type.codablePaths(under: path.isEmpty ? $0.name : "\(path).\($0.name)") }
        case .codable(let witness): ["\(path): \(witness.typeName) (\(witness.reason))"]
        }
    }
}

/// One field of a record in memory.
public struct FieldLayout: Sendable {
    /// The name in the coded form (after `CodingKeys`).
    public var name: String
    public var type: FieldType
    /// Bytes from the start of the record.
    public var offset: Int
}

/// The fields of a struct, in the order of its memory.
public struct RecordShape: Sendable {
    public var fields: [FieldLayout]
    public var size: Int
    public var stride: Int
    public var alignment: Int
    /// Indices of `fields` in the order in which the type decodes them.
    var decodingOrder: [Int]
    /// The type, if it says something of its earlier forms.
    var evolving: (any EvolvingRecord.Type)?
}

/// How an optional lies in memory: the payload at the same address, and the sign of nil somewhere.
public struct OptionalLayout: Sendable {
    /// How to see that the value is nil.
    enum NilTest: Sendable {
        /// The byte at this offset is not 0; it is 0 when a value is there.
        case tag(Int)
        /// The byte at offset 0 equals this.
        case byte(UInt8)
        /// The 8 bytes at this offset are 0.
        case zeroWord(Int)
        /// Ask `isNil`.
        case witness
    }

    public let wrapped: FieldType
    let size: Int
    let test: NilTest
    /// The bytes of a nil.
    let nilBytes: [UInt8]
    let isNil: @Sendable (UnsafeRawPointer) -> Bool
    let destroy: @Sendable (UnsafeMutableRawPointer) -> Void

    init<Wrapped>(_: Wrapped.Type, wrapped: FieldType) {
        self.wrapped = wrapped
        size = MemoryLayout<Wrapped?>.size
        nilBytes = withUnsafeBytes(of: Wrapped?.none) { Array($0) }
        isNil = { pointer in
            if case .none = pointer.assumingMemoryBound(to: Wrapped?.self).pointee { true } else { false }
        }
        destroy = { $0.assumingMemoryBound(to: Wrapped?.self).deinitialize(count: 1) }
        if MemoryLayout<Wrapped?>.size > MemoryLayout<Wrapped>.size {
            test = .tag(MemoryLayout<Wrapped>.size)
        } else {
            switch wrapped {
            case .scalar(.bool): test = .byte(nilBytes[0])
            case .rawValue(let table) where table.tagSize == 1: test = .byte(nilBytes[0])
            case .scalar(.string): test = .zeroWord(8)
            case .array: test = .zeroWord(0)
            default: test = .witness
            }
        }
    }
}

/// How an array's elements are reached and made.
public struct ArrayLayout: Sendable {
    public let element: FieldType
    public let stride: Int
    /// The first element and their number. The array must outlive the use of the pointer.
    let elements: @Sendable (UnsafeRawPointer) -> (UnsafeRawPointer, Int)
    /// Makes an array of up to `capacity` elements; the closure says how many it has initialised.
    let make: @Sendable (UnsafeMutableRawPointer, Int, (UnsafeMutableRawPointer, inout Int) -> Void) -> Void
    let destroy: @Sendable (UnsafeMutableRawPointer) -> Void

    init<Element>(_: Element.Type, element: FieldType) {
        self.element = element
        stride = MemoryLayout<Element>.stride
        elements = { pointer in
            // Swift arrays keep their elements in one heap block: the address holds while the array lives.
            pointer.assumingMemoryBound(to: [Element].self).pointee.withUnsafeBufferPointer { buffer in
                (buffer.baseAddress.map { UnsafeRawPointer($0) } ?? pointer, buffer.count)
            }
        }
        make = { pointer, capacity, fill in
            // An array made with no room would write its count to the one empty array that all threads share.
            guard capacity > 0 else {
                pointer.initializeMemory(as: [Element].self, to: [])
                return
            }
            let array = [Element](unsafeUninitializedCapacity: capacity) { buffer, count in
                guard let base = buffer.baseAddress else { return }
                fill(UnsafeMutableRawPointer(base), &count)
            }
            pointer.initializeMemory(as: [Element].self, to: array)
        }
        destroy = { $0.assumingMemoryBound(to: [Element].self).deinitialize(count: 1) }
    }
}

/// A value that goes through its own `Codable` conformance.
public struct CodableWitness: Sendable {
    public let typeName: String
    /// Why the type was not learned.
    public let reason: String
    let size: Int
    let isBitwiseCopyable: Bool
    /// The type, if it says something of its earlier forms.
    let evolving: (any EvolvingRecord.Type)?
    private let access: any CodableAccess

    init<Value: Codable>(_: Value.Type, reason: String) {
        typeName = "\(Value.self)"
        self.reason = reason
        size = MemoryLayout<Value>.size
        isBitwiseCopyable = _isPOD(Value.self)
        evolving = Value.self as? any EvolvingRecord.Type
        access = TypedCodableAccess<Value>()
    }

    func encode(_ pointer: UnsafeRawPointer, into writer: inout ByteWriter) throws(ThalwegError) {
        try access.encode(pointer, into: &writer)
    }

    func decode(_ bytes: UnsafeRawBufferPointer, into pointer: UnsafeMutableRawPointer) throws(ThalwegError) {
        try access.decode(bytes, into: pointer)
    }

    func decode(_ bytes: [UInt8], into pointer: UnsafeMutableRawPointer) throws(ThalwegError) {
        let result = bytes.withUnsafeBytes { buffer in
            Result { () throws(ThalwegError) in try access.decode(buffer, into: pointer) }
        }
        try result.get()
    }

    func assemble(_ cell: Cell, using decoder: any CellDecoder, into pointer: UnsafeMutableRawPointer) throws {
        try access.assemble(cell, using: decoder, into: pointer)
    }

    func destroy(_ pointer: UnsafeMutableRawPointer) { access.destroy(pointer) }

    /// The value, for encoders of other formats.
    package func value(at pointer: UnsafeRawPointer) -> any Encodable { access.value(at: pointer) }
}

/// Reaches a value through its conformance without naming its type.
private protocol CodableAccess: Sendable {
    func encode(_ pointer: UnsafeRawPointer, into writer: inout ByteWriter) throws(ThalwegError)
    func decode(_ bytes: UnsafeRawBufferPointer, into pointer: UnsafeMutableRawPointer) throws(ThalwegError)
    func assemble(_ cell: Cell, using decoder: any CellDecoder, into pointer: UnsafeMutableRawPointer) throws
    func destroy(_ pointer: UnsafeMutableRawPointer)
    func value(at pointer: UnsafeRawPointer) -> any Encodable
}

private struct TypedCodableAccess<Value: Codable>: CodableAccess {
    func encode(_ pointer: UnsafeRawPointer, into writer: inout ByteWriter) throws(ThalwegError) {
        try PlainCodec.encode(pointer.assumingMemoryBound(to: Value.self).pointee, into: &writer)
    }

    func decode(_ bytes: UnsafeRawBufferPointer, into pointer: UnsafeMutableRawPointer) throws(ThalwegError) {
        pointer.initializeMemory(as: Value.self, to: try PlainCodec.decode(Value.self, from: bytes))
    }

    func assemble(_ cell: Cell, using decoder: any CellDecoder, into pointer: UnsafeMutableRawPointer) throws {
        pointer.initializeMemory(as: Value.self, to: try decoder.decode(Value.self, from: cell))
    }

    func destroy(_ pointer: UnsafeMutableRawPointer) {
        pointer.assumingMemoryBound(to: Value.self).deinitialize(count: 1)
    }

    func value(at pointer: UnsafeRawPointer) -> any Encodable { pointer.assumingMemoryBound(to: Value.self).pointee }
}
