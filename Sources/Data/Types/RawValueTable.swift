// SPDX-License-Identifier: Apache-2.0
//  The cases of an enum with raw values, by tag and by raw value.

import ThalwegBase

/// The raw value of every case of an enum, in the order of the tags that stand for them in memory.
public final class RawValueTable: Sendable {
    /// The kind of the raw values: a whole number or a string.
    public let kind: ScalarKind
    /// The type, if it says something of its earlier forms.
    let evolving: (any EvolvingRecord.Type)?
    /// 1, or 0 for an enum with one case, which takes no memory.
    let tagSize: Int
    /// By tag; empty when the raw values are strings.
    let integers: [Int64]
    /// By tag; empty when the raw values are numbers.
    let strings: [[UInt8]]
    /// Open addressing over hashes of raw values: tag + 1, or 0.
    private let slots: [UInt16]

    /// Enumerates the cases of `type`; nil if it is no enum without payloads, or its raw values are neither whole
    /// numbers nor strings.
    init?<Value: RawRepresentable>(_: Value.Type) {
        guard let kind = ScalarKind.of(Value.RawValue.self), kind == .string || kind.isIntegerLike, kind != .bool,
            kind != .time, let cases = EnumCases.all(of: Value.self)
        else { return nil }
        var integers: [Int64] = []
        var strings: [[UInt8]] = []
        for (tag, value) in cases.enumerated() {
            let raw = value.rawValue
            guard let again = Value(rawValue: raw), EnumCases.tag(of: again) == tag else { return nil }
            if let text = raw as? String {
                strings.append(Array(text.utf8))
            } else if let number = raw as? any BinaryInteger {
                integers.append(Int64(truncatingIfNeeded: number))
            } else {
                return nil
            }
        }
        self.kind = kind
        evolving = Value.self as? any EvolvingRecord.Type
        self.integers = integers
        self.strings = strings
        tagSize = MemoryLayout<Value>.size
        var slots = [UInt16](repeating: 0, count: 1024)
        for tag in 0..<cases.count {
            let hash =
                strings.isEmpty ? Self.hash(integers[tag]) : strings[tag].withUnsafeBytes { StableHash.bytes($0) }
            var slot = Int(hash & 1023)
            while slots[slot] != 0 { slot = (slot + 1) & 1023 }
            slots[slot] = UInt16(tag + 1)
        }
        self.slots = slots
    }

    var count: Int { max(integers.count, strings.count) }

    /// The raw values as texts, sorted: the order of the cases says nothing about what is stored.
    var texts: [String] {
        if kind == .string { return strings.map { String(decoding: $0, as: UTF8.self) }.sorted() }
        return integers.map { kind == .uint64 ? "\(UInt64(bitPattern: $0))" : "\($0)" }.sorted()
    }

    private static func hash(_ value: Int64) -> UInt64 { StableHash.mix(UInt64(bitPattern: value)) }

    /// The tag of the case with this raw value.
    func tag(of raw: Int64) -> UInt8? {
        guard strings.isEmpty else { return nil }
        var slot = Int(Self.hash(raw) & 1023)
        while slots[slot] != 0 {
            let tag = Int(slots[slot]) - 1
            if integers[tag] == raw { return UInt8(tag) }
            slot = (slot + 1) & 1023
        }
        return nil
    }

    /// The tag of the case with this raw value.
    func tag(of raw: UnsafeRawBufferPointer) -> UInt8? {
        guard integers.isEmpty else { return nil }
        var slot = Int(StableHash.bytes(raw) & 1023)
        while slots[slot] != 0 {
            let tag = Int(slots[slot]) - 1
            if strings[tag].count == raw.count, raw.elementsEqual(strings[tag]) { return UInt8(tag) }
            slot = (slot + 1) & 1023
        }
        return nil
    }

    /// The tag of the value at `pointer`.
    @inline(__always)
    func tag(at pointer: UnsafeRawPointer) -> Int { tagSize == 0 ? 0 : Int(pointer.load(as: UInt8.self)) }
}

/// Walks the cases of enums without payloads by their representation.
enum EnumCases {
    /// All values of an enum without payloads and with at most 255 cases; nil for anything else.
    ///
    /// Such an enum is one byte that counts its cases. Two independent witnesses must agree on their number before a
    /// byte is taken for a value: the type's descriptor, and nil, which takes the first byte that no case uses.
    static func all<Value>(of type: Value.Type) -> [Value]? {
        let metadata = unsafeBitCast(type as any Any.Type, to: UnsafeRawPointer.self)
        let enumKind: UInt = 0x201
        guard metadata.load(as: UInt.self) == enumKind else { return nil }
        let descriptor = metadata.load(fromByteOffset: 8, as: UnsafeRawPointer.self)
        let payloadCases = descriptor.load(fromByteOffset: 20, as: UInt32.self) & 0xFF_FFFF
        let emptyCases = Int(descriptor.load(fromByteOffset: 24, as: UInt32.self))
        guard payloadCases == 0, (1...255).contains(emptyCases), _isPOD(Value.self) else { return nil }
        if emptyCases == 1 {
            guard MemoryLayout<Value>.size == 0 else { return nil }
            return [withUnsafeTemporaryAllocation(of: Value.self, capacity: 1) { $0[0] }]
        }
        guard MemoryLayout<Value>.size == 1, MemoryLayout<Value?>.size == 1,
            withUnsafeBytes(of: Value?.none, { Int($0[0]) }) == emptyCases
        else { return nil }
        return (0..<emptyCases).map { tag in
            withUnsafeBytes(of: UInt8(tag)) { $0.load(as: Value.self) }
        }
    }

    /// The place of a value among ``all(of:)``.
    static func tag<Value>(of value: Value) -> Int {
        MemoryLayout<Value>.size == 0 ? 0 : withUnsafeBytes(of: value) { Int($0[0]) }
    }
}
