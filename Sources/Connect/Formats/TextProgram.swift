// SPDX-License-Identifier: Apache-2.0
//  A learned record type as a flat list of steps for writing it as text.

import ThalwegBase
import ThalwegData

/// What to write for one field.
struct TextStep: BitwiseCopyable {
    enum Code: UInt8 {
        case bool, int8, int16, int32, int64, uint8, uint16, uint32, uint64, float, double, string, time
        /// An optional: its body of `skip` steps follows.
        case optional
        /// A nested record: its fields follow in `skip` steps.
        case record
        case array
        case rawInteger, rawString
        case codable
    }

    enum NilTest: UInt8 { case tag, byte, zeroWord, witness }

    var code: Code
    var nilTest = NilTest.witness
    var nilByte: UInt8 = 0
    /// The value's field is optional: text that reads as null must be quoted.
    var isOptional = false
    /// Bytes from the start of the record to the value.
    var offset: Int32
    /// Bytes from the start of the record to the sign of nil.
    var sign: Int32 = 0
    var skip: Int32 = 0
    /// The place in the program's table of optionals, arrays, raw values or witnesses.
    var index: Int32 = 0
    /// The field's name as JSON, a comma before and a colon behind it: where it lies in `keys`.
    var keyStart: Int32 = 0
    var keyLength: Int32 = 0
}

/// The steps of a record or of an array's element.
final class TextProgram: @unchecked Sendable {
    // Unchecked: the raw memory is written once, in init, and only read afterwards.

    let steps: UnsafeMutablePointer<TextStep>
    let count: Int
    let keys: UnsafeMutablePointer<UInt8>
    let optionals: [OptionalLayout]
    let arrays: [(layout: ArrayLayout, element: TextProgram)]
    let tables: [RawValueTable]
    let codables: [CodableWitness]
    /// Names of the fields with the way to them, for columns and error texts; one per step.
    let paths: [String]

    init(_ type: FieldType) {
        var builder = Builder()
        builder.add(type, offset: 0, path: "", key: nil)
        count = builder.steps.count
        steps = .allocate(capacity: max(count, 1))
        steps.initialize(from: builder.steps, count: count)
        keys = .allocate(capacity: max(builder.keys.count, 1))
        keys.initialize(from: builder.keys, count: builder.keys.count)
        optionals = builder.optionals
        arrays = builder.arrays
        tables = builder.tables
        codables = builder.codables
        paths = builder.paths
    }

    deinit {
        steps.deallocate()
        keys.deallocate()
    }

    /// Whether the optional of a step is nil.
    @inline(__always)
    func isNil(_ step: TextStep, _ base: UnsafeRawPointer) -> Bool {
        switch step.nilTest {
        case .tag: base.load(fromByteOffset: Int(step.sign), as: UInt8.self) != 0
        case .byte: base.load(fromByteOffset: Int(step.sign), as: UInt8.self) == step.nilByte
        case .zeroWord: base.load(fromByteOffset: Int(step.sign), as: UInt64.self) == 0
        case .witness: optionals[Int(step.index)].isNil(at: base + Int(step.offset))
        }
    }

    private struct Builder {
        var steps: [TextStep] = []
        var keys: [UInt8] = []
        var optionals: [OptionalLayout] = []
        var arrays: [(layout: ArrayLayout, element: TextProgram)] = []
        var tables: [RawValueTable] = []
        var codables: [CodableWitness] = []
        var paths: [String] = []

        mutating func add(_ type: FieldType, offset: Int, path: String, key: String?, isOptional: Bool = false) {
            var step = TextStep(code: .record, offset: Int32(offset))
            step.isOptional = isOptional
            if let key {
                var text = OutputBuffer(capacity: 64)
                text.append(UInt8(ascii: ","))
                text.append(jsonString: key)
                text.append(UInt8(ascii: ":"))
                step.keyStart = Int32(keys.count)
                step.keyLength = Int32(text.count)
                keys.append(contentsOf: text.array)
            }
            let at = steps.count
            steps.append(step)
            paths.append(path)
            switch type {
            case .scalar(let kind): steps[at].code = kind.textCode
            case .optional(let optional):
                setOptional(optional, at)
                add(optional.wrapped, offset: offset, path: path, key: nil, isOptional: true)
            case .array(let array):
                steps[at].code = .array
                steps[at].index = Int32(arrays.count)
                arrays.append((array, TextProgram(array.element)))
            case .record(let shape):
                for field in shape.fields {
                    let fieldPath = path.isEmpty ? field.name : "\(path).\(field.name)"
                    add(field.type, offset: offset + field.offset, path: fieldPath, key: field.name)
                }
            case .rawValue(let table):
                steps[at].code = table.kind == .string ? .rawString : .rawInteger
                steps[at].index = Int32(tables.count)
                tables.append(table)
            case .codable(let witness):
                steps[at].code = .codable
                steps[at].index = Int32(codables.count)
                codables.append(witness)
            }
            steps[at].skip = Int32(steps.count - at - 1)
        }

        private mutating func setOptional(_ optional: OptionalLayout, _ at: Int) {
            steps[at].code = .optional
            steps[at].index = Int32(optionals.count)
            optionals.append(optional)
            let offset = steps[at].offset
            switch optional.sign {
            case .tag(let place): (steps[at].nilTest, steps[at].sign) = (.tag, offset + Int32(place))
            case .byte(let byte): (steps[at].nilTest, steps[at].sign, steps[at].nilByte) = (.byte, offset, byte)
            case .zeroWord(let place): (steps[at].nilTest, steps[at].sign) = (.zeroWord, offset + Int32(place))
            case .witness: steps[at].nilTest = .witness
            }
        }
    }
}

extension ScalarKind {
    fileprivate var textCode: TextStep.Code {
        switch self {
        case .bool: .bool
        case .int8: .int8
        case .int16: .int16
        case .int32: .int32
        case .int64: .int64
        case .uint8: .uint8
        case .uint16: .uint16
        case .uint32: .uint32
        case .uint64: .uint64
        case .float: .float
        case .double: .double
        case .string: .string
        case .time: .time
        }
    }
}

extension OutputBuffer {
    /// Appends a truth value or whole number; false when the step is for something else.
    @inline(__always)
    mutating func append(integerLike step: TextStep, _ field: UnsafeRawPointer) -> Bool {
        switch step.code {
        case .bool: append(field.load(as: UInt8.self) & 1 == 1 ? "true" as StaticString : "false")
        case .int8: append(decimal: Int64(field.load(as: Int8.self)))
        case .int16: append(decimal: Int64(field.load(as: Int16.self)))
        case .int32: append(decimal: Int64(field.load(as: Int32.self)))
        case .int64: append(decimal: field.load(as: Int64.self))
        case .uint8: append(decimal: UInt64(field.load(as: UInt8.self)))
        case .uint16: append(decimal: UInt64(field.load(as: UInt16.self)))
        case .uint32: append(decimal: UInt64(field.load(as: UInt32.self)))
        case .uint64: append(decimal: field.load(as: UInt64.self))
        default: return false
        }
        return true
    }

    @inline(__always)
    mutating func append(_ text: StaticString) {
        append(UnsafeRawBufferPointer(start: text.utf8Start, count: text.utf8CodeUnitCount))
    }
}
