// SPDX-License-Identifier: Apache-2.0
//  A loss of power at any operation and any byte leaves a checkpoint complete or ignored (FLIP-47).

import Testing
import ThalwegBase
import ThalwegStorage
import ThalwegTesting

@Suite struct CrashTests {
    static let fates: [CrashDisk.Fate] = [.least, .most] + (0..<6).map { .torn(seed: $0) }

    /// A job's life on a disk: three checkpoints, of which the newest two are kept. Gives those that were completed.
    private func live(on disk: CrashDisk) -> (done: [Int64], error: (any Error)?) {
        var done: [Int64] = []
        do {
            let store = try CheckpointStoreTests().store(disk)
            for checkpoint in 1...3 as ClosedRange<Int64> {
                try CheckpointStoreTests().write(store, checkpoint, salt: Int(checkpoint), perGroup: 1)
                done.append(checkpoint)
                try store.retain(newest: 2)
            }
            return (done, nil)
        } catch { return (done, error) }
    }

    private func check(_ disk: CrashDisk, done: [Int64], fate: CrashDisk.Fate, _ place: String) throws {
        let rest = disk.survivor(fate)
        let store = CheckpointStore(root: "ck", fileSystem: rest)
        try store.prepare()
        let listed = try store.list()
        #expect(listed.allSatisfy { $0.metadata != nil }, "\(place) \(fate): nothing looks complete that is damaged")
        for listing in listed {
            let snapshot = try store.load(listing.path)
            try snapshot.verify()
            let sums = try snapshot.restoredState(of: "op")?.all("sum") ?? []
            #expect(sums.count == 128 && sums.allSatisfy { Int64($0.value[0]) == listing.checkpoint })
        }
        // What was reported complete is there, unless a newer one had followed it.
        if let last = done.last { #expect(listed.first.map { $0.checkpoint >= last } == true, "\(place) \(fate)") }
        let kept = Set(listed.map { "ck/chk-\($0.checkpoint)/" })
        #expect(
            rest.paths.allSatisfy { path in kept.contains { path.hasPrefix($0) } }, "\(place) \(fate): \(rest.paths)")
    }

    @Test func everyOperation() throws {
        let whole = CrashDisk()
        #expect(live(on: whole).done == [1, 2, 3])
        for limit in 0...whole.operations {
            let disk = CrashDisk()
            disk.crashAfterOperations = limit
            let (done, error) = live(on: disk)
            #expect((error != nil) == (limit < whole.operations))
            for fate in Self.fates { try check(disk, done: done, fate: fate, "operation \(limit)") }
        }
    }

    @Test func everyByteOfTheMetadata() throws {
        let whole = CrashDisk()
        let store = try CheckpointStoreTests().store(whole)
        let files = try CheckpointStoreTests().write(store, 1, perGroup: 1).files
        let start = whole.bytesWritten - Int(try whole.byteCount(of: "ck/chk-1/_metadata"))
        #expect(files.count == 2 && start > 0)
        for limit in start..<whole.bytesWritten {
            let disk = CrashDisk()
            disk.crashAfterBytes = limit
            #expect(throws: ThalwegError.self) {
                try CheckpointStoreTests().write(try CheckpointStoreTests().store(disk), 1, perGroup: 1)
            }
            for fate in [.least, .most, .torn(seed: UInt64(limit))] as [CrashDisk.Fate] {
                let rest = CheckpointStore(root: "ck", fileSystem: disk.survivor(fate))
                try rest.prepare()
                #expect(try rest.list().isEmpty, "byte \(limit) \(fate)")
            }
        }
    }

    /// The disk itself: what is synced survives, what is not may not.
    @Test func theDiskForgetsWhatIsNotSynced() throws {
        let disk = CrashDisk()
        let output = try disk.create("d/a")
        try [UInt8]("abc".utf8).withUnsafeBytes { try output.write($0) }
        try output.sync()
        #expect(disk.survivor(.least).paths == [])
        #expect(disk.survivor(.most).paths == ["d/a"])
        try disk.syncDirectory("d")
        #expect(disk.survivor(.least).paths == [], "the directory's own name is not durable")
        try disk.syncDirectory(".")
        try [UInt8]("def".utf8).withUnsafeBytes { try output.write($0) }
        #expect(disk.survivor(.least).text("d/a") == "abc")
        #expect(disk.survivor(.most).text("d/a") == "abcdef")
        let torn = Set((0..<50).map { disk.survivor(.torn(seed: $0)).text("d/a") })
        #expect(torn == ["abc", "abcd", "abcde", "abcdef"])
        disk.crashAfterOperations = disk.operations + 1
        #expect(throws: ThalwegError.self) { try disk.rename("d/a", to: "d/b") }
        #expect(disk.survivor(.least).paths == ["d/a"])
        #expect(disk.survivor(.most).paths == ["d/b"])
    }
}
