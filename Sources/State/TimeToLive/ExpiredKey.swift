// SPDX-License-Identifier: Apache-2.0
//  The type of the key that a function wants to hear expired state with.

import ThalwegBase

/// Checks once, when a state is bound, that its keys are what its `onExpired` takes.
@usableFromInline
struct ExpiredKey {
    private let type: String
    private let matches: (AnyKeyedStore) -> Bool

    @usableFromInline
    init<Key: Hashable & Codable & Sendable>(_: Key.Type) {
        type = String(describing: Key.self)
        matches = { $0 is KeyedStore<Key> }
    }

    func check(_ name: String, _ store: AnyKeyedStore) throws(ThalwegError) {
        if matches(store) { return }
        throw ThalwegError(
            .job, "onExpired takes another type of key than the stream has",
            detail: "state \"\(name)\": onExpired takes \(type)", hint: "declare its key as the stream's key type")
    }
}
