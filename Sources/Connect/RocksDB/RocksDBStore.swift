// SPDX-License-Identifier: Apache-2.0
//  A database of RocksDB as a store of rows.

#if RocksDB
    import CRocksDB
    import ThalwegBase
    import ThalwegState

    /// The database of one subtask.
    final class RocksDBStore: RowStore {
        private let handle: RocksDBHandle
        private let changes: OpaquePointer = rocksdb_writebatch_create()

        init(_ handle: RocksDBHandle) { self.handle = handle }

        deinit { rocksdb_writebatch_destroy(changes) }

        var memoryBytes: Int { handle.memoryBytes }

        func write(_ batch: borrowing RowBatch) throws {
            rocksdb_writebatch_clear(changes)
            batch.forEach { change in
                switch change {
                case .put(let key, let value):
                    rocksdb_writebatch_put(changes, key.text, key.count, value.text, value.count)
                case .remove(let key): rocksdb_writebatch_delete(changes, key.text, key.count)
                case .removeRange(let from, let to):
                    rocksdb_writebatch_delete_range(changes, from.text, from.count, to.text, to.count)
                }
            }
            try handle.call("rows cannot be written") { rocksdb_write(handle.database, handle.writing, changes, $0) }
        }

        func get(_ key: UnsafeRawBufferPointer, _ body: (UnsafeRawBufferPointer) throws -> Void) throws -> Bool {
            try handle.get(key, handle.reading, body)
        }

        func cursor(from: UnsafeRawBufferPointer, to: UnsafeRawBufferPointer) -> any RowStoreCursor {
            RocksDBCursor(handle, nil, from: from, to: to)
        }

        func snapshot() -> any RowStoreReader & Sendable { RocksDBSnapshot(handle) }
    }

    /// The contents of a database at one moment.
    private final class RocksDBSnapshot: RowStoreReader, @unchecked Sendable {
        // Unchecked: the pointers never change, and may be used from any thread.
        private let handle: RocksDBHandle
        private let snapshot: OpaquePointer?
        private let reading: OpaquePointer = rocksdb_readoptions_create()

        init(_ handle: RocksDBHandle) {
            self.handle = handle
            snapshot = rocksdb_create_snapshot(handle.database)
            rocksdb_readoptions_set_snapshot(reading, snapshot)
            // What a checkpoint reads once does not drive out what the task needs.
            rocksdb_readoptions_set_fill_cache(reading, 0)
        }

        deinit {
            rocksdb_readoptions_destroy(reading)
            rocksdb_release_snapshot(handle.database, snapshot)
        }

        func get(_ key: UnsafeRawBufferPointer, _ body: (UnsafeRawBufferPointer) throws -> Void) throws -> Bool {
            try handle.get(key, reading, body)
        }

        func cursor(from: UnsafeRawBufferPointer, to: UnsafeRawBufferPointer) -> any RowStoreCursor {
            RocksDBCursor(handle, snapshot, from: from, to: to)
        }
    }

    /// A range of a database, as it was when the cursor was made.
    private final class RocksDBCursor: RowStoreCursor {
        private let handle: RocksDBHandle
        private let reading: OpaquePointer = rocksdb_readoptions_create()
        private let iterator: OpaquePointer
        // RocksDB looks at it as long as there is an iterator.
        private let bound: UnsafeMutableRawBufferPointer
        private var hasBegun = false

        init(
            _ handle: RocksDBHandle, _ snapshot: OpaquePointer?, from: UnsafeRawBufferPointer,
            to: UnsafeRawBufferPointer
        ) {
            self.handle = handle
            bound = .allocate(byteCount: max(1, to.count), alignment: 1)
            bound.copyBytes(from: to)
            if let snapshot {
                rocksdb_readoptions_set_snapshot(reading, snapshot)
                rocksdb_readoptions_set_fill_cache(reading, 0)
            }
            rocksdb_readoptions_set_iterate_upper_bound(reading, UnsafeRawBufferPointer(bound).text, to.count)
            iterator = rocksdb_create_iterator(handle.database, reading)
            rocksdb_iter_seek(iterator, from.text, from.count)
        }

        deinit {
            rocksdb_iter_destroy(iterator)
            rocksdb_readoptions_destroy(reading)
            bound.deallocate()
        }

        func next() throws -> Bool {
            if hasBegun && rocksdb_iter_valid(iterator) != 0 { rocksdb_iter_next(iterator) }
            hasBegun = true
            if rocksdb_iter_valid(iterator) != 0 { return true }
            try handle.call("rows cannot be read") { rocksdb_iter_get_error(iterator, $0) }
            return false
        }

        var key: UnsafeRawBufferPointer {
            var count = 0
            return UnsafeRawBufferPointer(start: rocksdb_iter_key(iterator, &count), count: count)
        }

        var value: UnsafeRawBufferPointer {
            var count = 0
            return UnsafeRawBufferPointer(start: rocksdb_iter_value(iterator, &count), count: count)
        }
    }

    extension RocksDBHandle {
        fileprivate func get(
            _ key: UnsafeRawBufferPointer, _ reading: OpaquePointer, _ body: (UnsafeRawBufferPointer) throws -> Void
        ) throws -> Bool {
            let found = try call("a row cannot be read") {
                rocksdb_get_pinned(database, reading, key.text, key.count, $0)
            }
            guard let found else { return false }
            defer { rocksdb_pinnableslice_destroy(found) }
            var count = 0
            let start = rocksdb_pinnableslice_value(found, &count)
            try body(UnsafeRawBufferPointer(start: start, count: count))
            return true
        }
    }

    extension UnsafeRawBufferPointer {
        /// The bytes as C takes them.
        fileprivate var text: UnsafePointer<CChar>? { baseAddress?.assumingMemoryBound(to: CChar.self) }
    }
#endif
