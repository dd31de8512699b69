// SPDX-License-Identifier: Apache-2.0
//  One open database of RocksDB, its memory, and its errors in the engine's words.

#if RocksDB
    import CRocksDB
    import Glibc
    import ThalwegBase
    import ThalwegStorage

    /// How the memory of a database is divided.
    struct RocksDBSizes: Equatable {
        /// RocksDB makes no smaller write buffers.
        static let writeBufferBytesMin = 64 << 10
        static let writeBufferBytesMax = 64 << 20
        /// How many write buffers there are: one that is filled, one that is written to the disk.
        static let writeBuffers = 2
        static let cacheBytesMin = 128 << 10

        let writeBufferBytes: Int
        let cacheBytes: Int

        /// Half is for what was written last, half for blocks, indexes and filters of files.
        init(budgetBytes: Int) {
            writeBufferBytes = min(
                max(budgetBytes / (2 * Self.writeBuffers), Self.writeBufferBytesMin), Self.writeBufferBytesMax)
            cacheBytes = max(budgetBytes - Self.writeBuffers * writeBufferBytes, Self.cacheBytesMin)
        }

        /// What the database may take.
        var boundBytes: Int { Self.writeBuffers * writeBufferBytes + cacheBytes }
    }

    /// An open database: closed and removed when nobody holds it any more.
    final class RocksDBHandle: @unchecked Sendable {
        // Unchecked: the pointers never change, and RocksDB's functions may be called from any thread; what one caller
        // uses at a time is in ``RocksDBStore``.

        /// The bits of filters for each key: one in a hundred lookups of absent rows reads a block in vain.
        private static let filterBits = 10.0
        private static let blockBytes = 4 << 10
        private static let openFilesMax: Int32 = 256

        let database: OpaquePointer
        let reading: OpaquePointer
        let writing: OpaquePointer
        let name: String
        private let cache: OpaquePointer
        private let path: String

        /// Makes a database.
        ///
        /// - Parameter path: where nothing is yet.
        init(_ path: String, _ name: String, budgetBytes: Int) throws(ThalwegError) {
            let sizes = RocksDBSizes(budgetBytes: budgetBytes)
            cache = rocksdb_cache_create_lru(sizes.cacheBytes)
            reading = rocksdb_readoptions_create()
            writing = rocksdb_writeoptions_create()
            // Recovery is from checkpoints: a log would be written for nobody.
            rocksdb_writeoptions_disable_WAL(writing, 1)
            let options = Self.options(sizes, cache)
            defer { rocksdb_options_destroy(options) }
            var message: UnsafeMutablePointer<CChar>?
            let opened = rocksdb_open(options, path, &message)
            guard let opened, message == nil else {
                rocksdb_cache_destroy(cache)
                rocksdb_readoptions_destroy(reading)
                rocksdb_writeoptions_destroy(writing)
                throw Self.error(message, "a database cannot be made", name)
            }
            database = opened
            self.path = path
            self.name = name
        }

        deinit {
            rocksdb_close(database)
            rocksdb_readoptions_destroy(reading)
            rocksdb_writeoptions_destroy(writing)
            rocksdb_cache_destroy(cache)
            try? LocalFileSystem().removeTree(path)
        }

        private static func options(_ sizes: RocksDBSizes, _ cache: OpaquePointer) -> OpaquePointer {
            let table = rocksdb_block_based_options_create()
            defer { rocksdb_block_based_options_destroy(table) }
            rocksdb_block_based_options_set_block_cache(table, cache)
            // Indexes and filters count as blocks, and are cut up so that a small cache can hold some of them. The
            // cache's capacity is not strict: with a strict one, reads fail when it is full.
            rocksdb_block_based_options_set_cache_index_and_filter_blocks(table, 1)
            rocksdb_block_based_options_set_index_type(
                table, Int32(rocksdb_block_based_table_index_type_two_level_index_search))
            rocksdb_block_based_options_set_partition_filters(table, 1)
            rocksdb_block_based_options_set_filter_policy(table, rocksdb_filterpolicy_create_bloom_full(filterBits))
            rocksdb_block_based_options_set_block_size(table, blockBytes)
            rocksdb_block_based_options_set_format_version(table, 5)
            let options: OpaquePointer = rocksdb_options_create()
            rocksdb_options_set_block_based_table_factory(options, table)
            rocksdb_options_set_create_if_missing(options, 1)
            rocksdb_options_set_error_if_exists(options, 1)
            rocksdb_options_set_write_buffer_size(options, sizes.writeBufferBytes)
            rocksdb_options_set_max_write_buffer_number(options, Int32(RocksDBSizes.writeBuffers))
            let fileBytes = UInt64(min(max(4 * sizes.writeBufferBytes, 1 << 20), 64 << 20))
            rocksdb_options_set_target_file_size_base(options, fileBytes)
            rocksdb_options_set_max_bytes_for_level_base(options, 4 * fileBytes)
            rocksdb_options_set_compression(options, Int32(rocksdb_lz4_compression))
            rocksdb_options_set_max_open_files(options, openFilesMax)
            // One thread of the process writes buffers, another one merges files, for all databases together.
            rocksdb_options_set_max_background_jobs(options, 2)
            rocksdb_options_set_stats_dump_period_sec(options, 0)
            rocksdb_options_set_stats_persist_period_sec(options, 0)
            rocksdb_options_set_keep_log_file_num(options, 1)
            rocksdb_options_set_max_log_file_size(options, 1 << 20)
            // Errors only: nobody reads the log of a database that is removed.
            rocksdb_options_set_info_log_level(options, 3)
            let complete: OpaquePointer = rocksdb_options_create()
            var message: UnsafeMutablePointer<CChar>?
            rocksdb_get_options_from_string(options, "avoid_flush_during_shutdown=true", complete, &message)
            guard message == nil else {
                // It would only end more slowly.
                rocksdb_free(message)
                rocksdb_options_destroy(complete)
                return options
            }
            rocksdb_options_destroy(options)
            return complete
        }

        /// The memory that it takes, as far as RocksDB counts it.
        var memoryBytes: Int {
            var bytes = rocksdb_cache_get_usage(cache)
            for property in ["rocksdb.cur-size-all-mem-tables", "rocksdb.estimate-table-readers-mem"] {
                var value: UInt64 = 0
                if rocksdb_property_int(database, property, &value) == 0 { bytes += Int(clamping: value) }
            }
            return bytes
        }

        // MARK: Errors

        /// Calls a function of RocksDB.
        ///
        /// - Throws: what it says: kind `retry` for what the disk says, else `task`, as the next attempt has another
        ///   database.
        func call<Result>(
            _ what: String, _ body: (UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>) -> Result
        ) throws(ThalwegError) -> Result {
            var message: UnsafeMutablePointer<CChar>?
            let result = body(&message)
            if message != nil { throw Self.error(message, what, name) }
            return result
        }

        /// - Parameter message: is freed.
        static func error(_ message: UnsafeMutablePointer<CChar>?, _ what: String, _ name: String) -> ThalwegError {
            let text = message.map { String(cString: $0) } ?? "no reason given"
            rocksdb_free(message)
            let isDisk = text.hasPrefix("IO error") || text.contains("No space left")
            return ThalwegError(
                isDisk ? .retry : .task, "keyed state in RocksDB: \(what)", detail: "\(name): \(text)",
                hint: isDisk ? "see to room and rights of the directory of --state-directory" : nil)
        }
    }
#endif
