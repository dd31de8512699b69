// SPDX-License-Identifier: Apache-2.0
//  The backends of keyed state that this build has.

import Thalweg
import ThalwegTesting

#if RocksDB
    import ThalwegRocksDB
#endif

/// A backend as an argument of tests.
struct Backend: Sendable, CustomStringConvertible {
    let description: String
    let backend: StateBackend

    static let memory = Backend(description: "memory", backend: .memory)
    static let tiered = Backend(description: "tiered", backend: .tiered)
    static let sortedArray = Backend(description: "sorted array", backend: .store(MemoryRowBackend()))

    #if RocksDB
        static let all = [
            memory, tiered, sortedArray, Backend(description: "rocksdb", backend: .store(RocksDBBackend())),
        ]
    #else
        static let all = [memory, tiered, sortedArray]
    #endif
}
