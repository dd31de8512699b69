// SPDX-License-Identifier: Apache-2.0
//  Key bytes sort as keys do; key hashes stay what they are.

import Testing
import ThalwegBase
import ThalwegData

struct PairKey: Codable, Hashable, Comparable, Sendable {
    var first: String, second: Int32, third: Double?
    static func < (left: PairKey, right: PairKey) -> Bool {
        if left.first != right.first { return left.first < right.first }
        if left.second != right.second { return left.second < right.second }
        guard let rightThird = right.third else { return false }
        guard let leftThird = left.third else { return true }
        return leftThird < rightThird
    }
}

extension PairKey: Sampled {
    static func sample(_ random: inout SeededRandom) -> PairKey {
        PairKey(first: random.of(), second: random.of(), third: random.of())
    }
}

struct AuctionBidder: Codable, Hashable, Sendable { var auction: Int64, bidder: Int64 }

@Suite struct KeyTests {
    private func checkOrder<Key: Sampled & Comparable>(
        _: Key.Type, _ location: SourceLocation = #_sourceLocation
    ) throws {
        let encoder = try KeyEncoder<Key>()
        #expect(encoder.isOrdered, sourceLocation: location)
        var random = SeededRandom(seed: 7)
        let keys = (0..<120).map { _ in random.of(Key.self) }
        let encoded = try keys.map { try encoder.encode($0) }
        for left in keys.indices {
            for right in keys.indices {
                #expect(
                    encoded[left].lexicographicallyPrecedes(encoded[right]) == (keys[left] < keys[right]),
                    "\(keys[left]) \(keys[right])", sourceLocation: location)
            }
        }
        try checkRoundTrip(Key.self, location)
    }

    private func checkRoundTrip<Key: Sampled>(_: Key.Type, _ location: SourceLocation = #_sourceLocation) throws {
        let encoder = try KeyEncoder<Key>()
        for seed in 0..<UInt64(200) {
            var random = SeededRandom(seed: seed)
            let keys = [random.of(Key.self), random.of(Key.self)]
            var writer = ByteWriter()
            for key in keys { try encoder.encode(key, into: &writer) }
            let bytes = writer.bytes()
            try bytes.withUnsafeBytes { buffer in
                var reader = ByteReader(buffer)
                let back = [try encoder.decode(&reader), try encoder.decode(&reader)]
                #expect(back == keys, sourceLocation: location)
                #expect(reader.remaining == 0, sourceLocation: location)
            }
            for _ in 0..<20 {
                var damaged = bytes
                if !damaged.isEmpty, random.next() % 2 == 0 {
                    damaged[Int(random.next() % UInt64(damaged.count))] = UInt8(truncatingIfNeeded: random.next())
                }
                damaged.removeLast(Int(random.next() % UInt64(damaged.count + 1)))
                damaged.withUnsafeBytes { buffer in
                    var reader = ByteReader(buffer)
                    _ = try? encoder.decode(&reader)
                }
            }
        }
    }

    @Test func numbersSort() throws {
        try checkOrder(Int8.self)
        try checkOrder(Int16.self)
        try checkOrder(Int32.self)
        try checkOrder(Int64.self)
        try checkOrder(Int.self)
        try checkOrder(UInt8.self)
        try checkOrder(UInt16.self)
        try checkOrder(UInt32.self)
        try checkOrder(UInt64.self)
        try checkOrder(Double.self)
        try checkOrder(Float.self)
        try checkOrder(EventTime.self)
    }

    @Test func stringsAndRecordsSort() throws {
        try checkOrder(String.self)
        try checkOrder(PairKey.self)
        let encoder = try KeyEncoder<[String]>()
        let sorted: [[String]] = [[], [""], ["", ""], ["\0"], ["a"], ["a", "b"], ["a\0"], ["ab"], ["b"]]
        let encoded = try sorted.map { try encoder.encode($0) }
        for (left, right) in zip(encoded, encoded.dropFirst()) { #expect(left.lexicographicallyPrecedes(right)) }
        let zero = try KeyEncoder<Double>()
        #expect(try zero.encode(-0.0) == zero.encode(0.0))
        #expect(try zero.encode(.infinity).lexicographicallyPrecedes(zero.encode(.nan)))
    }

    private func checkComparator<Key: Sampled>(_: Key.Type, _ location: SourceLocation = #_sourceLocation) throws {
        let (encoder, order) = (try KeyEncoder<Key>(), try KeyComparator<Key>(.learn()))
        var random = SeededRandom(seed: 11)
        let keys = (0..<120).map { _ in random.of(Key.self) }
        let encoded = try keys.map { try encoder.encode($0) }
        for left in keys.indices {
            for right in keys.indices {
                #expect(
                    order.precedes(keys[left], keys[right]) == encoded[left].lexicographicallyPrecedes(encoded[right]),
                    "\(keys[left]) \(keys[right])", sourceLocation: location)
            }
        }
    }

    @Test func keysCompareAsTheirBytes() throws {
        try checkComparator(Bool.self)
        try checkComparator(Int8.self)
        try checkComparator(Int16.self)
        try checkComparator(Int32.self)
        try checkComparator(Int64.self)
        try checkComparator(Int.self)
        try checkComparator(UInt8.self)
        try checkComparator(UInt16.self)
        try checkComparator(UInt32.self)
        try checkComparator(UInt64.self)
        try checkComparator(UInt.self)
        try checkComparator(Double.self)
        try checkComparator(Float.self)
        try checkComparator(String.self)
        try checkComparator(EventTime.self)
        try checkComparator(Side.self)
        try checkComparator(Level.self)
        try checkComparator(UserID.self)
        try checkComparator(Arrays.self)
        try checkComparator(Optionals.self)
        try checkComparator(Nested2.self)
        try checkComparator(Scalars.self)
        try checkComparator(PairKey.self)
        let doubles = try KeyComparator<Double>(.learn())
        #expect(!doubles.precedes(-0.0, 0.0) && !doubles.precedes(0.0, -0.0) && doubles.precedes(.infinity, .nan))
        #expect(!doubles.precedes(.nan, -.nan) && !doubles.precedes(-.nan, .nan))
        let error = #expect(throws: ThalwegError.self) { try KeyComparator<Shape>(.learn()) }
        #expect(error?.kind == .job)
        #expect(throws: ThalwegError.self) { try KeyComparator<WithShape>(.learn()) }
    }

    @Test func everyKeyComesBack() throws {
        try checkRoundTrip(Bool.self)
        try checkRoundTrip(Side.self)
        try checkRoundTrip(Level.self)
        try checkRoundTrip(UserID.self)
        try checkRoundTrip(Arrays.self)
        try checkRoundTrip(Optionals.self)
        try checkRoundTrip(Nested2.self)
        try checkRoundTrip(Scalars.self)
        try checkRoundTrip(WithShape.self)
        try checkRoundTrip(Shape.self)
        #expect(try !KeyEncoder<Shape>().isOrdered)
    }

    @Test func equalDictionariesHaveEqualBytes() throws {
        let (ascending, descending) = ((0..<50).map { ("k\($0)", $0) }, (0..<50).reversed().map { ("k\($0)", $0) })
        let encoder = try KeyEncoder<[String: Int]>()
        #expect(
            try encoder.encode(Dictionary(uniqueKeysWithValues: ascending))
                == encoder.encode(Dictionary(uniqueKeysWithValues: descending)))
    }

    @Test func hashesOfNumbersDependOnTheValueAlone() throws {
        let expected = StableHash.mix(7)
        #expect(try KeyHasher<Int64>().hash(7) == expected)
        #expect(try KeyHasher<Int>().hash(7) == expected)
        #expect(try KeyHasher<Int32>().hash(7) == expected)
        #expect(try KeyHasher<Int8>().hash(7) == expected)
        #expect(try KeyHasher<UInt16>().hash(7) == expected)
        #expect(try KeyHasher<UInt64>().hash(7) == expected)
        #expect(try KeyHasher<EventTime>().hash(EventTime(milliseconds: 7)) == expected)
        #expect(try KeyHasher<UserID>().hash(UserID(rawValue: 7)) == expected)
        #expect(try KeyHasher<Int64>().hash(-7) == KeyHasher<Int16>().hash(-7))
        #expect(try KeyHasher<Double>().hash(-0.0) == KeyHasher<Double>().hash(0.0))
    }

    @Test func hashesArePinned() throws {
        // These decide where keys live in snapshots: they may never change.
        #expect(try KeyHasher<Int64>().hash(7) == 0x41E7_9825_EC4E_18F9)
        #expect(try KeyHasher<String>().hash("") == 0x2B73_2197_B11D_4F81)
        #expect(try KeyHasher<String>().hash("thalweg, swiftest line") == 0x8D0C_F3EB_9050_431F)
        #expect(try KeyHasher<Bool>().hash(true) == 0x0093_C56E_1DCB_401C)
        #expect(try KeyHasher<Double>().hash(1.5) == 0x27DF_C9B5_3A72_F5E1)
        #expect(try KeyHasher<AuctionBidder>().hash(AuctionBidder(auction: 1, bidder: 2)) == 0x4835_3268_D687_69E0)
        #expect(try KeyHasher<PairKey>().hash(PairKey(first: "a", second: 2, third: nil)) == 0x4ED7_E917_6A26_9660)
        #expect(try KeyHasher<PairKey>().hash(PairKey(first: "a", second: 2, third: 3)) == 0xC7F7_48AF_5A08_34D9)
        #expect(try KeyHasher<Side>().hash(.buy) == KeyHasher<String>().hash("buy"))
        #expect(try KeyHasher<[Int]>().hash([1, 2, 3]) == 0x7835_733F_9B79_37E7)
        #expect(try KeyHasher<Shape>().hash(.box(width: 1, height: 2)) == 0x16A5_E9C9_281E_E4BB)
        #expect(try RecordType.learn(Words.self).fingerprint == 0xCBCE_47C1_3B47_1954)
        #expect(try RecordType.learn(Box<String?>.self).fingerprint == 0x71F2_22D8_3EFA_96CB)
    }
}
