// SPDX-License-Identifier: Apache-2.0
//  Rows without a Swift type, laid out in memory as those of a type are.

import ThalwegBase

/// Columns known as data only, as a struct of Swift would hold them: the formats fill such rows, and keys and values
/// are encoded from them, as fast as with a type of the program.
package struct RowLayout: Sendable {
    /// Columns side by side that are encoded together: a key or a value.
    package struct Part: Sendable {
        package let schema: RecordSchema
        private let offset: Int
        private let program: Program
        /// The size of a key that is hashed as the words of its memory; 0 for all others.
        private let wordBytes: Int

        fileprivate init(_ type: FieldType, alignment: Int, offset: Int) {
            schema = RecordSchema(root: type.schema)
            self.offset = offset
            let layout = RecordLayout(root: type, size: type.size, stride: type.size, alignment: alignment)
            program = layout.program
            if layout.words != nil, case .record = type { wordBytes = type.size } else { wordBytes = 0 }
        }

        /// Appends what ``RecordCodec`` gives for the value.
        package func encode(_ row: UnsafeRawPointer, into writer: inout ByteWriter) throws(ThalwegError) {
            try program.encode(row + offset, count: 1, stride: program.size, into: &writer)
        }

        /// Appends what ``KeyEncoder`` gives for the value.
        package func encodeKey(_ row: UnsafeRawPointer, into writer: inout ByteWriter) throws(ThalwegError) {
            try program.encodeKey(row + offset, into: &writer)
        }

        /// What ``KeyHasher`` gives for the value.
        package func hash(_ row: UnsafeRawPointer) -> UInt64 {
            wordBytes > 0 ? KeyHashWords.words(row + offset, size: wordBytes) : program.hash(row + offset)
        }
    }

    /// The columns of one part, and whether they are the fields of a record; else there is one, which is the value.
    package struct Columns: Sendable {
        package var fields: [RecordSchema.Field]
        package var isRecord: Bool

        package init(_ fields: [RecordSchema.Field], isRecord: Bool) {
            self.fields = fields
            self.isRecord = isRecord
        }
    }

    /// All columns.
    package let record: RecordLayout
    package let parts: [Part]

    /// - Throws: kind `input` when a column is there twice or has a type that rows cannot hold.
    package init(_ columns: [Columns]) throws(ThalwegError) {
        var fields: [FieldLayout] = []
        var parts: [Part] = []
        var size = 0
        for column in columns {
            let offset = Self.aligned(size, 16)
            let shape = try Self.shape(column.fields, at: 0)
            for field in shape.fields {
                fields.append(FieldLayout(name: field.name, type: field.type, offset: offset + field.offset))
            }
            if column.isRecord {
                parts.append(Part(.record(shape), alignment: shape.alignment, offset: offset))
            } else if let field = shape.fields.first, shape.fields.count == 1 {
                parts.append(Part(field.type, alignment: shape.alignment, offset: offset))
            } else {
                throw ThalwegError(.bug, "a value of \(shape.fields.count) columns is no record")
            }
            size = offset + shape.size
        }
        if let twice = Dictionary(grouping: fields, by: \.name).first(where: { $0.value.count > 1 }) {
            throw ThalwegError(
                .input, "a column is named twice", detail: twice.key, hint: "each column goes to one place")
        }
        let shape = RecordShape(
            fields: fields, size: size, stride: Self.aligned(size, 16), alignment: 16,
            decodingOrder: Array(fields.indices))
        record = RecordLayout(root: .record(shape), size: size, stride: shape.stride, alignment: 16)
        self.parts = parts
    }

    /// Destroys rows.
    package func destroy(_ rows: UnsafeMutableRawPointer, count: Int) {
        guard !record.isBitwiseCopyable else { return }
        let program = record.program
        for index in 0..<count {
            program.destroy(rows + index * record.stride, program.steps, count: program.stepCount)
        }
    }

    private static func aligned(_ size: Int, _ alignment: Int) -> Int { (size + alignment - 1) / alignment * alignment }

    private static func shape(_ fields: [RecordSchema.Field], at start: Int) throws(ThalwegError) -> RecordShape {
        var layouts: [FieldLayout] = []
        var (size, alignment) = (start, 1)
        for field in fields {
            let (type, own) = try memory(of: field.type, field.name)
            let offset = aligned(size, own)
            layouts.append(FieldLayout(name: field.name, type: type, offset: offset))
            (size, alignment) = (offset + type.size, max(alignment, own))
        }
        return RecordShape(
            fields: layouts, size: size, stride: aligned(max(size, 1), alignment), alignment: alignment,
            decodingOrder: Array(layouts.indices))
    }

    private static func memory(
        of type: SchemaType, _ name: String
    ) throws(ThalwegError) -> (type: FieldType, alignment: Int) {
        if case .record(let fields) = type {
            let shape = try shape(fields, at: 0)
            return (.record(shape), shape.alignment)
        }
        guard let found = ColumnMemory.of(type) else {
            throw ThalwegError(
                .input, "a column has a type that rows cannot hold", detail: "\(name): \(type)",
                hint: "columns are single values, optionals and arrays of these, and records of all that")
        }
        return (found.type, found.alignment)
    }
}

/// The Swift type that holds a column.
private struct ColumnMemory {
    let type: FieldType
    let swiftType: any Codable.Type
    let alignment: Int

    /// Nil for what has no such type.
    static func of(_ type: SchemaType) -> ColumnMemory? {
        switch type {
        case .scalar(let kind):
            let swiftType = swiftType(of: kind)
            return scalar(swiftType, kind)
        case .optional(let wrapped):
            guard let inner = of(wrapped) else { return nil }
            let swiftType = inner.swiftType
            return optional(swiftType, inner.type)
        case .array(let element):
            guard let inner = of(element) else { return nil }
            let swiftType = inner.swiftType
            return array(swiftType, inner.type)
        default: return nil
        }
    }

    private static func swiftType(of kind: ScalarKind) -> any Codable.Type {
        switch kind {
        case .bool: Bool.self
        case .int8: Int8.self
        case .int16: Int16.self
        case .int32: Int32.self
        case .int64: Int64.self
        case .uint8: UInt8.self
        case .uint16: UInt16.self
        case .uint32: UInt32.self
        case .uint64: UInt64.self
        case .float: Float.self
        case .double: Double.self
        case .string: String.self
        case .time: EventTime.self
        }
    }

    private static func scalar<Value: Codable>(_: Value.Type, _ kind: ScalarKind) -> ColumnMemory {
        ColumnMemory(type: .scalar(kind), swiftType: Value.self, alignment: MemoryLayout<Value>.alignment)
    }

    private static func optional<Value: Codable>(_: Value.Type, _ wrapped: FieldType) -> ColumnMemory {
        ColumnMemory(
            type: .optional(OptionalLayout(Value.self, wrapped: wrapped)), swiftType: Value?.self,
            alignment: MemoryLayout<Value?>.alignment)
    }

    private static func array<Value: Codable>(_: Value.Type, _ element: FieldType) -> ColumnMemory {
        ColumnMemory(
            type: .array(ArrayLayout(Value.self, element: element)), swiftType: [Value].self,
            alignment: MemoryLayout<[Value]>.alignment)
    }
}
