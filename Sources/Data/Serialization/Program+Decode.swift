// SPDX-License-Identifier: Apache-2.0
//  Runs a program's codec steps from bytes to memory. The bytes may be hostile.

import ThalwegBase

extension Program {
    /// Elements that take no bytes could be claimed without end: no more than this many are believed.
    static let emptyElementsMax = 1 << 20

    /// Reads `count` values into uninitialised memory, `stride` bytes apart. If it throws, none is left initialised.
    func decode(
        _ reader: inout ByteReader, into values: UnsafeMutableRawPointer, count: Int, stride: Int
    ) throws(ThalwegError) {
        if isBulk, stride == size || count == 1 {
            let (bytes, overflow) = count.multipliedReportingOverflow(by: size)
            guard !overflow else { throw reader.truncated() }
            let source = try reader.read(count: bytes)
            if bytes > 0, let address = source.baseAddress { values.copyMemory(from: address, byteCount: bytes) }
            return
        }
        var done = 0
        do throws(ThalwegError) {
            while done < count {
                try decodeOne(&reader, values + done &* stride)
                done &+= 1
            }
        } catch {
            for index in 0..<done { destroy(values + index * stride, codec, count: codecCount) }
            throw error
        }
    }

    @inline(__always)
    private func decodeOne(_ reader: inout ByteReader, _ base: UnsafeMutableRawPointer) throws(ThalwegError) {
        let steps = codec
        let stepCount = codecCount
        var index = 0
        do throws(ThalwegError) {
            while index < stepCount {
                let step = steps + index
                let field = base + Int(step.pointee.offset)
                switch step.pointee.code {
                case .run:
                    let size = Int(step.pointee.size)
                    guard reader.remaining >= size else { throw reader.truncated() }
                    RawCopy.copy(field, reader.cursor, size)
                    reader.cursor += size
                case .checkBool:
                    guard field.load(as: UInt8.self) <= 1 else {
                        throw reader.damaged("a truth value is neither 0 nor 1")
                    }
                case .string:
                    let length = try reader.readLength()
                    let bytes = UnsafeBufferPointer(
                        start: reader.cursor.assumingMemoryBound(to: UInt8.self), count: length)
                    let text = String(decoding: bytes, as: UTF8.self)
                    guard text.isExactly(bytes) else { throw reader.damaged("a string is not UTF-8") }
                    reader.cursor += length
                    field.initializeMemory(as: String.self, to: text)
                case .optional:
                    switch try reader.read(UInt8.self) {
                    case 0:
                        setNil(step.pointee, base)
                        index &+= Int(step.pointee.skip)
                    case 1: break
                    default: throw reader.damaged("an optional is neither there nor nil")
                    }
                case .some:
                    let sign = Int(step.pointee.sign)
                    if sign >= 0 { base.storeBytes(of: 0, toByteOffset: sign, as: UInt8.self) }
                case .record: break
                default: try decodeVariable(step.pointee, field, &reader)
                }
                index &+= 1
            }
        } catch {
            destroy(base, steps, count: index)
            throw error
        }
    }

    @inline(never)
    private func decodeVariable(
        _ step: Step, _ field: UnsafeMutableRawPointer, _ reader: inout ByteReader
    ) throws(ThalwegError) {
        switch step.code {
        case .array:
            let plan = arrays[Int(step.index)]
            let count = try arrayCount(plan, &reader)
            var failure: ThalwegError?
            plan.layout.make(field, count) { elements, initialized in
                do throws(ThalwegError) {
                    try plan.program.decode(&reader, into: elements, count: count, stride: plan.layout.stride)
                    initialized = count
                } catch {
                    failure = error
                }
            }
            if let failure {
                plan.layout.destroy(field)
                throw failure
            }
        case .rawValue:
            let table = tables[Int(step.index)]
            let tag: UInt8?
            if table.kind == .string {
                let length = try reader.readLength()
                tag = table.tag(of: try reader.read(count: length))
            } else {
                let word = try reader.readVarint()
                tag = table.tag(of: Int64(bitPattern: word >> 1) ^ -Int64(bitPattern: word & 1))
            }
            guard let tag else { throw reader.damaged("an enum has no such case") }
            if table.tagSize == 1 { field.storeBytes(of: tag, as: UInt8.self) }
        case .codable:
            let length = try reader.read(UInt32.self)
            try codables[Int(step.index)].decode(try reader.read(count: Int(length)), into: field)
        default: preconditionFailure("no such step")
        }
    }

    private func arrayCount(_ plan: ArrayPlan, _ reader: inout ByteReader) throws(ThalwegError) -> Int {
        let least = plan.program.encodedBytesMin
        if least > 0 { return try reader.readLength(itemBytes: least) }
        let count = try reader.readVarint()
        guard count <= UInt64(Self.emptyElementsMax) else { throw reader.damaged("an array of nothing is too long") }
        return Int(count)
    }
}

extension String {
    /// True if making the string from `bytes` had to repair nothing.
    ///
    /// `String(validating:)` answers the same and takes five times as long (Swift 6.3).
    @inline(__always)
    func isExactly(_ bytes: UnsafeBufferPointer<UInt8>) -> Bool {
        let length = bytes.count
        guard utf8.count == length else { return false }
        // Repair puts in U+FFFD, which is not ASCII: without a high bit in the bytes there was nothing to repair.
        let source = UnsafeRawBufferPointer(bytes)
        var bits: UInt64 = 0
        var place = 0
        while place &+ 8 <= length {
            bits |= source.loadUnaligned(fromByteOffset: place, as: UInt64.self)
            place &+= 8
        }
        while place < length {
            bits |= UInt64(bytes[place])
            place &+= 1
        }
        return bits & 0x8080_8080_8080_8080 == 0 || utf8.elementsEqual(bytes)
    }
}
