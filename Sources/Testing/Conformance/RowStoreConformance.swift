// SPDX-License-Identifier: Apache-2.0
//  Tries a store of rows against its contract.

import Thalweg

/// Leads a ``RowStore`` through seeded lives beside a naive twin: batches, lookups, ranges, snapshots that stay as they
/// were, also when the store is there no more.
///
///     @Test func myStoreKeepsTheContract() throws {
///         try RowStoreConformance.check(MyBackend(), in: "/tmp")
///     }
public enum RowStoreConformance {
    /// - Parameters:
    ///   - directory: for the files of the store.
    ///   - steps: of each life.
    /// - Throws: `ThalwegError(.job)` that says what was broken, under which seed and at which step; what the store
    ///   throws.
    public static func check(
        _ backend: some RowStoreBackend, in directory: String, seeds: Range<UInt64> = 0..<20, steps: Int = 300
    ) throws {
        let stores = try backend.begin(in: directory)
        defer { stores.end() }
        for seed in seeds {
            var life = RowStoreLife(
                try stores.open("life \(seed)", budgetBytes: 1 << 16), SeededRandom(seed: seed), seed: seed)
            for step in 0..<steps { try life.step(step) }
            try life.check(steps)
        }
    }
}

/// A store with its twin.
private struct RowStoreLife {
    typealias Twin = [[UInt8]: [UInt8]]

    var store: (any RowStore)?
    var random: SeededRandom
    let seed: UInt64
    var twin = Twin()
    var frozen: [(view: any RowStoreReader & Sendable, twin: Twin)] = []

    init(_ store: any RowStore, _ random: SeededRandom, seed: UInt64) {
        self.store = store
        self.random = random
        self.seed = seed
    }

    /// Short keys of few bytes, so that they meet, are prefixes of each other and differ in their sign bit.
    private mutating func key() -> [UInt8] {
        (0..<1 + Int(random.next() % 3)).map { _ in [0, 1, 0x7F, 0x80, 0xFF][Int(random.next() % 5)] }
    }

    private mutating func value() -> [UInt8] {
        let count = random.next() % 40 == 0 ? 5_000 : Int(random.next() % 40)
        return (0..<count).map { _ in UInt8(truncatingIfNeeded: random.next()) }
    }

    mutating func step(_ step: Int) throws {
        guard let store else { return }
        switch random.next() % 12 {
        case 0..<6:
            var batch = RowBatch()
            for _ in 0..<random.next() % 12 { change(&batch) }
            try store.write(batch)
        case 6:
            frozen.append((store.snapshot(), twin))
            if frozen.count > 3 { frozen.removeFirst() }
        case 7:
            guard let view = frozen.last else { return }
            try compare(view.view, view.twin, step, "a snapshot")
        default: try compare(store, twin, step, "the store")
        }
    }

    private mutating func change(_ batch: inout RowBatch) {
        let (key, other, value) = (key(), key(), value())
        switch random.next() % 16 {
        case 0:
            let (from, to) = key.lexicographicallyPrecedes(other) ? (key, other) : (other, key)
            from.withUnsafeBytes { from in to.withUnsafeBytes { batch.removeRange(from: from, to: $0) } }
            twin = twin.filter { Self.isBelow($0.key, from) || !Self.isBelow($0.key, to) }
        case 1..<5:
            key.withUnsafeBytes { batch.remove($0) }
            twin[key] = nil
        default:
            key.withUnsafeBytes { key in value.withUnsafeBytes { batch.put(key, value: $0) } }
            twin[key] = value
        }
    }

    /// At the end: snapshots outlive the store.
    mutating func check(_ step: Int) throws {
        if let store {
            try compare(store, twin, step, "the store")
            try require(store.memoryBytes >= 0, step, "the memory is negative")
            frozen.append((store.snapshot(), twin))
        }
        store = nil
        for view in frozen { try compare(view.view, view.twin, step, "a snapshot of a store that is gone") }
    }

    private mutating func compare(
        _ reader: any RowStoreReader, _ twin: Twin, _ step: Int, _ what: String
    ) throws {
        let (key, other) = (key(), key())
        var found: [UInt8]?
        let isThere = try key.withUnsafeBytes { try reader.get($0) { found = Array($0) } }
        try require(found == twin[key] && isThere == (found != nil), step, "\(what) has another value of \(key)")
        for (from, to) in [(key, other), ([], [0xFF, 0xFF, 0xFF, 0xFF])] {
            let cursor = try from.withUnsafeBytes { from in
                try to.withUnsafeBytes { try reader.cursor(from: from, to: $0) }
            }
            var entries: [(key: [UInt8], value: [UInt8])] = []
            while try cursor.next() { entries.append((Array(cursor.key), Array(cursor.value))) }
            let expected = twin.filter { !Self.isBelow($0.key, from) && Self.isBelow($0.key, to) }
                .sorted { Self.isBelow($0.key, $1.key) }
            try require(
                entries.map(\.key) == expected.map(\.key) && entries.map(\.value) == expected.map(\.value), step,
                "\(what) has other entries from \(from) to \(to)")
        }
    }

    private static func isBelow(_ left: [UInt8], _ right: [UInt8]) -> Bool { left.lexicographicallyPrecedes(right) }

    private func require(_ holds: Bool, _ step: Int, _ broken: String) throws(ThalwegError) {
        if holds { return }
        throw ThalwegError(.job, "a store of rows breaks its contract", detail: "\(broken); seed \(seed), step \(step)")
    }
}
