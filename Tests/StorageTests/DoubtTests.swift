// SPDX-License-Identifier: Apache-2.0
//  A checkpoint whose completion has thrown is complete or not, and nobody has to guess.

import Synchronization
import Testing
import ThalwegBase
import ThalwegStorage
import ThalwegTesting

/// A disk whose syncs of directories begin to fail once the metadata has its name.
private final class LateFailure: FileSystem {
    let base = MemoryFileSystem()
    let syncsToFail: Guarded<Int>
    let keepsMetadata: Bool

    init(syncsToFail: Int, keepsMetadata: Bool = false) {
        self.syncsToFail = Guarded(syncsToFail)
        self.keepsMetadata = keepsMetadata
    }

    private static func broken(_ path: String) -> ThalwegError {
        ThalwegError(.retry, "could not sync", detail: path, hint: "check the disk")
    }

    func syncDirectory(_ path: String) throws(ThalwegError) {
        guard base.paths.contains(path + "/_metadata") else { return }
        let fails = syncsToFail.withLock { left in
            defer { left = max(0, left - 1) }
            return left > 0
        }
        if fails { throw Self.broken(path) }
    }
    func removeFile(_ path: String) throws(ThalwegError) {
        if keepsMetadata, path.hasSuffix("/_metadata") { throw Self.broken(path) }
        try base.removeFile(path)
    }
    func files(at path: String) throws(ThalwegError) -> [FileEntry] { try base.files(at: path) }
    func open(_ path: String) throws(ThalwegError) -> any ByteSource { try base.open(path) }
    func create(_ path: String) throws(ThalwegError) -> any FileOutput { try base.create(path) }
    func rename(_ path: String, to newPath: String) throws(ThalwegError) { try base.rename(path, to: newPath) }
    func remove(_ path: String) { base.remove(path) }
    func isDirectory(_ path: String) -> Bool { base.isDirectory(path) }
    func names(in directory: String) throws(ThalwegError) -> [String] { try base.names(in: directory) }
    func byteCount(of path: String) throws(ThalwegError) -> Int64 { try base.byteCount(of: path) }
    func makeDirectory(_ path: String) throws(ThalwegError) { try base.makeDirectory(path) }
    func removeTree(_ path: String) throws(ThalwegError) { try base.removeTree(path) }
    func syncFile(_ path: String) throws(ThalwegError) { try base.syncFile(path) }
}

@Suite struct DoubtTests {
    private func complete(_ disk: LateFailure) throws -> (CheckpointStore, SnapshotMetadata) {
        let store = CheckpointStore(root: "ck", fileSystem: disk)
        try store.prepare()
        let entries: [Entry] = (0..<4).map { (keyed(0, $0), [7]) }
        let file = try #require(
            try store.writeSegment(
                checkpoint: 1, name: "op", operators: ["op"], subtask: 0,
                parts: [part(descriptor("op", "sum"), entries)], isCancelled: { false }))
        let metadata = metadata(1, [file])
        #expect(throws: ThalwegError.self) { try store.complete(metadata) }
        return (store, metadata)
    }

    /// The second attempt to make it durable succeeds: it is complete.
    @Test func whatIsThereIsComplete() throws {
        let (store, metadata) = try complete(LateFailure(syncsToFail: 1))
        #expect(try store.isComplete(afterErrorOf: metadata))
        #expect(try store.load("chk-1").metadata == metadata)
    }

    /// What cannot be made durable is taken away, or nobody could say what a loss of power leaves.
    @Test func whatMayVanishIsTakenAway() throws {
        let (store, metadata) = try complete(LateFailure(syncsToFail: 2))
        #expect(try !store.isComplete(afterErrorOf: metadata))
        #expect(throws: ThalwegError.self) { try store.load("chk-1") }
    }

    /// Neither works: that is said.
    @Test func whatNobodyKnowsIsAnError() throws {
        let (store, metadata) = try complete(LateFailure(syncsToFail: 2, keepsMetadata: true))
        #expect(throws: ThalwegError.self) { try store.isComplete(afterErrorOf: metadata) }
    }

    /// It never got its name.
    @Test func whatIsNotThereIsNotComplete() throws {
        let store = CheckpointStore(root: "ck", fileSystem: MemoryFileSystem())
        try store.prepare()
        #expect(try !store.isComplete(afterErrorOf: metadata(1, [])))
    }

    // MARK: Numbers

    @Test func numbersAhead() throws {
        var ahead = metadata(3, [])
        #expect(try ahead.newestNumber == 3)
        ahead.note(newestNumber: 3)
        #expect(ahead.properties[SnapshotMetadata.newestNumberName] == nil)
        ahead.note(newestNumber: 5)
        #expect(try ahead.newestNumber == 5)
        for text in ["", "x", "2", "-7", "99999999999", "9999999999999999999999"] {
            ahead.properties[SnapshotMetadata.newestNumberName] = text
            let error = #expect(throws: ThalwegError.self) { try ahead.newestNumber }
            #expect(error?.kind == .corrupt && error?.detail?.contains("checkpoint 3") == true)
        }
    }
}
