// SPDX-License-Identifier: Apache-2.0
//  Sorted keys against a plain sort.

import Testing
import ThalwegBase
import ThalwegData

@testable import ThalwegState

@Suite struct KeySorterTests {
    /// Keys that differ late, early, only in length, or not in their first 8 bytes.
    private static func keys(_ kind: Int, _ count: Int, _ random: inout SeededRandom) -> [[UInt8]] {
        var keys: Set<[UInt8]> = []
        while keys.count < count {
            let number = random.next()
            let bytes = withUnsafeBytes(of: number.bigEndian) { Array($0) }
            switch kind {
            case 0: keys.insert(bytes)
            case 1: keys.insert(Array("customer-".utf8) + bytes.prefix(3))
            case 2: keys.insert(Array(repeating: 0, count: Int(number % UInt64(count + 20))))
            case 3: keys.insert(Array(repeating: UInt8(number % 3), count: 12) + bytes.prefix(Int(number >> 60)))
            default: keys.insert(Array(bytes.prefix(Int(number % 8) + 1)))
            }
        }
        return keys.sorted { String(describing: $0) < String(describing: $1) }
    }

    @Test(arguments: 0..<5)
    func theOrderIsThatOfTheBytes(kind: Int) {
        for (seed, count) in [(1, 0), (2, 1), (3, 2), (4, 63), (5, 64), (6, 500)] {
            var random = SeededRandom(seed: UInt64(seed * 10 + kind))
            let keys = Self.keys(kind, count, &random)
            var sorter = KeySorter()
            // What was there before leaves no trace.
            _ = sorter.add(-1) { $0.append(UInt8(1)) }
            sorter.removeAll()
            for (place, key) in keys.enumerated() {
                let fits = sorter.add(place) { writer in key.withUnsafeBytes { writer.append($0) } }
                #expect(fits)
            }
            var found: [[UInt8]] = []
            sorter.forEach { key, place in
                #expect(Array(key) == keys[place])
                found.append(Array(key))
            }
            #expect(found == keys.sorted { $0.lexicographicallyPrecedes($1) }, "\(kind), \(count)")
        }
    }
}
