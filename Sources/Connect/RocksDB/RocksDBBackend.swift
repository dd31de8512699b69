// SPDX-License-Identifier: Apache-2.0
//  Rows of keyed state that rest in RocksDB.

#if RocksDB
    import Glibc
    import Synchronization
    import ThalwegBase
    import ThalwegState
    import ThalwegStorage

    /// Keeps rows of keyed state that memory has no room for in RocksDB, one database for each subtask (FLIP-50).
    ///
    ///     env.settings.state.backend = .store(RocksDBBackend())
    ///     env.settings.state.budgetBytes = 64 << 20
    ///
    /// Checkpoints are the same as of other backends: layers of the rows that have changed. The databases are scratch:
    /// nothing in them is needed after a crash, and they are removed when the job ends, or by the next job in the same
    /// directory when the process was killed.
    public struct RocksDBBackend: RowStoreBackend {
        public var name: String { "rocksdb" }

        public init() {}

        public func begin(in directory: String) throws(ThalwegError) -> any RowStores {
            try RocksDBStores(in: directory)
        }
    }

    /// The databases of one job, in a directory of their own with a lock beside it.
    final class RocksDBStores: RowStores {
        private static let prefix = "thalweg-rocksdb-"
        private static let lockEnding = ".lock"
        /// How many jobs of one process may use a directory at a time.
        private static let jobsMax = 10_000

        let directory: String
        private let lock: (any FileLock)?
        private let count = Atomic<Int>(0)
        private let isOver = Atomic<Bool>(false)
        private let fileSystem = LocalFileSystem()

        /// Removes what killed processes have left, and makes a directory that nobody else has.
        init(in parent: String) throws(ThalwegError) {
            try fileSystem.makeDirectory(parent)
            Self.sweep(parent, fileSystem)
            (directory, lock) = try Self.take(parent, fileSystem)
            try fileSystem.removeTree(directory)
            try fileSystem.makeDirectory(directory)
        }

        /// A name that nobody has.
        private static func take(
            _ parent: String, _ fileSystem: LocalFileSystem
        ) throws(ThalwegError) -> (String, (any FileLock)?) {
            var number = 0
            while true {
                let path = "\(parent)/\(prefix)\(getpid())-\(number)"
                do throws(ThalwegError) {
                    return (path, try fileSystem.lock(path + lockEnding, for: "keyed state in RocksDB"))
                } catch {
                    number += 1
                    guard error.primary == LockTable.heldPrimary, number < jobsMax else { throw error }
                }
            }
        }

        private static func sweep(_ parent: String, _ fileSystem: LocalFileSystem) {
            for name in (try? fileSystem.names(in: parent)) ?? []
            where name.hasPrefix(prefix) && name.hasSuffix(lockEnding) {
                let path = "\(parent)/\(name)"
                // Somebody uses it, or nobody can tell.
                guard let lock = try? fileSystem.lock(path, for: "clearing up") else { continue }
                try? fileSystem.removeTree(String(path.dropLast(lockEnding.count)))
                fileSystem.remove(path)
                lock.release()
            }
        }

        func open(_ name: String, budgetBytes: Int) throws(ThalwegError) -> any RowStore {
            let number = count.wrappingAdd(1, ordering: .relaxed).newValue
            return RocksDBStore(try RocksDBHandle("\(directory)/\(number)", name, budgetBytes: budgetBytes))
        }

        func end() {
            // Afterwards the name may be another job's.
            guard !isOver.exchange(true, ordering: .relaxed) else { return }
            // What cannot be removed now is left to the next job, which finds it by the lock.
            if (try? fileSystem.removeTree(directory)) != nil { fileSystem.remove(directory + Self.lockEnding) }
            lock?.release()
        }

        deinit { end() }
    }
#endif
