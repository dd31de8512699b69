// SPDX-License-Identifier: Apache-2.0
//  The disk of a simulated machine: it outlives the processes that write to it.

import Synchronization
import Thalweg
import ThalwegTesting

/// A disk that stays when the process dies, with what the crash left on it.
public final class SimulatedDisk: FileSystem {
    /// Whether an operation may go on.
    typealias Gate = @Sendable (_ operation: Int, _ path: String) throws(ThalwegError) -> Void

    private struct State {
        var base = CrashDisk()
        var operations = 0
        var onChange: (@Sendable (String, String) -> Void)?
    }

    private let state = Guarded(State())
    private let gate: Gate
    private let locks = LockTable()

    init(gate: @escaping Gate) { self.gate = gate }

    /// Told about every change: what, and the path.
    var onChange: (@Sendable (_ what: String, _ path: String) -> Void)? {
        get { state.withLock { $0.onChange } }
        set { state.withLock { $0.onChange = newValue } }
    }

    /// The changes so far, over all lives.
    public var operations: Int { state.withLock { $0.operations } }

    private var base: CrashDisk { state.withLock { $0.base } }

    /// The machine starts again, with what is left on the disk.
    func restart(_ fate: CrashDisk.Fate) {
        state.withLock { $0.base = CrashDisk($0.base.survivor(fate)) }
        locks.clear()
    }

    /// Mixes a byte of a file with a mask; returns whether there is such a byte.
    func flip(_ path: String, at offset: Int, mask: UInt8) -> Bool {
        state.withLock { state in
            let files = state.base.survivor(.most)
            guard var bytes = files[path], bytes.indices.contains(offset) else { return false }
            bytes[offset] ^= mask
            files[path] = bytes
            state.base = CrashDisk(files)
            return true
        }
    }

    /// All files with their contents, as programs see them.
    public var contents: MemoryFileSystem { base.survivor(.most) }

    private func pass(_ what: String, _ path: String) throws(ThalwegError) {
        onChange?(what, path)
        let number = state.withLock { state in
            state.operations += 1
            return state.operations
        }
        try gate(number, path)
    }

    // MARK: Changes

    public func create(_ path: String) throws(ThalwegError) -> any FileOutput {
        try pass("create", path)
        return Output(try base.create(path), path, self)
    }

    public func reopen(_ path: String, truncatedTo byteCount: Int64) throws(ThalwegError) -> any FileOutput {
        try pass("reopen", path)
        return Output(try base.reopen(path, truncatedTo: byteCount), path, self)
    }

    public func rename(_ path: String, to newPath: String) throws(ThalwegError) {
        try pass("rename", newPath)
        try base.rename(path, to: newPath)
    }

    public func remove(_ path: String) { try? removeFile(path) }

    public func removeFile(_ path: String) throws(ThalwegError) {
        try pass("remove", path)
        try base.removeFile(path)
    }

    public func removeTree(_ path: String) throws(ThalwegError) {
        try pass("removeTree", path)
        try base.removeTree(path)
    }

    public func makeDirectory(_ path: String) throws(ThalwegError) {
        try pass("makeDirectory", path)
        try base.makeDirectory(path)
    }

    public func syncFile(_ path: String) throws(ThalwegError) {
        try pass("sync", path)
        try base.syncFile(path)
    }

    public func syncDirectory(_ path: String) throws(ThalwegError) {
        try pass("syncDirectory", path)
        try base.syncDirectory(path)
    }

    public func lock(_ path: String, for owner: String) throws(ThalwegError) -> (any FileLock)? {
        try locks.lock(path, for: owner)
    }

    // MARK: Reading

    public func files(at path: String) throws(ThalwegError) -> [FileEntry] { try base.files(at: path) }
    public func open(_ path: String) throws(ThalwegError) -> any ByteSource { try base.open(path) }
    public func byteCount(of path: String) throws(ThalwegError) -> Int64 { try base.byteCount(of: path) }
    public func isDirectory(_ path: String) -> Bool { base.isDirectory(path) }
    public func names(in directory: String) throws(ThalwegError) -> [String] { try base.names(in: directory) }

    private final class Output: FileOutput {
        let base: any FileOutput
        let path: String
        let disk: SimulatedDisk

        init(_ base: any FileOutput, _ path: String, _ disk: SimulatedDisk) {
            self.base = base
            self.path = path
            self.disk = disk
        }

        func write(_ bytes: UnsafeRawBufferPointer) throws(ThalwegError) {
            try disk.pass("write", path)
            try base.write(bytes)
        }

        func sync() throws(ThalwegError) {
            try disk.pass("sync", path)
            try base.sync()
        }

        func close() { base.close() }
    }
}
