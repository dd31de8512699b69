// SPDX-License-Identifier: Apache-2.0
//  The backends of keyed state by the names that options have for them.

import ArgumentParser
import ThalwegBase
import ThalwegRuntime

#if RocksDB
    import ThalwegRocksDB
#endif

/// A backend of keyed state as an option names it (FLIP-50).
public enum StateBackendName: String, CaseIterable, Sendable, ExpressibleByArgument {
    /// Rows that memory has no room for rest in layers, as checkpoints are made of. The default.
    case tiered
    /// All rows stay in memory.
    case memory
    /// Rows that memory has no room for rest in RocksDB.
    case rocksdb

    /// - Throws: `ThalwegError(.job)` when the program was built without it.
    public func backend() throws(ThalwegError) -> StateBackend {
        switch self {
        case .tiered: return .tiered
        case .memory: return .memory
        case .rocksdb:
            #if RocksDB
                return .store(RocksDBBackend())
            #else
                throw ThalwegError(
                    .job, "this program was built without RocksDB", detail: "--state-backend rocksdb",
                    hint: "install librocksdb-dev and build with the package trait RocksDB (swift build --traits "
                        + "RocksDB), or use --state-backend tiered")
            #endif
        }
    }
}
