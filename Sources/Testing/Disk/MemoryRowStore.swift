// SPDX-License-Identifier: Apache-2.0
//  A store of bytes for rows of keyed state that lives in this process: the contract without a disk.

import Glibc
import Synchronization
import Thalweg

/// Stores whose entries are sorted arrays, for tests and simulations.
public final class MemoryRowBackend: RowStoreBackend {
    private struct Failing {
        var body: (@Sendable () throws -> Void)?
    }

    private let opened = Guarded<[String]>([])
    private let failing = Guarded(Failing())
    private let latestCount = Guarded(0)

    public let name: String

    public init(_ name: String = "sorted array") { self.name = name }

    /// The names of all stores that were opened, in their order.
    public var openedNames: [String] { opened.withLock { $0 } }

    /// How many entries the store has that was written to last.
    public var entryCount: Int { latestCount.withLock { $0 } }

    /// What happens before each write: it may throw.
    public func beforeWrites(_ body: (@Sendable () throws -> Void)?) { failing.withLock { $0.body = body } }

    public func begin(in directory: String) -> any RowStores { Stores(self) }

    private final class Stores: RowStores {
        private let backend: MemoryRowBackend

        init(_ backend: MemoryRowBackend) { self.backend = backend }

        func open(_ name: String, budgetBytes: Int) -> any RowStore {
            backend.opened.withLock { $0.append(name) }
            return Store(backend)
        }

        func end() {}
    }

    private final class Store: RowStore {
        private let backend: MemoryRowBackend
        private var contents = Contents()

        init(_ backend: MemoryRowBackend) { self.backend = backend }

        func write(_ batch: borrowing RowBatch) throws {
            try backend.failing.withLock(\.body)?()
            batch.forEach { change in
                switch change {
                case .put(let key, let value): contents.put(Array(key), Array(value))
                case .remove(let key): contents.remove(Array(key))
                case .removeRange(let from, let to): contents.remove(from: Array(from), to: Array(to))
                }
            }
            backend.latestCount.withLock { $0 = contents.keys.count }
        }

        func snapshot() -> any RowStoreReader & Sendable { Frozen(contents) }

        var memoryBytes: Int { contents.keys.reduce(0) { $0 + $1.count } + contents.values.reduce(0) { $0 + $1.count } }

        func get(_ key: UnsafeRawBufferPointer, _ body: (UnsafeRawBufferPointer) throws -> Void) throws -> Bool {
            try contents.get(key, body)
        }

        func cursor(from: UnsafeRawBufferPointer, to: UnsafeRawBufferPointer) -> any RowStoreCursor {
            Cursor(contents, Array(from), Array(to))
        }
    }

    private final class Frozen: RowStoreReader, Sendable {
        private let contents: Contents

        init(_ contents: Contents) { self.contents = contents }

        func get(_ key: UnsafeRawBufferPointer, _ body: (UnsafeRawBufferPointer) throws -> Void) throws -> Bool {
            try contents.get(key, body)
        }

        func cursor(from: UnsafeRawBufferPointer, to: UnsafeRawBufferPointer) -> any RowStoreCursor {
            Cursor(contents, Array(from), Array(to))
        }
    }

    /// Entries in ascending order of their keys.
    private struct Contents: Sendable {
        private(set) var keys: [[UInt8]] = []
        private(set) var values: [[UInt8]] = []

        /// The place of the first key that is not below this one.
        func place(_ key: [UInt8]) -> Int {
            var (low, high) = (0, keys.count)
            while low < high {
                let middle = (low + high) / 2
                if Self.isBelow(keys[middle], key) { low = middle + 1 } else { high = middle }
            }
            return low
        }

        private static func isBelow(_ left: [UInt8], _ right: [UInt8]) -> Bool {
            let order = left.withUnsafeBytes { left in
                right.withUnsafeBytes { right in
                    guard let first = left.baseAddress, let second = right.baseAddress else { return Int32(0) }
                    return memcmp(first, second, min(left.count, right.count))
                }
            }
            return order != 0 ? order < 0 : left.count < right.count
        }

        mutating func put(_ key: [UInt8], _ value: [UInt8]) {
            let place = place(key)
            if place < keys.count, keys[place] == key {
                values[place] = value
            } else {
                keys.insert(key, at: place)
                values.insert(value, at: place)
            }
        }

        mutating func remove(_ key: [UInt8]) {
            let place = place(key)
            guard place < keys.count, keys[place] == key else { return }
            keys.remove(at: place)
            values.remove(at: place)
        }

        mutating func remove(from: [UInt8], to: [UInt8]) {
            let range = place(from)..<max(place(from), place(to))
            keys.removeSubrange(range)
            values.removeSubrange(range)
        }

        func get(_ key: UnsafeRawBufferPointer, _ body: (UnsafeRawBufferPointer) throws -> Void) throws -> Bool {
            let key = Array(key)
            let place = place(key)
            guard place < keys.count, keys[place] == key else { return false }
            try values[place].withUnsafeBytes(body)
            return true
        }
    }

    /// Lends copies of its own, so that whoever keeps them too long is found out by tools.
    private final class Cursor: RowStoreCursor {
        private let contents: Contents
        private var place: Int
        private let end: Int
        private var lentKey = UnsafeMutableRawBufferPointer.allocate(byteCount: 0, alignment: 1)
        private var lentValue = UnsafeMutableRawBufferPointer.allocate(byteCount: 0, alignment: 1)

        init(_ contents: Contents, _ from: [UInt8], _ to: [UInt8]) {
            self.contents = contents
            place = contents.place(from) - 1
            end = contents.place(to)
        }

        deinit {
            lentKey.deallocate()
            lentValue.deallocate()
        }

        func next() -> Bool {
            place += 1
            guard place < end else { return false }
            lend(contents.keys[place], &lentKey)
            lend(contents.values[place], &lentValue)
            return true
        }

        private func lend(_ bytes: [UInt8], _ lent: inout UnsafeMutableRawBufferPointer) {
            lent.deallocate()
            lent = .allocate(byteCount: bytes.count, alignment: 1)
            lent.copyBytes(from: bytes)
        }

        var key: UnsafeRawBufferPointer { UnsafeRawBufferPointer(lentKey) }
        var value: UnsafeRawBufferPointer { UnsafeRawBufferPointer(lentValue) }
    }
}
