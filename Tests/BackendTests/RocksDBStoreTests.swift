// SPDX-License-Identifier: Apache-2.0
//  RocksDB as a store of rows: the contract, its memory, and what it leaves on the disk.

#if RocksDB
    import Foundation
    import Testing
    import Thalweg
    import ThalwegTesting

    @testable import ThalwegRocksDB

    @Suite struct RocksDBStoreTests {
        /// A directory of its own, removed in the end.
        final class Scratch {
            let path = NSTemporaryDirectory() + "thalweg-rocksdb-tests-\(UUID().uuidString)"

            deinit { try? FileManager.default.removeItem(atPath: path) }

            var names: [String] { ((try? FileManager.default.contentsOfDirectory(atPath: path)) ?? []).sorted() }
        }

        @Test func theContractIsKept() throws {
            let scratch = Scratch()
            try RowStoreConformance.check(RocksDBBackend(), in: scratch.path)
            #expect(scratch.names == [])
        }

        /// What a killed process has left goes when the next one begins; what is in use stays.
        @Test func leftoversAreRemoved() throws {
            let scratch = Scratch()
            let first = try RocksDBStores(in: scratch.path)
            let store = try first.open("rows", budgetBytes: 1 << 20)
            let left = scratch.path + "/thalweg-rocksdb-1-0"
            try FileManager.default.createDirectory(atPath: left + "/1", withIntermediateDirectories: true)
            #expect(FileManager.default.createFile(atPath: left + ".lock", contents: nil))
            #expect(FileManager.default.createFile(atPath: left + "/1/000001.sst", contents: Data([1])))
            let second = try RocksDBStores(in: scratch.path)
            #expect(!FileManager.default.fileExists(atPath: left) && first.directory != second.directory)
            #expect(FileManager.default.fileExists(atPath: first.directory + "/1"))
            var batch = RowBatch()
            [UInt8(1)].withUnsafeBytes { batch.put($0, value: $0) }
            try store.write(batch)
            second.end()
            first.end()
            #expect(scratch.names == [])
        }

        @Test func memoryKeepsToItsSizes() throws {
            #expect(RocksDBSizes(budgetBytes: 64 << 20).boundBytes == 64 << 20)
            #expect(RocksDBSizes(budgetBytes: 1 << 30).writeBufferBytes == RocksDBSizes.writeBufferBytesMax)
            #expect(RocksDBSizes(budgetBytes: 1).boundBytes == 256 << 10)
            let scratch = Scratch()
            let stores = try RocksDBStores(in: scratch.path)
            let budget = 4 << 20
            let store = try stores.open("rows", budgetBytes: budget)
            var random = SeededRandom(seed: 1)
            var most = 0
            for _ in 0..<400 {
                var batch = RowBatch()
                for _ in 0..<100 {
                    let key = withUnsafeBytes(of: random.next()) { Array($0) }
                    let value = (0..<400).map { _ in UInt8(truncatingIfNeeded: random.next()) }
                    key.withUnsafeBytes { key in value.withUnsafeBytes { batch.put(key, value: $0) } }
                }
                try store.write(batch)
                for _ in 0..<20 {
                    let key = withUnsafeBytes(of: random.next()) { Array($0) }
                    _ = try key.withUnsafeBytes { try store.get($0) { _ in } }
                }
                most = max(most, store.memoryBytes)
            }
            // 16 MB were written. A write buffer that is full is over its size by the piece that filled it.
            #expect(most > budget / 8 && most < budget * 5 / 4, "\(most) of \(budget)")
            stores.end()
        }

        /// A directory that cannot be made is an error that says so.
        @Test func aBadDirectoryIsRefused() throws {
            let scratch = Scratch()
            try FileManager.default.createDirectory(atPath: scratch.path, withIntermediateDirectories: true)
            #expect(FileManager.default.createFile(atPath: scratch.path + "/file", contents: nil))
            #expect(throws: ThalwegError.self) { try RocksDBBackend().begin(in: scratch.path + "/file") }
        }
    }
#endif
