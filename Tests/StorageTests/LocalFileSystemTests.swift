// SPDX-License-Identifier: Apache-2.0
//  The real disk, and the one in memory beside it: the same calls, the same results.

import Foundation
import Testing
import ThalwegBase
import ThalwegStorage
import ThalwegTesting

@Suite struct LocalFileSystemTests {
    private func write(_ output: any FileOutput, _ text: String) throws {
        try Array(text.utf8).withUnsafeBytes { try output.write($0) }
        try output.sync()
        output.close()
    }

    private func exercise(_ disk: any FileSystem, _ root: String) throws {
        func fails(_ kind: ThalwegError.Kind, _ body: () throws -> Void) {
            let error = #expect(throws: ThalwegError.self, performing: body)
            #expect(error?.kind == kind)
        }
        try disk.makeDirectory(root + "/a/b")
        try disk.makeDirectory(root + "/a/b")
        #expect(disk.isDirectory(root + "/a/b"))
        #expect(try disk.names(in: root + "/a/b") == [])
        try write(try disk.create(root + "/a/.hidden"), "1")
        try write(try disk.create(root + "/a/_x"), "hello")
        #expect(try disk.names(in: root + "/a") == [".hidden", "_x", "b"])
        #expect(try disk.byteCount(of: root + "/a/_x") == 5)
        try write(try disk.reopen(root + "/a/_x", truncatedTo: 4), "p!")
        let source = try disk.open(root + "/a/_x")
        var bytes = [UInt8](repeating: 0, count: 10)
        let count = try bytes.withUnsafeMutableBytes { try source.read(at: 0, into: $0) }
        #expect(String(decoding: bytes.prefix(count), as: UTF8.self) == "hellp!")
        fails(.corrupt) { _ = try disk.reopen(root + "/a/_x", truncatedTo: 7) }
        fails(.input) { _ = try disk.reopen(root + "/a/none", truncatedTo: 0) }
        fails(.input) { _ = try disk.byteCount(of: root + "/a/none") }
        fails(.input) { _ = try disk.names(in: root + "/none") }
        try disk.rename(root + "/a/_x", to: root + "/a/y")
        try disk.syncDirectory(root + "/a")
        try disk.removeFile(root + "/a/y")
        try disk.removeFile(root + "/a/y")
        #expect(try disk.names(in: root + "/a") == [".hidden", "b"])
        try disk.removeTree(root + "/a")
        try disk.removeTree(root + "/a")
        #expect(!disk.isDirectory(root + "/a"))
    }

    private func withDirectory(_ body: (String) throws -> Void) throws {
        let root = NSTemporaryDirectory() + "thalweg-storage-" + UUID().uuidString
        defer { try? LocalFileSystem().removeTree(root) }
        try body(root)
    }

    @Test func disksAgree() throws {
        try exercise(MemoryFileSystem(), "r")
        try exercise(FaultyFileSystem(MemoryFileSystem(), DiskFaults()), "r")
        try exercise(CrashDisk(), "r")
        try withDirectory { try exercise(LocalFileSystem(), $0) }
    }

    @Test func checkpointsOnTheRealDisk() throws {
        try withDirectory { root in
            let store = CheckpointStore(root: root + "/deep/ck", fileSystem: LocalFileSystem())
            try store.prepare()
            for checkpoint in 1...4 as ClosedRange<Int64> {
                try CheckpointStoreTests().write(store, checkpoint, salt: Int(checkpoint))
                try store.retain(newest: 2)
            }
            try store.prepare()
            #expect(try LocalFileSystem().names(in: store.root) == ["chk-3", "chk-4"])
            let snapshot = try store.load()
            try snapshot.verify()
            #expect(try snapshot.restoredState(of: "op")?.all("sum").count == 384)
        }
    }

    @Test func treesAreRemovedWithoutFollowingLinks() throws {
        try withDirectory { root in
            let disk = LocalFileSystem()
            try write(try disk.create(root + "/kept/file"), "1")
            try disk.makeDirectory(root + "/gone")
            #expect(symlink(root + "/kept", root + "/gone/link") == 0)
            try disk.removeTree(root + "/gone")
            #expect(try disk.names(in: root) == ["kept"])
            #expect(try disk.names(in: root + "/kept") == ["file"])
        }
    }
}
