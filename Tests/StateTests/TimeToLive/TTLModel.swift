// SPDX-License-Identifier: Apache-2.0
//  A naive twin of state that expires.

import ThalwegBase
import ThalwegState

/// What a state with a time to live must do, entry by entry.
struct TTLModel {
    struct Entry: Equatable {
        /// The user key of a map's entry; 0 in values and lists.
        var id: Int
        var value: Int
        var stamp: Int64
    }

    let ttl: StateTTL
    let life: Int64
    /// By key.
    var entries: [Int: [Entry]] = [:]
    /// The timestamp of the record, and up to when everything is done.
    var record = Int64(0)
    var passed = Int64(0)
    /// What the hook must have been told since the last look.
    var expired: [String] = []
    var expiredOnRead = 0
    var swept = 0

    init(_ ttl: StateTTL) {
        self.ttl = ttl
        life = ttl.duration.wholeMilliseconds
    }

    var isEvent: Bool { ttl.domain == .eventTime }
    var isHiding: Bool { ttl.visibility == .neverReturnExpired }
    var now: Int64 { isEvent ? max(record, passed) : passed }
    var stamp: Int64 { isEvent ? record : passed }

    func isExpired(_ entry: Entry, _ now: Int64) -> Bool { entry.stamp + life <= now }
    func visible(_ key: Int) -> [Entry] { (entries[key] ?? []).filter { !isHiding || !isExpired($0, now) } }

    mutating func note(_ key: Int, _ entry: Entry) {
        expired.append("\(key) \(entry.id) \(entry.value) at \(entry.stamp + life)")
    }

    /// What a read of the entries that match gives.
    mutating func read(_ key: Int, _ matches: (Entry) -> Bool = { _ in true }) -> [Entry] {
        var (given, kept): ([Entry], [Entry]) = ([], [])
        for var entry in entries[key] ?? [] {
            if !matches(entry) {
                kept.append(entry)
            } else if isExpired(entry, now) {
                expiredOnRead += 1
                if !isHiding { given.append(entry) }
                if !isHiding || !isEvent { note(key, entry) } else { kept.append(entry) }
            } else {
                given.append(entry)
                if ttl.update == .onReadAndWrite { entry.stamp = max(entry.stamp, stamp) }
                kept.append(entry)
            }
        }
        entries[key] = kept
        return given
    }

    /// Removes what has expired for the record.
    mutating func purge(_ key: Int, _ matches: (Entry) -> Bool = { _ in true }) {
        let now = now
        for entry in entries[key] ?? [] where matches(entry) && isExpired(entry, now) { note(key, entry) }
        remove(key) { [self] in matches($0) && isExpired($0, now) }
    }

    /// Writes one entry of a value or a map. `change` gets nil when there is none that can be seen.
    mutating func write(_ key: Int, id: Int = 0, replacing: Bool, _ change: (Int?) -> Int?) {
        if isHiding || replacing { purge(key) { $0.id == id } }
        let old = (entries[key] ?? []).first { $0.id == id }
        remove(key) { $0.id == id }
        guard let new = change(old?.value) else { return }
        entries[key, default: []].append(
            Entry(id: id, value: new, stamp: max(old?.stamp ?? .min, stamp)))
    }

    mutating func remove(_ key: Int, _ matches: (Entry) -> Bool) {
        entries[key] = (entries[key] ?? []).filter { !matches($0) }
    }

    mutating func clear(_ key: Int) {
        purge(key)
        entries[key] = nil
    }

    /// The place of what readers see at a position.
    func place(_ key: Int, _ position: Int) -> Int {
        let all = entries[key] ?? []
        let places = all.indices.filter { !isHiding || !isExpired(all[$0], now) }
        return position == places.count ? (isHiding ? all.count : position) : places[position]
    }

    /// Everything up to a moment is done.
    mutating func sweep(_ now: Int64) {
        passed = max(passed, now)
        for key in entries.keys.sorted() {
            for entry in entries[key] ?? [] where isExpired(entry, now) {
                note(key, entry)
                swept += 1
            }
            remove(key) { [self] in isExpired($0, now) }
        }
    }

    var keyCount: Int { entries.values.count { !$0.isEmpty } }
}
