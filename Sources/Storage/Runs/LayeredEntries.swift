// SPDX-License-Identifier: Apache-2.0
//  Entries of several segments in one order, the newest of each key (FLIP-50 s4).

import ThalwegBase

/// What a merge asks of the segments it reads.
protocol EntryCursor: AnyObject {
    /// The entry it stands at. Lent until the next call of ``next()``.
    var key: UnsafeRawBufferPointer { get }
    var value: UnsafeRawBufferPointer { get }
    var kind: EntryKind { get }
    /// How many bytes of the key are its row.
    var rowBytes: Int { get }
    /// Moves to the next entry; false at the end.
    func next() throws -> Bool
    /// The row that the first entry wanted lies in, if the segment has a row tombstone for it that lies before.
    var coveringRow: [UInt8]? { get }
    /// What is wrong with the file, in its name.
    func damage(_ place: String, _ reason: String) -> ThalwegError
}

extension SegmentCursor: EntryCursor {
    func damage(_ place: String, _ reason: String) -> ThalwegError { reader.damage(place, reason) }
}

/// One segment in a merge.
struct EntryLayer<Cursor: EntryCursor> {
    let cursor: Cursor
    /// Its age: higher is newer.
    let sequence: Int64
}

/// Merges cursors: a heap by key, then by age.
///
/// Of a key the entry of the newest layer counts; what a tombstone hides is left out. Rows do not lie in one another,
/// and a row whose own bytes are the key of an entry has no other entries. In memory: the cursors.
struct LayeredEntries<Cursor: EntryCursor> {
    /// What comes out besides the entries that are there.
    enum Outcome {
        /// Only what is there: tombstones have done their work.
        case state
        /// Tombstones too, for what lies below all of these layers.
        case layer
    }

    private let layers: [EntryLayer<Cursor>]
    private let outcome: Outcome
    /// Whether layers of one age may hold the same key; the first of them wins.
    private let allowsCopies: Bool
    private let isDescending: Bool
    /// Of descending merges, which meet a row's entries before its tombstone: the age of the newest tombstone of a row.
    private let tombstone: (UnsafeRawBufferPointer) throws -> Int64?
    /// What a layer's cursor stands at, lent until it moves on.
    private struct Head {
        var key: UnsafeRawBufferPointer
        /// The first bytes of the key as a number that orders as keys do.
        var prefix: UInt64
        let sequence: Int64
    }
    private var heads: ContiguousArray<Head> = []
    private var heap: ContiguousArray<Int> = []
    private var isBegun = false
    private let last = GrowingBuffer()
    private var lastBytes = -1
    private var lastSequence: Int64 = 0
    /// The row that is hidden in layers below a sequence; -1: none is.
    private let row = GrowingBuffer()
    private var rowBytes = -1
    private var rowSequence: Int64 = 0

    init(_ layers: [EntryLayer<Cursor>], outcome: Outcome = .state, allowsCopies: Bool = false) {
        self.layers = layers
        self.outcome = outcome
        self.allowsCopies = allowsCopies
        isDescending = false
        tombstone = { _ in nil }
    }

    /// Entries in descending order, from cursors that descend.
    ///
    /// - Parameter tombstone: the highest sequence of a layer that has a row tombstone for this row.
    init(descending layers: [EntryLayer<Cursor>], tombstone: @escaping (UnsafeRawBufferPointer) throws -> Int64?) {
        self.layers = layers
        outcome = .state
        allowsCopies = false
        isDescending = true
        self.tombstone = tombstone
    }

    mutating func forEach(_ body: (UnsafeRawBufferPointer, UnsafeRawBufferPointer) throws -> Void) throws {
        while let cursor = try next() { try body(cursor.key, cursor.value) }
    }

    /// The cursor that stands at the next entry; it is moved on by the next call.
    mutating func next() throws -> Cursor? {
        if layers.count == 1 && outcome == .state {
            let cursor = layers[0].cursor
            while try cursor.next() { if cursor.kind == .put { return cursor } }
            return nil
        }
        if isBegun { try advance() } else { try begin() }
        while let top = heap.first {
            let cursor = layers[top].cursor
            if try isWanted(cursor, layers[top].sequence) { return cursor }
            try advance()
        }
        return nil
    }

    private mutating func isWanted(_ cursor: Cursor, _ sequence: Int64) throws -> Bool {
        let key = cursor.key
        let isOlder = lastBytes >= 0 && compare(last.bytes(lastBytes), key) == 0
        if isOlder && sequence == lastSequence && !allowsCopies {
            throw cursor.damage("a key", "another file of its age has it too")
        }
        lastSequence = sequence
        if !isDescending && cursor.kind == .rowTombstone { hide(key, below: sequence) }
        if isOlder { return false }
        last.hold(key)
        lastBytes = key.count
        if isDescending && cursor.rowBytes < key.count { try lookUpRow(of: cursor) }
        let isCovered = rowBytes >= 0 && begins(key, with: row.bytes(rowBytes))
        if isCovered && sequence < rowSequence { return false }
        switch cursor.kind {
        case .put: return true
        case .rowTombstone: return outcome == .layer
        // A row's tombstone says the same of what lies below.
        case .tombstone: return outcome == .layer && !isCovered
        }
    }

    private mutating func hide(_ key: UnsafeRawBufferPointer, below sequence: Int64) {
        if rowBytes >= 0 && compare(row.bytes(rowBytes), key) == 0 {
            rowSequence = max(rowSequence, sequence)
            return
        }
        row.hold(key)
        rowBytes = key.count
        rowSequence = sequence
    }

    private mutating func lookUpRow(of cursor: Cursor) throws {
        let bytes = UnsafeRawBufferPointer(rebasing: cursor.key[..<cursor.rowBytes])
        if rowBytes >= 0 && compare(row.bytes(rowBytes), bytes) == 0 { return }
        let sequence = try tombstone(bytes) ?? .min
        row.hold(bytes)
        rowBytes = bytes.count
        rowSequence = sequence
    }

    // MARK: The heap

    private mutating func begin() throws {
        isBegun = true
        for index in layers.indices {
            let isThere = try layers[index].cursor.next()
            let key = isThere ? layers[index].cursor.key : UnsafeRawBufferPointer(start: nil, count: 0)
            heads.append(Head(key: key, prefix: key.orderedPrefix, sequence: layers[index].sequence))
            if isThere { heap.append(index) }
            if let covering = layers[index].cursor.coveringRow {
                covering.withUnsafeBytes { hide($0, below: layers[index].sequence) }
            }
        }
        for place in heap.indices.reversed() { sink(place) }
    }

    private mutating func advance() throws {
        guard let top = heap.first else { return }
        let cursor = layers[top].cursor
        if try cursor.next() {
            let key = cursor.key
            heads[top].key = key
            heads[top].prefix = key.orderedPrefix
        } else {
            heap[0] = heap[heap.count - 1]
            heap.removeLast()
        }
        sink(0)
    }

    private func isBefore(_ left: Int, _ right: Int) -> Bool {
        let (one, other) = (heads[left], heads[right])
        if one.prefix != other.prefix { return isDescending ? one.prefix > other.prefix : one.prefix < other.prefix }
        let order = compare(one.key, other.key)
        if order != 0 { return isDescending ? order > 0 : order < 0 }
        return one.sequence != other.sequence ? one.sequence > other.sequence : left < right
    }

    private mutating func sink(_ start: Int) {
        var place = start
        while true {
            var least = place
            let left = 2 * place + 1
            if left < heap.count && isBefore(heap[left], heap[least]) { least = left }
            if left + 1 < heap.count && isBefore(heap[left + 1], heap[least]) { least = left + 1 }
            if least == place { return }
            heap.swapAt(place, least)
            place = least
        }
    }
}
