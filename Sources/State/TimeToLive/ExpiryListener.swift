// SPDX-License-Identifier: Apache-2.0
//  Who hears of the entries of a state that have expired.

import ThalwegBase

/// What a function wants to be called with each entry that has expired, and its key.
@usableFromInline
struct ExpiryListener<Entry> {
    @usableFromInline let keyName: String
    @usableFromInline let matches: (AnyKeyedStore) -> Bool
    /// Called with the store, the slot of the key, and the entry.
    @usableFromInline let hear: (AnyKeyedStore, Int, Entry) -> Void

    @inlinable
    init<Key: Hashable & Codable & Sendable>(_ body: @escaping (Key, Entry) -> Void) {
        keyName = String(describing: Key.self)
        matches = { $0 is KeyedStore<Key> }
        hear = { store, slot, entry in
            if let store = store as? KeyedStore<Key> { body(store.table.key(at: slot), entry) }
        }
    }

    /// Checks once, when a state is bound, that its keys are what the function takes.
    func check(_ name: String, _ store: AnyKeyedStore) throws(ThalwegError) {
        if matches(store) { return }
        throw ThalwegError(
            .job, "onExpired takes another type of key than the stream has",
            detail: "state \"\(name)\": onExpired takes \(keyName)", hint: "declare its key as the stream's key type")
    }
}
