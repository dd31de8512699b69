// SPDX-License-Identifier: Apache-2.0
//  What layers of entries mean, in the plainest way, and random ones to compare with.

import ThalwegBase
import ThalwegStorage

/// Layers, newest first, each with what it says.
struct NaiveLayers {
    var layers: [[KindEntry]] = []

    /// What is there, in order.
    var merged: [Entry] {
        var state: [[UInt8]: [UInt8]] = [:]
        for layer in layers.reversed() {
            for entry in layer where entry.kind == .rowTombstone {
                state = state.filter { !$0.key.starts(with: entry.key) }
            }
            for entry in layer where entry.kind != .rowTombstone {
                state[entry.key] = entry.kind == .put ? entry.value : nil
            }
        }
        return state.sorted { $0.key.lexicographicallyPrecedes($1.key) }.map { ($0.key, $0.value) }
    }

    func merged(from: [UInt8]?, to: [UInt8]?) -> [Entry] {
        merged.filter { entry in
            from.map { !entry.key.lexicographicallyPrecedes($0) } ?? true
                && to.map { entry.key.lexicographicallyPrecedes($0) } ?? true
        }
    }
}

extension SeededRandom {
    /// The bytes of a row: group and a key that no other begins with.
    mutating func row(groups: Int, rows: Int) -> [UInt8] {
        let group = below(groups)
        let name = (0..<below(3)).map { _ in UInt8(1 + below(2)) }
        return [UInt8(group >> 8), UInt8(group & 255)] + name + [0, UInt8(below(rows))]
    }

    /// A layer over older ones: rows with several entries each, or with one whose key is the row.
    mutating func layer(_ count: Int, groups: Int = 4, rows: Int = 6, isMap: Bool) -> [KindEntry] {
        var entries: [[UInt8]: KindEntry] = [:]
        for _ in 0..<count {
            let row = row(groups: groups, rows: rows)
            let key = isMap ? row + [UInt8(1 + below(8))] + bytes(below(2)) : row
            let isGone = below(3) == 0
            entries[key] = KindEntry(
                kind: isGone ? .tombstone : .put, key: key, value: isGone ? [] : bytes(below(30)), rowBytes: row.count)
            if below(6) == 0 {
                entries[row] = KindEntry(kind: .rowTombstone, key: row, rowBytes: row.count)
            }
        }
        return entries.values.sorted { $0.key.lexicographicallyPrecedes($1.key) }
    }

    /// A key to begin or end a range with: one that is there, one beside it, or any.
    mutating func bound(_ layers: [[KindEntry]]) -> [UInt8]? {
        let all = layers.flatMap { $0 }
        if all.isEmpty || below(5) == 0 { return nil }
        var key = all[below(all.count)].key
        switch below(4) {
        case 0: key = Array(key.prefix(below(key.count + 1)))
        case 1: key += bytes(1)
        default: break
        }
        return key
    }
}
