// SPDX-License-Identifier: Apache-2.0
//  The key table against a dictionary.

import Testing
import ThalwegBase
import ThalwegState

@Suite struct KeyTableTests {
    /// How hashes are made hostile.
    enum Hashing: CaseIterable, Sendable {
        case good, sameLow, sameHigh, same, max, fewBits
        func hash(_ key: Int) -> UInt64 {
            let good = StableHash.mix(UInt64(bitPattern: Int64(key)))
            return switch self {
            case .good: good
            case .sameLow: good & 0xFFFF_FFFF_0000_0000 | 0x1234
            case .sameHigh: good & 0xFFFF_FFFF | 0xABCD_0000_0000_0000
            case .same: 42
            case .max: key % 2 == 0 ? .max : .max - 1
            case .fewBits: good & 0x0000_0003_0000_0007
            }
        }
    }

    @Test(arguments: Hashing.allCases, 0..<4)
    func behavesAsADictionary(_ hashing: Hashing, _ seed: Int) {
        var random = SeededRandom(seed: UInt64(seed))
        let table = KeyTable<Int>()
        var twin: [Int: Int] = [:]
        let range = hashing == .good || hashing == .sameHigh ? 3000 : 150
        for step in 0..<(range == 150 ? 3000 : 12_000) {
            let key = Int.random(in: 0..<range, using: &random)
            switch random.next() % 16 {
            case 0..<8:
                let (slot, isNew) = table.findOrInsert(key, hash: hashing.hash(key))
                #expect(isNew == (twin[key] == nil), "seed \(seed) step \(step)")
                if let known = twin[key] { #expect(known == slot) }
                #expect(!twin.contains { $0.key != key && $0.value == slot } || step % 50 != 0)
                twin[key] = slot
            case 8..<11:
                #expect(table.find(key, hash: hashing.hash(key)) == twin[key], "seed \(seed) step \(step)")
            case 11..<15:
                if let slot = twin.removeValue(forKey: key) { table.remove(slot: slot) }
            default:
                if random.next() % 400 == 0 {
                    table.removeAll()
                    twin = [:]
                }
            }
            #expect(table.count == twin.count)
        }
        check(table, twin, hashing)
    }

    private func check(_ table: KeyTable<Int>, _ twin: [Int: Int], _ hashing: Hashing) {
        #expect(Set(twin.values).count == twin.count)
        for (key, slot) in twin {
            #expect(table.find(key, hash: hashing.hash(key)) == slot)
            #expect(table.key(at: slot) == key && table.isUsed(slot) && slot < table.slotLimit)
        }
        for slot in 0..<table.slotLimit where !twin.values.contains(slot) { #expect(!table.isUsed(slot)) }
    }

    @Test(arguments: Hashing.allCases)
    func aBatchIsResolvedAsOneByOne(_ hashing: Hashing) {
        var random = SeededRandom(seed: 9)
        let (batch, single) = (KeyTable<Int>(), KeyTable<Int>())
        for _ in 0..<(hashing == .good ? 60 : 6) {
            let keys = (0..<Int.random(in: 1...700, using: &random)).map { _ in
                Int.random(in: 0..<(hashing == .good ? 40_000 : 500), using: &random)
            }
            var slots = Array(repeating: Int32(-1), count: keys.count)
            var fresh: [Int] = []
            batch.resolve(keys, hashes: keys.map(hashing.hash), count: keys.count, into: &slots) { fresh.append($0) }
            var expected: [Int] = []
            for (index, key) in keys.enumerated() {
                let (slot, isNew) = single.findOrInsert(key, hash: hashing.hash(key))
                if isNew { expected.append(slot) }
                if Int(slots[index]) != slot { Issue.record("key \(key)") }
            }
            #expect(fresh == expected)
        }
    }

    @Test func slotsAreUsedAgain() {
        let table = KeyTable<String>()
        for round in 0..<50 {
            let slots = (0..<100).map { table.findOrInsert("\(round)-\($0)", hash: UInt64($0) << 32 | 7).slot }
            for slot in slots { table.remove(slot: slot) }
        }
        #expect(table.slotLimit == 100 && table.count == 0)
    }

    @Test func keysAreReleased() {
        final class Token: Hashable {
            static func == (left: Token, right: Token) -> Bool { left === right }
            func hash(into hasher: inout Hasher) { hasher.combine(ObjectIdentifier(self)) }
        }
        weak var removed: Token?
        weak var kept: Token?
        weak var cleared: Token?
        do {
            let table = KeyTable<Token>()
            do {
                let (first, second, third) = (Token(), Token(), Token())
                (removed, kept, cleared) = (first, second, third)
                table.remove(slot: table.findOrInsert(first, hash: 1).slot)
                _ = table.findOrInsert(third, hash: 2)
                table.removeAll()
                _ = table.findOrInsert(second, hash: 3)
            }
            #expect(removed == nil && cleared == nil && kept != nil)
            withExtendedLifetime(table) {}
        }
        #expect(kept == nil)
    }
}
