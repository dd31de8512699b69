// SPDX-License-Identifier: Apache-2.0
//  Rows of a dimension table that are kept for a while.

import ThalwegBase

/// How long, and how many, rows found by look-ups are kept in each subtask. Rows are not part of a checkpoint: after a
/// restart they are asked for again.
public struct LookupCache: Sendable, Hashable {
    /// The most rows kept; the one that was not used for longest makes room.
    public let rowsMax: Int
    /// Milliseconds after which a row is asked for again, however often it is used.
    @usableFromInline let lifeAfterWrite: Int64?
    /// Milliseconds without use after which a row is forgotten.
    @usableFromInline let lifeAfterAccess: Int64?
    /// Whether it is also kept that there is no row.
    public let keepsMisses: Bool

    /// - Parameters:
    ///   - expiresAfterWrite: how old a row may be: the longest that a change in the table stays unseen.
    ///   - expiresAfterAccess: how long a row is kept that nobody asks for.
    ///   - keepsMisses: whether "no such row" counts as a row.
    public init(
        rowsMax: Int, expiresAfterWrite: Duration? = nil, expiresAfterAccess: Duration? = nil,
        keepsMisses: Bool = false
    ) {
        self.rowsMax = rowsMax
        lifeAfterWrite = expiresAfterWrite?.wholeMilliseconds
        lifeAfterAccess = expiresAfterAccess?.wholeMilliseconds
        self.keepsMisses = keepsMisses
    }

    @usableFromInline
    func check() throws(ThalwegError) {
        guard rowsMax >= 1, (lifeAfterWrite ?? 1) > 0, (lifeAfterAccess ?? 1) > 0 else {
            throw ThalwegError(
                .job, "a look-up cache makes no sense", detail: "\(rowsMax) rows",
                hint: "give it room for a row at least, and times of a millisecond at least")
        }
    }
}

/// Rows by key, the least recently used first to go. Expired rows are found when they are asked for.
@usableFromInline struct RowCache<Key: Hashable, Row> {
    @usableFromInline struct Node {
        @usableFromInline var key: Key
        @usableFromInline var row: Row
        @usableFromInline var written: Int64
        @usableFromInline var used: Int64
        @usableFromInline var newer: Int
        @usableFromInline var older: Int

        @inlinable
        init(key: Key, row: Row, written: Int64) {
            self.key = key
            self.row = row
            self.written = written
            used = written
            (newer, older) = (-1, -1)
        }
    }

    @usableFromInline let settings: LookupCache
    @usableFromInline var places: [Key: Int] = [:]
    @usableFromInline var nodes: [Node] = []
    @usableFromInline var newest = -1
    @usableFromInline var oldest = -1

    @inlinable
    init(_ settings: LookupCache) { self.settings = settings }

    @inlinable var count: Int { places.count }

    @inlinable
    mutating func row(of key: Key, at now: Int64) -> Row? {
        guard let place = places[key] else { return nil }
        let node = nodes[place]
        if let life = settings.lifeAfterWrite, now - node.written >= life { return nil }
        if let life = settings.lifeAfterAccess, now - node.used >= life { return nil }
        nodes[place].used = now
        moveToFront(place)
        return node.row
    }

    @inlinable
    mutating func keep(_ row: Row, for key: Key, at now: Int64) {
        let place: Int
        if let known = places[key] {
            place = known
        } else if nodes.count < settings.rowsMax {
            place = nodes.count
            nodes.append(Node(key: key, row: row, written: now))
            places[key] = place
            link(place)
            return
        } else {
            place = oldest
            places[nodes[place].key] = nil
            places[key] = place
        }
        (nodes[place].key, nodes[place].row) = (key, row)
        (nodes[place].written, nodes[place].used) = (now, now)
        moveToFront(place)
    }

    @inlinable
    mutating func moveToFront(_ place: Int) {
        guard place != newest else { return }
        let (newer, older) = (nodes[place].newer, nodes[place].older)
        if newer >= 0 { nodes[newer].older = older }
        if older >= 0 { nodes[older].newer = newer } else { oldest = newer }
        link(place)
    }

    @inlinable
    mutating func link(_ place: Int) {
        (nodes[place].newer, nodes[place].older) = (-1, newest)
        if newest >= 0 { nodes[newest].newer = place } else { oldest = place }
        newest = place
    }
}
