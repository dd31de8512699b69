// SPDX-License-Identifier: Apache-2.0
//  Runs a program's codec steps from memory to bytes.

import ThalwegBase

extension Program {
    /// Appends the encodings of `count` values that lie `stride` bytes apart.
    ///
    /// The inner loop keeps the end of the output in a local; `writer` is told at the end, and before it may move.
    func encode(
        _ values: UnsafeRawPointer, count: Int, stride: Int, into writer: inout ByteWriter
    ) throws(ThalwegError) {
        if isBulk, stride == size || count == 1 {
            let bytes = count &* size
            writer.reserve(bytes)
            RawCopy.copy(writer.end, values, bytes)
            writer.advance(by: bytes)
            return
        }
        let fixed = encodedFixedBytesMax
        var base = values
        for _ in 0..<count {
            writer.reserve(fixed)
            try encodeOne(base, fixed, &writer)
            base += stride
        }
    }

    @inline(__always)
    private func encodeOne(_ base: UnsafeRawPointer, _ fixed: Int, _ writer: inout ByteWriter) throws(ThalwegError) {
        let steps = codec
        let stepCount = codecCount
        var index = 0
        var out = writer.end
        while index < stepCount {
            let step = steps + index
            index &+= 1
            let field = base + Int(step.pointee.offset)
            switch step.pointee.code {
            case .run:
                let size = Int(step.pointee.size)
                RawCopy.copy(out, field, size)
                out += size
            case .string:
                writer.advance(by: out - writer.end)
                writer.appendString(field.assumingMemoryBound(to: String.self), reserving: fixed)
                out = writer.end
            case .optional:
                let absent = isNil(step.pointee, base)
                out.storeBytes(of: absent ? 0 : 1, as: UInt8.self)
                out += 1
                if absent { index &+= Int(step.pointee.skip) }
            case .some, .checkBool, .record: break
            default:
                writer.advance(by: out - writer.end)
                try encodeVariable(step.pointee, field, &writer)
                writer.reserve(fixed)
                out = writer.end
            }
        }
        writer.advance(by: out - writer.end)
    }

    @inline(never)
    private func encodeVariable(
        _ step: Step, _ field: UnsafeRawPointer, _ writer: inout ByteWriter
    ) throws(ThalwegError) {
        switch step.code {
        case .array:
            let plan = arrays[Int(step.index)]
            let (first, count) = plan.layout.elements(field)
            writer.appendVarint(UInt64(count))
            try plan.program.encode(first, count: count, stride: plan.layout.stride, into: &writer)
        case .rawValue:
            let table = tables[Int(step.index)]
            let tag = table.tag(at: field)
            if table.kind == .string {
                writer.appendVarint(UInt64(table.strings[tag].count))
                table.strings[tag].withUnsafeBytes { writer.append($0) }
            } else {
                let value = table.integers[tag]
                writer.appendVarint(UInt64(bitPattern: (value << 1) ^ (value >> 63)))
            }
        case .codable:
            // Framed by its length, which is known only afterwards.
            let start = writer.count
            writer.append(UInt32(0))
            try codables[Int(step.index)].encode(field, into: &writer)
            let length = writer.count - start - 4
            guard let frame = UInt32(exactly: length) else {
                throw ThalwegError(.input, "a value is too long", detail: "\(length) bytes")
            }
            writer.store(frame, at: start)
        default: preconditionFailure("no such step")
        }
    }
}

extension ByteWriter {
    /// Appends a string, and makes room for `extra` bytes after it.
    ///
    /// The closure calls nothing, so the compiler need not retain the string while it runs.
    @inline(__always)
    mutating func appendString(_ string: UnsafePointer<String>, reserving extra: Int) {
        let length = string.pointee.utf8.count
        reserve(length &+ 10 &+ extra)
        if length < 0x80 {
            end.storeBytes(of: UInt8(truncatingIfNeeded: length), as: UInt8.self)
            advance(by: 1)
        } else {
            appendVarint(UInt64(length))
        }
        let target = end
        let done: Void? = string.pointee.utf8.withContiguousStorageIfAvailable { utf8 in
            if let source = utf8.baseAddress { RawCopy.copy(target, UnsafeRawPointer(source), min(length, utf8.count)) }
        }
        if done == nil {
            for (index, byte) in string.pointee.utf8.enumerated() {
                target.storeBytes(of: byte, toByteOffset: index, as: UInt8.self)
            }
        }
        advance(by: length)
    }
}
