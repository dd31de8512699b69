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
        // Whatever happens to one name leaves the other as it is.
        let isLinked = disk.link(root + "/a/_x", to: root + "/a/z")
        #expect(isLinked == (disk is LocalFileSystem))
        if isLinked {
            try write(try disk.create(root + "/a/z"), "other")
            #expect(try disk.byteCount(of: root + "/a/_x") == 6)
            try disk.removeFile(root + "/a/z")
        }
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
            #expect(try LocalFileSystem().names(in: store.root) == [".thalweg-lock", "chk-3", "chk-4"])
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

    // MARK: Locks and paths

    @Test func oneHolderAtATime() throws {
        try withDirectory { root in
            let disks: [(any FileSystem, String)] = [
                (LocalFileSystem(), root), (MemoryFileSystem(), "r"), (CrashDisk(), "r"),
                (FaultyFileSystem(MemoryFileSystem(), DiskFaults()), "r"),
            ]
            for (disk, root) in disks {
                try disk.makeDirectory(root)
                let path = root + "/lock"
                let first = try #require(try disk.lock(path, for: "the first"))
                let error = #expect(throws: ThalwegError.self) { _ = try disk.lock(path, for: "the second") }
                #expect(error?.kind == .retry && error?.primary == LockTable.heldPrimary)
                #expect(error?.detail?.contains("the first") == true, "\(error as Any)")
                if disk is LocalFileSystem { #expect(error?.detail?.contains("process \(getpid()) on ") == true) }
                _ = try disk.lock(path + "-other", for: "the second")
                first.release()
                first.release()
                var second = try disk.lock(path, for: "the second")
                // Letting go twice takes it from nobody.
                first.release()
                #expect(throws: ThalwegError.self) { _ = try disk.lock(path, for: "the third") }
                #expect(second != nil)
                second = nil
                #expect(try disk.lock(path, for: "the third") != nil)
            }
        }
    }

    /// However a process ends, its lock ends with it.
    @Test func aLockDiesWithItsProcess() throws {
        try withDirectory { root in
            let disk = LocalFileSystem()
            try disk.makeDirectory(root)
            let (process, output) = (Process(), Pipe())
            process.executableURL = URL(fileURLWithPath: "/bin/bash")
            process.arguments = ["-c", "exec 9<>\(root)/lock; flock -x 9; echo held; read -r word; :"]
            (process.standardInput, process.standardOutput) = (Pipe(), output)
            try process.run()
            #expect(String(decoding: output.fileHandleForReading.availableData, as: UTF8.self) == "held\n")
            let error = #expect(throws: ThalwegError.self) { _ = try disk.lock(root + "/lock", for: "us") }
            #expect(error?.detail?.contains("an unknown process") == true)
            kill(process.processIdentifier, SIGKILL)
            process.waitUntilExit()
            #expect(try disk.lock(root + "/lock", for: "us") != nil)
        }
    }

    @Test func oneRunInADirectoryOfCheckpoints() throws {
        try withDirectory { root in
            let store = CheckpointStore(root: root + "/ck", fileSystem: LocalFileSystem())
            let lock = try store.prepare(for: "job sums")
            // The same directory by another name.
            let other = CheckpointStore(root: root + "/./ck/", fileSystem: LocalFileSystem())
            let error = #expect(throws: ThalwegError.self) { try other.prepare(for: "job sums") }
            #expect(error?.kind == .retry)
            #expect(error?.primary == "another run is at work in the directory of checkpoints")
            #expect(error?.detail?.contains("process \(getpid())") == true && error?.hint?.contains("stop") == true)
            lock?.release()
            try other.prepare()
        }
    }

    /// What a run began with is found again from another directory, and when the store was moved.
    @Test func whereARunBeganIsRememberedWhole() throws {
        try withDirectory { root in
            let disk = LocalFileSystem()
            func store(_ path: String) throws -> CheckpointStore {
                let store = CheckpointStore(root: path, fileSystem: disk)
                try store.prepare()
                return store
            }
            let (old, new) = (try store(root + "/old"), try store(root + "/new"))
            try CheckpointStoreTests().write(old, 3)
            try CheckpointStoreTests().write(new, 5)
            try CheckpointStoreTests().write(new, 6)
            #expect(symlink(root + "/old", root + "/link") == 0)
            // Elsewhere: the whole path, without links.
            try new.noteStart(from: try new.load(root + "/link/chk-3"), repeatsOutput: false)
            #expect(try new.startRecord()?.snapshot == disk.absolutePath(root) + "/old/chk-3")
            #expect(try new.loadLatest()?.metadata.checkpoint == 3)
            // Inside: the path from the root, also when the root was reached by a link, and below other directories.
            #expect(symlink(root + "/new", root + "/other") == 0)
            let linked = CheckpointStore(root: root + "/other", fileSystem: disk)
            try linked.noteStart(from: try linked.load("chk-5"), repeatsOutput: false)
            #expect(try new.startRecord()?.snapshot == "chk-5")
            try disk.makeDirectory(root + "/new/kept")
            #expect(rename(root + "/new/chk-5", root + "/new/kept/mine") == 0)
            try new.noteStart(from: try new.load(root + "/new/kept/mine"), repeatsOutput: false)
            #expect(try new.startRecord()?.snapshot == "kept/mine")
            #expect(rename(root + "/new", root + "/moved") == 0)
            let moved = CheckpointStore(root: root + "/moved", fileSystem: disk)
            #expect(try moved.loadLatest()?.metadata.checkpoint == 5)
        }
    }

    @Test func pathsDoNotDependOnTheDirectory() throws {
        let disk = LocalFileSystem()
        #expect(disk.absolutePath("none/there") == disk.absolutePath(".") + "/none/there")
        #expect(disk.absolutePath("/none/there") == "/none/there")
        #expect(disk.absolutePath("/usr/../usr/.") == "/usr")
    }
}
