// SPDX-License-Identifier: Apache-2.0
//  Sorted maps that grow beyond what memory has for a row.

import Thalweg

extension StateLife {
    /// Keys below this one have sorted maps of many entries, which are changed entry by entry.
    static let largeKeys = 3
    private static let userKeys: UInt64 = 700

    private mutating func draw(_ count: UInt64) -> Int { Int(random.next() % count) }
    private mutating func drawUserKey() -> Int { Int(random.next() % Self.userKeys) - 200 }

    /// Changes the sorted map of the current key, and what it must hold.
    mutating func changeSorted(_ twin: inout [Int: Int]) throws {
        let map = live.sorted
        switch draw(16) {
        case 0..<6:
            for _ in 0...draw(120) {
                let (key, number) = (drawUserKey(), draw(1_000))
                map[key] = number
                twin[key] = number
            }
        case 6:
            for _ in 0...draw(30) {
                let key = drawUserKey()
                map[key] = nil
                twin[key] = nil
            }
        case 7:
            for _ in 0...draw(30) {
                let key = drawUserKey()
                map[key, default: 7] += 1
                twin[key, default: 7] += 1
            }
        case 8:
            let (lower, length) = (drawUserKey(), draw(200))
            map.removeAll(from: lower, to: lower + length)
            for key in lower..<lower + length { twin[key] = nil }
        case 9: try pop(&twin)
        case 10:
            if draw(8) == 0 {
                map.clear()
                twin = [:]
            }
        case 11: try changeWhileWalking(&twin)
        default: break
        }
        // Every walk and look-up costs much more here than in a job.
        if draw(3) == 0 { try checkSorted(twin) }
    }

    private mutating func pop(_ twin: inout [Int: Int]) throws {
        var known = twin.keys.sorted()[...]
        for _ in 0..<(draw(10) == 0 ? 1_000 : draw(20)) {
            let isFirst = draw(2) == 0
            let expected = isFirst ? known.first : known.last
            let found = isFirst ? live.sorted.popFirst() : live.sorted.popLast()
            try require(
                found?.key == expected && found?.value == expected.map { twin[$0] ?? -1 },
                "\(isFirst ? "popFirst" : "popLast") gives \(String(describing: found)), not \(expected ?? -1)")
            guard let expected else { break }
            twin[expected] = nil
            if isFirst { known.removeFirst() } else { known.removeLast() }
        }
    }

    /// A loop sees the map as it was when it began.
    private mutating func changeWhileWalking(_ twin: inout [Int: Int]) throws {
        let (lower, before, isDescending) = (drawUserKey(), twin, draw(2) == 0)
        let entries = isDescending ? live.sorted.entries(to: lower).reversed() : live.sorted.entries(from: lower)
        let expected = before.filter { isDescending ? $0.key < lower : $0.key >= lower }
            .sorted { isDescending ? $0.key > $1.key : $0.key < $1.key }
        var seen = 0
        for (key, value) in entries {
            try require(
                seen < expected.count && expected[seen].key == key && expected[seen].value == value,
                "a walk sees \(key): \(value) as its entry \(seen)")
            seen += 1
            let other = key + draw(40) - 20
            let number: Int? = draw(3) == 0 ? nil : draw(1_000)
            live.sorted[other] = number
            twin[other] = number
        }
        try require(seen == expected.count, "a walk sees \(seen) entries, not \(expected.count)")
    }

    private mutating func checkSorted(_ twin: [Int: Int]) throws {
        let map = live.sorted
        let (key, keys) = (drawUserKey(), twin.keys.sorted())
        try require(map[key] == twin[key], "\(key) has \(map[key] ?? -1), not \(twin[key] ?? -1)")
        try require(map.contains(key) == (twin[key] != nil), "contains(\(key)) is wrong")
        try require(map.first?.key == keys.first && map.last?.key == keys.last, "first or last is wrong")
        try require(map.first(from: key)?.key == keys.first { $0 >= key }, "first(from: \(key)) is wrong")
        try require(map.last(through: key)?.key == keys.last { $0 <= key }, "last(through: \(key)) is wrong")
        try require(map.isEmpty == keys.isEmpty, "isEmpty is wrong")
        if draw(4) == 0 { try require(map.count == keys.count, "there are \(map.count), not \(keys.count)") }
        let end = key + draw(300)
        let range = map.entries(from: key, through: end).map(\.key)
        try require(range == keys.filter { $0 >= key && $0 <= end }, "from \(key) through \(end): \(range)")
    }
}
