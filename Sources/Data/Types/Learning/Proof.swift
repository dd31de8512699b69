// SPDX-License-Identifier: Apache-2.0
//  Proves a layout: what was decoded must be read back, before and after the codec.

import ThalwegBase

/// Checks that a type's values are where the layout says.
struct Proof {
    private let learner: Learner
    private let type: FieldType
    private let program: Program

    init(_ learner: Learner, _ type: FieldType) {
        self.learner = learner
        self.type = type
        program = ProgramBuilder.build(type)
    }

    /// Decodes values with and without nils; reads each back from memory, and again after encoding and decoding it.
    func check<Value: Decodable>(_: Value.Type) throws {
        guard type.size == MemoryLayout<Value>.size else { throw Refusal("its size is not that of its fields") }
        for run in 0..<Learner.proofRuns {
            let presence: Probe.Presence = run == 0 ? .none : run == 1 ? .all : .some
            let probe = Probe(learner, seed: UInt64(1000 + run), presence: presence)
            let value = try probe.value(Value.self, as: type)
            let expected = probe.tape
            var writer = ByteWriter()
            try withUnsafePointer(to: value) { pointer in
                guard try readBack(UnsafeRawPointer(pointer)) == expected else {
                    throw Refusal("it does not store what it decodes")
                }
                try program.encode(UnsafeRawPointer(pointer), count: 1, stride: 0, into: &writer)
            }
            try checkCoding(value, expected)
            try writer.withBytes { bytes in
                var reader = ByteReader(bytes)
                let copy = UnsafeMutablePointer<Value>.allocate(capacity: 1)
                defer { copy.deallocate() }
                try program.decode(&reader, into: UnsafeMutableRawPointer(copy), count: 1, stride: 0)
                defer { copy.deinitialize(count: 1) }
                guard reader.remaining == 0, try readBack(UnsafeRawPointer(copy)) == expected else {
                    throw Refusal("its memory is not what its fields say")
                }
            }
        }
    }

    /// The type's own way of encoding must say the same as its memory: it may leave out, rename or redact.
    private func checkCoding<Value: Decodable>(_ value: Value, _ expected: [Leaf]) throws {
        guard let encodable = value as? any Encodable else { return }
        let node = try PlainNode.boxed(encodable)
        if case .map(let entries) = node.content, case .record(let shape) = type {
            let names = Set(shape.fields.map(\.name))
            guard entries.allSatisfy({ names.contains($0.key) }) else {
                throw Refusal("it encodes other fields than it decodes")
            }
        }
        guard let again = try? Value(from: PlainDecoder(node: node, codingPath: [])),
            try withUnsafePointer(to: again, { try readBack(UnsafeRawPointer($0)) }) == expected
        else { throw Refusal("it does not encode what it stores") }
    }

    private func readBack(_ pointer: UnsafeRawPointer) throws -> [Leaf] {
        var leaves: [Leaf] = []
        try read(type, pointer, &leaves)
        return leaves
    }

    private func read(_ type: FieldType, _ pointer: UnsafeRawPointer, _ leaves: inout [Leaf]) throws {
        switch type {
        case .scalar(.string):
            leaves.append(.text(Array(pointer.assumingMemoryBound(to: String.self).pointee.utf8)))
        case .scalar(let kind): leaves.append(.word(Self.word(kind, pointer)))
        case .optional(let optional):
            if optional.isNil(pointer) {
                leaves.append(.none)
            } else {
                leaves.append(.some)
                try read(optional.wrapped, pointer, &leaves)
            }
        case .array(let array):
            let (first, count) = array.elements(pointer)
            leaves.append(.count(count))
            for index in 0..<count { try read(array.element, first + index * array.stride, &leaves) }
        case .record(let shape):
            for index in shape.decodingOrder {
                try read(shape.fields[index].type, pointer + shape.fields[index].offset, &leaves)
            }
        case .rawValue(let table):
            let tag = table.tag(at: pointer)
            guard tag < table.count else { throw Refusal("it holds an unknown case") }
            leaves.append(
                table.kind == .string
                    ? .text(table.strings[tag]) : .word(UInt64(bitPattern: table.integers[tag])))
        case .codable(let witness):
            var writer = ByteWriter()
            try witness.encode(pointer, into: &writer)
            leaves.append(.opaque(writer.bytes()))
        }
    }

    private static func word(_ kind: ScalarKind, _ pointer: UnsafeRawPointer) -> UInt64 {
        switch kind {
        case .bool, .uint8: UInt64(pointer.load(as: UInt8.self))
        case .int8: UInt64(truncatingIfNeeded: pointer.load(as: Int8.self))
        case .int16: UInt64(truncatingIfNeeded: pointer.load(as: Int16.self))
        case .uint16: UInt64(pointer.load(as: UInt16.self))
        case .int32: UInt64(truncatingIfNeeded: pointer.load(as: Int32.self))
        case .uint32, .float: UInt64(pointer.load(as: UInt32.self))
        case .int64, .uint64, .double, .time, .string: pointer.load(as: UInt64.self)
        }
    }
}
