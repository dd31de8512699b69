// SPDX-License-Identifier: Apache-2.0
//  What has expired in rows that rest in files.

import ThalwegBase
import ThalwegData
import ThalwegStorage

extension AnyKeyedStore {
    /// What merges of layers keep as of now (FLIP-25): no entry that has expired, so that rows nobody asks for take no
    /// room for ever. A state whose `onExpired` is to be called keeps its entries until they are loaded.
    ///
    /// - Returns: nil when everything is kept.
    final var keptAtRest: MergeFilter? {
        let others = mergeFilter?()
        let limits = expiring.compactMap { name, column, expiry in
            column.isHeard ? nil : (name: name, text: expiry.ttl.text, limit: expiry.limit)
        }
        if limits.isEmpty { return others }
        return { state in
            // Stamps of another clock, or none, say nothing about the life that entries have now.
            guard let own = limits.first(where: { $0.name == state.name && $0.text == state.timeToLive }) else {
                return others?(state)
            }
            return { _, value in own.limit.keeps(value, isList: state.kind == .list) }
        }
    }
}

/// Up to which stamp entries of a state have expired at some moment.
struct ExpiryLimit: Sendable {
    let life: Int64
    let now: Int64

    /// Whether something in a stored value has not expired. What cannot be read is damage, which whoever restores it
    /// is told.
    func keeps(_ value: UnsafeRawBufferPointer, isList: Bool) -> Bool {
        var reader = ByteReader(value)
        do {
            let count = isList ? Int(clamping: try reader.readVarint()) : 1
            for _ in 0..<count where !isExpired(try reader.read(Int64.self)) { return true }
            return false
        } catch {
            return true
        }
    }

    func isExpired(_ stamp: Int64) -> Bool {
        stamp <= ExpiryPages.limit(now: now, life: life) && stamp != .min
    }
}

extension StateDescriptor {
    /// The time to live that it was stored with, as text.
    var timeToLive: String? { properties[StateTTL.propertyName] }
}
