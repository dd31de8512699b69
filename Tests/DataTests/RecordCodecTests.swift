// SPDX-License-Identifier: Apache-2.0
//  Records survive the codec; damaged bytes do not hurt.

import Testing
import ThalwegBase
import ThalwegData

@Suite struct RecordCodecTests {
    /// Round trips in batches, then decodes damaged copies, which must throw or give some record, never trap.
    private func check<Record: Sampled>(_: Record.Type, _ location: SourceLocation = #_sourceLocation) throws {
        let codec = RecordCodec(try RecordType<Record>.learn())
        for seed in 0..<UInt64(40) {
            var random = SeededRandom(seed: seed)
            let records = (0..<Int(1 + random.next() % 9)).map { _ in random.of(Record.self) }
            var writer = ByteWriter()
            try records.withUnsafeBufferPointer {
                try codec.encode($0.baseAddress!, count: $0.count, into: &writer)  // never empty
            }
            let bytes = writer.bytes()
            #expect(try decode(codec, bytes, records.count) == records, "seed \(seed)", sourceLocation: location)
            try checkRaw(codec, records, bytes, location)
            for _ in 0..<60 {
                var damaged = bytes
                if random.next() % 3 == 0, !damaged.isEmpty {
                    damaged.removeLast(Int.random(in: 1...damaged.count, using: &random))
                }
                for _ in 0..<Int(random.next() % 4) where !damaged.isEmpty {
                    damaged[Int.random(in: 0..<damaged.count, using: &random)] = UInt8(
                        truncatingIfNeeded: random.next())
                }
                do throws(ThalwegError) {
                    _ = try decode(codec, damaged, records.count)
                } catch {
                    #expect(error.kind == .corrupt, "\(error)", sourceLocation: location)
                }
            }
        }
    }

    /// Encoding without knowing the type gives the same bytes; an optional's payload is found, and nil is told.
    private func checkRaw<Record: Sampled>(
        _ codec: RecordCodec<Record>, _ records: [Record], _ bytes: [UInt8], _ location: SourceLocation
    ) throws {
        var writer = ByteWriter()
        for record in records { _ = try withUnsafePointer(to: record) { try codec.raw.encode($0, into: &writer) } }
        #expect(writer.bytes() == bytes, sourceLocation: location)
        writer.removeAll()
        let optional = try codec.rawOptional()
        for record in records + [nil] as [Record?] {
            let isThere = try withUnsafePointer(to: record) { try optional.encode($0, into: &writer) }
            #expect(isThere == (record != nil), sourceLocation: location)
        }
        #expect(writer.bytes() == bytes, sourceLocation: location)
    }

    private func decode<Record: Sampled>(
        _ codec: RecordCodec<Record>, _ bytes: [UInt8], _ count: Int
    ) throws(ThalwegError) -> [Record] {
        let memory = UnsafeMutablePointer<Record>.allocate(capacity: count)
        defer { memory.deallocate() }
        // An exact copy, so that reading past the end is seen by tools.
        let copy = UnsafeMutableRawBufferPointer.allocate(byteCount: bytes.count, alignment: 1)
        defer { copy.deallocate() }
        copy.copyBytes(from: bytes)
        var reader = ByteReader(UnsafeRawBufferPointer(copy))
        try codec.decode(&reader, count: count, into: memory)
        defer { memory.deinitialize(count: count) }
        return Array(UnsafeBufferPointer(start: memory, count: count))
    }

    @Test func scalars() throws {
        try check(Words.self)
        try check(Padded.self)
        try check(Scalars.self)
        try check(Empty.self)
        try check(Point.self)
        try check(Label.self)
    }

    @Test func optionals() throws {
        try check(Optionals.self)
        try check(Nested2.self)
        try check(Box<Int8?>.self)
        try check(Box<Label?>.self)
    }

    @Test func listsAndNestedRecords() throws {
        try check(Arrays.self)
        try check(Wrapper.self)
        try check(Box<Box<[String?]>>.self)
        try check(Reordered.self)
        try check(Enums.self)
    }

    @Test func singleValues() throws {
        try check(Int64.self)
        try check(String.self)
        try check(Bool.self)
        try check(Side.self)
        try check(UserID.self)
        try check(Int?.self)
        try check([Label].self)
    }

    @Test func fieldsThroughCodable() throws {
        try check(WithDictionary.self)
        try check(WithShape.self)
        try check(Tree.self)
        try check(WithClass.self)
        try check(Box<Clamped>.self)
    }

    @Test func unprovenTypes() throws {
        try check(Clamped.self)
        try check(Defaulted.self)
        try check(Listed.self)
        try check(Shape.self)
        try check(Expression.self)
        try check(Swapped.self)
    }

    @Test func bytesArePinned() throws {
        let codec = RecordCodec(try RecordType.learn(Box<String?>.self))
        #expect(try codec.encode(Box(before: true, content: "hi", after: 258)) == [1, 1, 2, 0x68, 0x69, 2, 1])
        #expect(try codec.encode(Box(before: false, content: nil, after: -1)) == [0, 0, 0xFF, 0xFF])
        #expect(
            codec.fingerprint
                == RecordSchema(
                    root: .record([
                        .init(name: "before", type: .scalar(.bool)),
                        .init(name: "content", type: .optional(.scalar(.string))),
                        .init(name: "after", type: .scalar(.int16)),
                    ])
                ).fingerprint)
    }

    @Test func deepValuesAreRefusedNotFatal() throws {
        var value = Expression.number(1)
        for _ in 0..<200 { value = .sum(value, .number(2)) }
        let codec = RecordCodec(try RecordType.learn(Expression.self))
        #expect(throws: ThalwegError.self) { try codec.encode(value) }
        let hostile = [UInt8](repeating: 8, count: 4) + (0..<100_000).flatMap { _ in [UInt8(8), 1] }
        #expect(throws: ThalwegError.self) { try hostile.withUnsafeBytes { try codec.decode($0) } }
    }
}
