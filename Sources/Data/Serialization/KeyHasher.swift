// SPDX-License-Identifier: Apache-2.0
//  The stable hash of a key, folded to a few instructions for the usual key types.

import ThalwegBase

/// Hashes keys of one type with the engine's stable hash.
///
///     let hasher = try KeyHasher<Int64>()
///     let group = KeyGroup.of(hash: hasher.hash(7), maxParallelism: 128)
///
/// Whole numbers of any width hash by value, strings by their UTF-8 (so canonically equal strings of different spelling
/// are different keys), -0.0 as 0.0. Where the compiler knows `Key`, numbers and strings cost no call.
@frozen
public struct KeyHasher<Key: Hashable & Codable & Sendable>: Sendable {
    @usableFromInline let plan: KeyHashPlan<Key>
    /// The size of a key that is hashed as the words of its memory; 0 for all others.
    @usableFromInline let wordBytes: Int

    /// Learns the key's type. Throws for classes.
    public init() throws(ThalwegError) { self.init(try RecordType<Key>.learn()) }

    public init(_ type: RecordType<Key>) {
        plan = KeyHashPlan(type)
        wordBytes = plan.wordBytes
    }

    @inlinable @inline(__always)
    public func hash(_ key: Key) -> UInt64 {
        // Each test is decided at compile time where this is specialised.
        if Key.self == Int64.self { return KeyHashWords.number(unsafeBitCast(key, to: Int64.self)) }
        if Key.self == Int.self { return KeyHashWords.number(unsafeBitCast(key, to: Int.self)) }
        if Key.self == EventTime.self {
            return KeyHashWords.number(unsafeBitCast(key, to: EventTime.self).milliseconds)
        }
        if Key.self == Int32.self { return KeyHashWords.number(unsafeBitCast(key, to: Int32.self)) }
        if Key.self == UInt64.self { return KeyHashWords.number(unsafeBitCast(key, to: UInt64.self)) }
        if Key.self == UInt.self { return KeyHashWords.number(unsafeBitCast(key, to: UInt.self)) }
        if Key.self == UInt32.self { return KeyHashWords.number(unsafeBitCast(key, to: UInt32.self)) }
        if Key.self == Int16.self { return KeyHashWords.number(unsafeBitCast(key, to: Int16.self)) }
        if Key.self == UInt16.self { return KeyHashWords.number(unsafeBitCast(key, to: UInt16.self)) }
        if Key.self == Int8.self { return KeyHashWords.number(unsafeBitCast(key, to: Int8.self)) }
        if Key.self == UInt8.self { return KeyHashWords.number(unsafeBitCast(key, to: UInt8.self)) }
        if Key.self == Bool.self { return KeyHashWords.number(unsafeBitCast(key, to: Bool.self) ? 1 : 0) }
        if Key.self == String.self { return KeyHashWords.text(unsafeBitCast(key, to: String.self)) }
        if wordBytes > 0 {
            return withUnsafePointer(to: key) { KeyHashWords.words(UnsafeRawPointer($0), size: MemoryLayout<Key>.size) }
        }
        return plan.hash(key)
    }
}

/// The parts of key hashes.
@usableFromInline
enum KeyHashWords {
    /// The hash of a whole number: by value, whatever its width.
    @inlinable @inline(__always)
    static func number(_ value: some FixedWidthInteger) -> UInt64 {
        StableHash.mix(UInt64(truncatingIfNeeded: value))
    }

    /// The hash of a string's UTF-8.
    @inlinable @inline(__always)
    static func text(_ text: String) -> UInt64 {
        if let hash = text.utf8.withContiguousStorageIfAvailable({ StableHash.bytes(UnsafeRawBufferPointer($0)) }) {
            return hash
        }
        return Array(text.utf8).withUnsafeBytes { StableHash.bytes($0) }
    }

    /// The hash of `size` bytes as 64-bit words, the last one filled up with zeros.
    @inlinable @inline(__always)
    static func words(_ memory: UnsafeRawPointer, size: Int) -> UInt64 {
        var hash = StableHash.mix(word(memory, size: size, at: 0))
        var position = 8
        while position < size {
            hash = StableHash.combine(hash, word(memory, size: size, at: position))
            position &+= 8
        }
        return hash
    }

    @inlinable @inline(__always)
    static func word(_ memory: UnsafeRawPointer, size: Int, at position: Int) -> UInt64 {
        if position &+ 8 <= size {
            return UInt64(littleEndian: memory.loadUnaligned(fromByteOffset: position, as: UInt64.self))
        }
        var word: UInt64 = 0
        for index in position..<size {
            word |= UInt64(memory.load(fromByteOffset: index, as: UInt8.self)) << UInt64(8 &* (index &- position))
        }
        return word
    }
}

/// How keys of a type are hashed when the compiler cannot fold it.
@usableFromInline
final class KeyHashPlan<Key: Codable & Sendable>: Sendable {
    private let program: Program?
    let wordBytes: Int

    init(_ type: RecordType<Key>) {
        program = type.layout?.program
        if let layout = type.layout, layout.words != nil, case .record = layout.root {
            wordBytes = layout.size
        } else {
            wordBytes = 0
        }
    }

    @usableFromInline
    func hash(_ key: Key) -> UInt64 {
        if let program { return withUnsafePointer(to: key) { program.hash(UnsafeRawPointer($0)) } }
        var writer = ByteWriter()
        do {
            try PlainCodec.encode(key, into: &writer)
        } catch {
            // A key that cannot be encoded cannot be stored either: that error is reported there. Equal keys agree.
            return 0
        }
        return writer.withBytes { StableHash.bytes($0) }
    }
}

extension Program {
    /// The hash of a value by its parts. A scalar alone, or in a type of one field coded as it, hashes as the scalar.
    func hash(_ base: UnsafeRawPointer) -> UInt64 {
        if stepCount == 1 { return partHash(steps[0], base) }
        return StableHash.mix(foldHash(base, into: 0x5448_414C_5745_4701))
    }

    private func foldHash(_ base: UnsafeRawPointer, into start: UInt64) -> UInt64 {
        var hash = start
        var index = 0
        while index < stepCount {
            let step = steps[index]
            index += 1
            switch step.code {
            case .some, .record: break
            case .optional:
                let absent = isNil(step, base)
                hash = StableHash.combine(hash, absent ? 0 : 1)
                if absent { index += Int(step.skip) }
            default: hash = StableHash.combine(hash, partHash(step, base))
            }
        }
        return hash
    }

    private func partHash(_ step: Step, _ base: UnsafeRawPointer) -> UInt64 {
        let field = base + Int(step.offset)
        switch step.code {
        case .bool, .uint8: return StableHash.mix(UInt64(field.load(as: UInt8.self)))
        case .int8: return StableHash.mix(UInt64(truncatingIfNeeded: field.load(as: Int8.self)))
        case .int16: return StableHash.mix(UInt64(truncatingIfNeeded: field.load(as: Int16.self)))
        case .uint16: return StableHash.mix(UInt64(field.load(as: UInt16.self)))
        case .int32: return StableHash.mix(UInt64(truncatingIfNeeded: field.load(as: Int32.self)))
        case .uint32: return StableHash.mix(UInt64(field.load(as: UInt32.self)))
        case .int64, .uint64, .time: return StableHash.mix(field.load(as: UInt64.self))
        case .float: return StableHash.mix(UInt64(KeyOrder.word(field.load(as: Float.self))))
        case .double: return StableHash.mix(KeyOrder.word(field.load(as: Double.self)))
        case .string: return KeyHashWords.text(field.assumingMemoryBound(to: String.self).pointee)
        case .array:
            let plan = arrays[Int(step.index)]
            let (first, count) = plan.layout.elements(field)
            var hash = StableHash.mix(UInt64(count))
            for index in 0..<count { hash = plan.program.foldHash(first + index * plan.layout.stride, into: hash) }
            return hash
        case .rawValue:
            let table = tables[Int(step.index)]
            let tag = table.tag(at: field)
            if table.kind == .string { return table.strings[tag].withUnsafeBytes { StableHash.bytes($0) } }
            return StableHash.mix(UInt64(bitPattern: table.integers[tag]))
        case .codable:
            var writer = ByteWriter()
            do { try codables[Int(step.index)].encode(field, into: &writer) } catch { return 0 }
            return writer.withBytes { StableHash.bytes($0) }
        case .optional, .some, .record, .run, .checkBool: return 0
        }
    }
}
