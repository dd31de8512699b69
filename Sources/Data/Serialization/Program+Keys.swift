// SPDX-License-Identifier: Apache-2.0
//  Runs a program's steps between memory and order-preserving key bytes.

import ThalwegBase

extension Program {
    func encodeKey(_ base: UnsafeRawPointer, into writer: inout ByteWriter) throws(ThalwegError) {
        var index = 0
        while index < stepCount {
            let step = steps[index]
            index += 1
            let field = base + Int(step.offset)
            switch step.code {
            case .bool, .uint8: writer.append(field.load(as: UInt8.self))
            case .int8: writer.append(field.load(as: UInt8.self) ^ 0x80)
            case .uint16: writer.appendBigEndian(field.load(as: UInt16.self))
            case .int16: writer.appendBigEndian(field.load(as: UInt16.self) ^ 0x8000)
            case .uint32: writer.appendBigEndian(field.load(as: UInt32.self))
            case .int32: writer.appendBigEndian(field.load(as: UInt32.self) ^ 0x8000_0000)
            case .uint64: writer.appendBigEndian(field.load(as: UInt64.self))
            case .int64, .time: writer.appendBigEndian(field.load(as: UInt64.self) ^ 1 << 63)
            case .float: writer.appendBigEndian(KeyOrder.word(field.load(as: Float.self)))
            case .double: writer.appendBigEndian(KeyOrder.word(field.load(as: Double.self)))
            case .string:
                var text = field.assumingMemoryBound(to: String.self).pointee
                text.withUTF8 { writer.appendEscaped(UnsafeRawBufferPointer($0)) }
            case .optional:
                let absent = isNil(step, base)
                writer.append(absent ? 0 : 1 as UInt8)
                if absent { index += Int(step.skip) }
            case .array:
                let plan = arrays[Int(step.index)]
                let (first, count) = plan.layout.elements(field)
                for element in 0..<count {
                    writer.append(1 as UInt8)
                    try plan.program.encodeKey(first + element * plan.layout.stride, into: &writer)
                }
                writer.append(0 as UInt8)
            case .rawValue:
                let table = tables[Int(step.index)]
                let tag = table.tag(at: field)
                switch table.kind {
                case .string: table.strings[tag].withUnsafeBytes { writer.appendEscaped($0) }
                default: writer.appendBigEndian(KeyOrder.word(table.integers[tag], table.kind))
                }
            case .codable:
                var plain = ByteWriter()
                try codables[Int(step.index)].encode(field, into: &plain)
                plain.withBytes { writer.appendEscaped($0) }
            case .some, .record, .run, .checkBool: break
            }
        }
    }

    /// Reads a key into uninitialised memory. If it throws, nothing is left initialised.
    func decodeKey(_ reader: inout ByteReader, into base: UnsafeMutableRawPointer) throws(ThalwegError) {
        var index = 0
        do throws(ThalwegError) {
            while index < stepCount {
                let step = steps[index]
                let field = base + Int(step.offset)
                switch step.code {
                case .optional:
                    switch try reader.read(UInt8.self) {
                    case 0:
                        setNil(step, base)
                        index += Int(step.skip)
                    case 1: break
                    default: throw reader.damaged("an optional in a key is neither there nor nil")
                    }
                case .some:
                    if step.sign >= 0 { base.storeBytes(of: 0, toByteOffset: Int(step.sign), as: UInt8.self) }
                case .record, .run, .checkBool: break
                case .string, .array, .rawValue, .codable: try decodeKeyPart(step, &reader, field)
                default: try Self.decodeKeyScalar(step.code, &reader, field)
                }
                index += 1
            }
        } catch {
            destroy(base, steps, count: index)
            throw error
        }
    }

    private static func decodeKeyScalar(
        _ code: Step.Code, _ reader: inout ByteReader, _ field: UnsafeMutableRawPointer
    ) throws(ThalwegError) {
        switch code {
        case .bool:
            let byte = try reader.read(UInt8.self)
            guard byte <= 1 else { throw reader.damaged("a truth value is neither 0 nor 1") }
            field.storeBytes(of: byte, as: UInt8.self)
        case .uint8: field.storeBytes(of: try reader.read(UInt8.self), as: UInt8.self)
        case .int8: field.storeBytes(of: try reader.read(UInt8.self) ^ 0x80, as: UInt8.self)
        case .uint16: field.storeBytes(of: try reader.readBigEndian(UInt16.self), as: UInt16.self)
        case .int16: field.storeBytes(of: try reader.readBigEndian(UInt16.self) ^ 0x8000, as: UInt16.self)
        case .uint32: field.storeBytes(of: try reader.readBigEndian(UInt32.self), as: UInt32.self)
        case .int32: field.storeBytes(of: try reader.readBigEndian(UInt32.self) ^ 0x8000_0000, as: UInt32.self)
        case .uint64: field.storeBytes(of: try reader.readBigEndian(UInt64.self), as: UInt64.self)
        case .float: field.storeBytes(of: KeyOrder.float(try reader.readBigEndian(UInt32.self)), as: Float.self)
        case .double: field.storeBytes(of: KeyOrder.double(try reader.readBigEndian(UInt64.self)), as: Double.self)
        default: field.storeBytes(of: try reader.readBigEndian(UInt64.self) ^ 1 << 63, as: UInt64.self)
        }
    }

    private func decodeKeyPart(
        _ step: Step, _ reader: inout ByteReader, _ field: UnsafeMutableRawPointer
    ) throws(ThalwegError) {
        switch step.code {
        case .string:
            guard let text = String(validating: try reader.readEscaped(), as: UTF8.self) else {
                throw reader.damaged("a string in a key is not UTF-8")
            }
            field.initializeMemory(as: String.self, to: text)
        case .array:
            let plan = arrays[Int(step.index)]
            try plan.decodeKeyElements(&reader, into: field)
        case .rawValue:
            let table = tables[Int(step.index)]
            let tag: UInt8? =
                if table.kind == .string {
                    try reader.readEscaped().withUnsafeBytes { table.tag(of: $0) }
                } else {
                    table.tag(of: KeyOrder.integer(try reader.readBigEndian(UInt64.self), table.kind))
                }
            guard let tag else { throw reader.damaged("an enum in a key has no such case") }
            if table.tagSize == 1 { field.storeBytes(of: tag, as: UInt8.self) }
        default:
            let witness = codables[Int(step.index)]
            try witness.decode(try reader.readEscaped(), into: field)
        }
    }
}

extension ArrayPlan {
    /// Reads elements until the end mark. Their number is not known before: they are collected aside, then moved.
    fileprivate func decodeKeyElements(
        _ reader: inout ByteReader, into field: UnsafeMutableRawPointer
    ) throws(ThalwegError) {
        var count = 0
        var capacity = 8
        let stride = layout.stride
        var elements = UnsafeMutableRawPointer.allocate(byteCount: capacity * stride, alignment: 16)
        defer { elements.deallocate() }
        do throws(ThalwegError) {
            while true {
                let mark = try reader.read(UInt8.self)
                if mark == 0 { break }
                guard mark == 1 else { throw reader.damaged("a list in a key does not end") }
                if count == capacity {
                    let bigger = UnsafeMutableRawPointer.allocate(byteCount: 2 * capacity * stride, alignment: 16)
                    bigger.copyMemory(from: elements, byteCount: count * stride)
                    elements.deallocate()
                    (elements, capacity) = (bigger, 2 * capacity)
                }
                try program.decodeKey(&reader, into: elements + count * stride)
                count += 1
            }
        } catch {
            for index in 0..<count {
                program.destroy(elements + index * stride, program.steps, count: program.stepCount)
            }
            throw error
        }
        layout.make(field, count) { target, done in
            // Moving is copying the bytes and forgetting the source.
            target.copyMemory(from: elements, byteCount: count * stride)
            done = count
        }
    }
}
