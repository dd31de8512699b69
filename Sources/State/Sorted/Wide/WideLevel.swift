// SPDX-License-Identifier: Apache-2.0
//  What has changed in a large map since its entries were written.

import ThalwegBase
import ThalwegData
import ThalwegStorage

/// Changes of a map that lies below: entries with new values, and nil for those that are gone.
@usableFromInline
struct WideLevel<UserKey: Codable & Sendable, Value> {
    @usableFromInline var changes = SortedTree<UserKey, Value?>()
    /// Whether nothing counts that lies below.
    @usableFromInline var hidesBelow = false
    /// The snapshot that it is part of; 0: none yet.
    var snapshot: Int64 = 0

    @usableFromInline init() {}

    /// Puts an older level below this one: the two as one.
    mutating func append(_ older: WideLevel, _ order: KeyComparator<UserKey>) {
        if hidesBelow { return }
        hidesBelow = older.hidesBelow
        older.changes.forEachLeaf { leaf in
            for index in 0..<leaf.count where changes.find(leaf.keys[index], order) == nil {
                _ = changes.findOrInsert(leaf.keys[index], leaf.payloads[index], order, hasStamps: false)
            }
            return true
        }
    }
}

/// The changes of a map at a barrier, on their way into a layer.
// Unchecked: nodes of trees that others hold too are never changed.
struct FrozenLevels<UserKey: Codable & Sendable, Value: Codable & Sendable>: @unchecked Sendable {
    /// The newest first.
    let levels: [WideLevel<UserKey, Value>]

    var hidesBelow: Bool { levels.contains(where: \.hidesBelow) }

    /// Writes every change in order, the newest of each key.
    func write(
        to entries: inout KeyedEntries, _ userKeys: StoredKey<UserKey>, _ order: KeyComparator<UserKey>,
        _ stored: StoredType<Value>
    ) throws {
        let encoder = userKeys.encoder
        var level = levels.first ?? WideLevel()
        for older in levels.dropFirst() { level.append(older, order) }
        try level.changes.forEachLeaf { leaf in
            for index in 0..<leaf.count {
                let key = leaf.keys[index]
                if let value = leaf.payloads[index] {
                    try entries.add(
                        { try encoder.encode(key, into: &$0) }, value: { try stored.encode(value, into: &$0) })
                } else if !level.hidesBelow {
                    try entries.remove { try encoder.encode(key, into: &$0) }
                }
            }
            return true
        }
    }
}
