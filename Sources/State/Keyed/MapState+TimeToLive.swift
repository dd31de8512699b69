// SPDX-License-Identifier: Apache-2.0
//  Maps whose entries expire one by one.

import ThalwegBase

extension MapState: ExpiringColumn {
    public var isHeard: Bool { listener != nil }

    /// Calls `body` with each entry that has expired and its key, once, when it is removed: by a read, by a write, or
    /// because its time has passed. What `body` emits carries the moment of expiry.
    @inlinable
    public func onExpired<Key: Hashable & Codable & Sendable>(_ body: @escaping (Key, UserKey, Value) -> Void) {
        listener = ExpiryListener { (key: Key, entry: (UserKey, Value)) in body(key, entry.0, entry.1) }
    }

    // MARK: Reading

    @inlinable @inline(never)
    func readExpiring(_ key: UserKey) -> Value? {
        guard let entry = find(key) else { return nil }
        return read(entry)
    }

    /// What a read of an entry gives.
    @inlinable
    func read(_ entry: Int) -> Value? {
        guard let expiry, let value = entries.address(entry).pointee.value else { return nil }
        guard expiry.isExpired(entry, now: expiry.now) else {
            if expiry.isTouchedByReads { expiry.touch(entry, isNew: false) }
            return value
        }
        expiry.countReads(1)
        if expiry.removesOnRead { expire(entry) }
        return expiry.isHiding ? nil : value
    }

    @inlinable @inline(never)
    func isVisible(_ entry: Int) -> Bool {
        guard let expiry, expiry.isHiding else { return true }
        return !expiry.isExpired(entry, now: expiry.now)
    }

    /// The entries of the current key.
    @inlinable
    func chain() -> [Int32] {
        var chain: [Int32] = []
        var entry = heads.address(store.slot).pointee.first
        while entry >= 0 {
            chain.append(entry)
            entry = entries.address(Int(entry)).pointee.next
        }
        return chain
    }

    @inlinable @inline(never)
    func visibleCount() -> Int { chain().count { isVisible(Int($0)) } }

    @inlinable @inline(never)
    func hasVisible() -> Bool {
        var entry = heads.address(store.slot).pointee.first
        while entry >= 0 {
            if isVisible(Int(entry)) { return true }
            entry = entries.address(Int(entry)).pointee.next
        }
        return false
    }

    @inlinable @inline(never)
    func forEachExpiring(_ body: (UserKey, Value) throws -> Void) rethrows {
        for entry in chain() where table.isUsed(Int(entry)) {
            let key = table.key(at: Int(entry)).key
            if let value = read(Int(entry)) { try body(key, value) }
        }
    }

    // MARK: Writing

    /// Before a write to an entry: what has expired is gone.
    ///
    /// - Parameter replacing: whether the value so far does not matter to what is written.
    /// - Returns: whether the entry is there.
    @inlinable
    func expireBeforeWrite(_ key: UserKey, replacing: Bool) -> Bool {
        guard let expiry, let entry = find(key) else { return false }
        guard expiry.isHiding || replacing, expiry.isExpired(entry, now: expiry.now) else { return true }
        expire(entry)
        return false
    }

    /// Makes an entry ready to be written, with the stamp of now.
    @inlinable @inline(never)
    func prepareWrite(_ key: UserKey) -> Int {
        let isNew = !expireBeforeWrite(key, replacing: false)
        let entry = findOrInsert(key)
        expiry?.touch(entry, isNew: isNew)
        return entry
    }

    @inlinable @inline(never)
    func replaceExpiring(_ key: UserKey, _ value: Value?) {
        let isNew = !expireBeforeWrite(key, replacing: true)
        if let value {
            let entry = findOrInsert(key)
            expiry?.touch(entry, isNew: isNew)
            entries.address(entry).pointee.value = value
        } else if let entry = find(key) {
            unlink(entry, from: store.slot)
        }
    }

    @inlinable @inline(never)
    func clearExpiring() {
        guard let expiry else { return }
        let now = expiry.now
        for entry in chain() where expiry.isExpired(Int(entry), now: now) { expire(Int(entry)) }
        clear(store.slot)
    }

    /// Removes an expired entry.
    @inlinable
    func expire(_ entry: Int) {
        guard let expiry, let value = entries.address(entry).pointee.value else { return }
        let (key, stamp) = (table.key(at: entry), expiry.stamp(entry))
        unlink(entry, from: Int(key.slot))
        guard let listener else { return }
        let store = store
        expiry.report(stamp: stamp) { listener.hear(store, Int(key.slot), (key.key, value)) }
    }

    public func sweep(_ entry: Int, now: Int64, emptied: inout [Int32]) -> Int64? {
        guard let expiry, table.isUsed(entry) else { return nil }
        if expiry.stamp(entry) == .min { expiry.set(now, at: entry) }
        guard expiry.isExpired(entry, now: now) else { return expiry.stamp(entry) }
        let slot = table.key(at: entry).slot
        store.select(Int(slot))
        expire(entry)
        expiry.time.sweptEntries.add(1)
        if heads.address(Int(slot)).pointee.count == 0 { emptied.append(slot) }
        return nil
    }
}
