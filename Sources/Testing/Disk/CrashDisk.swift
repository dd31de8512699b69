// SPDX-License-Identifier: Apache-2.0
//  A disk that loses what was not made durable.

import Synchronization
import Thalweg

/// A disk in memory whose machine may lose power at any operation, as strict as POSIX allows: bytes survive from
/// `sync` on, names from `syncDirectory` or a rename's own sync on, and nothing else need survive.
///
/// Set ``crashAfterOperations`` or ``crashAfterBytes``, run until the error, then look at ``survivor(_:)``: a test
/// repeats that for every operation. Every change counts as an operation: create, write, sync, rename, remove, making
/// and syncing a directory.
public final class CrashDisk: FileSystem {
    /// What a loss of power leaves of that which was not durable.
    public enum Fate: Sendable, Hashable {
        /// Nothing.
        case least
        /// All of it.
        case most
        /// Of each file a beginning of the bytes not synced, of each directory the first of the changes not synced.
        case torn(seed: UInt64)
    }

    private struct File {
        var bytes: [UInt8] = []
        /// What `sync` made durable.
        var synced: [UInt8] = []
    }

    /// A change of the names in a directory.
    private enum Change {
        case bind(String, Int)
        case unbind(String)
        case rename(String, String, Int)
    }

    private struct State {
        var files: [Int: File] = [:]
        /// Files by number, directories as -1.
        var names: [String: Int] = [:]
        var durableNames: [String: Int] = [:]
        /// Changes that are not durable yet, by directory, in order.
        var changes: [String: [Change]] = [:]
        var operations = 0
        var bytes = 0
        var crashAfterOperations: Int?
        var crashAfterBytes: Int?
        var hasCrashed = false
    }

    private let state = Guarded(State())
    private let locks = LockTable()

    public init() {}

    /// A disk on which these files are durable.
    public convenience init(_ survivor: MemoryFileSystem) {
        self.init()
        state.withLock { state in
            for (id, path) in survivor.paths.enumerated() {
                let bytes = survivor[path] ?? []
                for directory in Self.ancestors(of: path) { state.names[directory] = Self.directoryID }
                state.files[id] = File(bytes: bytes, synced: bytes)
                state.names[path] = id
            }
            state.durableNames = state.names
        }
    }

    /// The number of operations after which the power fails; nil: never.
    public var crashAfterOperations: Int? {
        get { state.withLock { $0.crashAfterOperations } }
        set { state.withLock { $0.crashAfterOperations = newValue } }
    }

    /// The number of bytes written after which the power fails, in the midst of a write; nil: never.
    public var crashAfterBytes: Int? {
        get { state.withLock { $0.crashAfterBytes } }
        set { state.withLock { $0.crashAfterBytes = newValue } }
    }

    /// The operations so far.
    public var operations: Int { state.withLock { $0.operations } }

    /// The bytes written so far.
    public var bytesWritten: Int { state.withLock { $0.bytes } }

    /// Whether the power has failed.
    public var hasCrashed: Bool { state.withLock { $0.hasCrashed } }

    /// What the disk holds when the machine comes back.
    public func survivor(_ fate: Fate) -> MemoryFileSystem {
        let disk = MemoryFileSystem()
        state.withLock { state in
            var random = SeededRandom(seed: 0)
            if case .torn(let seed) = fate { random = SeededRandom(seed: seed) }
            func part(of count: Int) -> Int {
                switch fate {
                case .least: 0
                case .most: count
                case .torn: Int(random.next() % UInt64(count + 1))
                }
            }
            var names = state.durableNames
            for (_, changes) in state.changes.sorted(by: { $0.key < $1.key }) {
                for change in changes.prefix(part(of: changes.count)) { Self.apply(change, to: &names) }
            }
            for (path, id) in names.sorted(by: { $0.key < $1.key }) {
                let isReachable = Self.ancestors(of: path).allSatisfy { names[$0] != nil }
                guard let file = state.files[id], isReachable else { continue }
                let synced = file.synced.count
                let isAppended = file.bytes.count >= synced && file.bytes.starts(with: file.synced)
                if isAppended {
                    disk[path] = Array(file.bytes.prefix(synced + part(of: file.bytes.count - synced)))
                } else {
                    // Cut or written anew: either the one or the other.
                    disk[path] = part(of: 1) == 0 ? file.synced : file.bytes
                }
            }
        }
        return disk
    }

    // MARK: Operations

    private func change<Result>(_ body: (inout State) throws(ThalwegError) -> Result) throws(ThalwegError) -> Result {
        let result = state.withLock { state -> Swift.Result<Result, ThalwegError> in
            if state.crashAfterOperations.map({ state.operations >= $0 }) ?? false { state.hasCrashed = true }
            if state.hasCrashed { return .failure(Self.crash) }
            state.operations += 1
            do throws(ThalwegError) {
                return .success(try body(&state))
            } catch {
                return .failure(error)
            }
        }
        return try result.get()
    }

    private static let crash = ThalwegError(
        .retry, "the machine has lost power", hint: "start again with what the disk still holds")

    private static func apply(_ change: Change, to names: inout [String: Int]) {
        switch change {
        case .bind(let path, let id): names[path] = id
        case .unbind(let path): names[path] = nil
        case .rename(let path, let newPath, let id):
            names[path] = nil
            names[newPath] = id
        }
    }

    /// A directory's name without the `/` that it may end in.
    private static func plain(_ path: String) -> String {
        path.count > 1 && path.hasSuffix("/") ? String(path.dropLast()) : path
    }

    private static func parent(_ path: String) -> String {
        path.lastIndex(of: "/").map { String(path[..<$0]) } ?? "."
    }

    private static let directoryID = -1

    /// The directories above a path, the highest first.
    private static func ancestors(of path: String) -> [String] {
        path.indices.filter { path[$0] == "/" && $0 != path.startIndex }.map { String(path[..<$0]) }
    }

    private static func makeDirectories(above path: String, in state: inout State) {
        for directory in ancestors(of: path) where state.names[directory] == nil {
            note(.bind(directory, directoryID), at: directory, in: &state)
        }
    }

    private static func note(_ change: Change, at path: String, in state: inout State) {
        apply(change, to: &state.names)
        state.changes[parent(path), default: []].append(change)
    }

    private static func syncNames(of directory: String, in state: inout State) {
        for change in state.changes.removeValue(forKey: directory) ?? [] { apply(change, to: &state.durableNames) }
    }

    public func create(_ path: String) throws(ThalwegError) -> any FileOutput {
        let id = try change { state in
            if let id = state.names[path] {
                state.files[id]?.bytes = []
                return id
            }
            let id = (state.files.keys.max() ?? -1) + 1
            state.files[id] = File()
            Self.makeDirectories(above: path, in: &state)
            Self.note(.bind(path, id), at: path, in: &state)
            return id
        }
        return Output(id: id, disk: self)
    }

    public func reopen(_ path: String, truncatedTo byteCount: Int64) throws(ThalwegError) -> any FileOutput {
        let id = try change { state throws(ThalwegError) in
            guard let id = state.names[path], let count = state.files[id]?.bytes.count else {
                throw MemoryFileSystem.missing(path)
            }
            guard count >= byteCount else { throw Self.tooShort(path, has: Int64(count), promised: byteCount) }
            state.files[id]?.bytes.removeLast(count - Int(byteCount))
            return id
        }
        return Output(id: id, disk: self)
    }

    public func rename(_ path: String, to newPath: String) throws(ThalwegError) {
        try change { state throws(ThalwegError) in
            guard let id = state.names[path] else { throw MemoryFileSystem.missing(path) }
            Self.note(.rename(path, newPath, id), at: newPath, in: &state)
        }
        try syncDirectory(Self.parent(newPath))
    }

    public func remove(_ path: String) { try? removeFile(path) }

    public func removeFile(_ path: String) throws(ThalwegError) {
        try change { state in
            if state.names[path] != nil { Self.note(.unbind(path), at: path, in: &state) }
        }
    }

    public func removeTree(_ path: String) throws(ThalwegError) {
        let below = state.withLock { $0.names.keys.filter { $0 == path || $0.hasPrefix(path + "/") }.sorted() }
        for name in below.reversed() { try removeFile(name) }
    }

    public func makeDirectory(_ path: String) throws(ThalwegError) {
        try change { state in Self.makeDirectories(above: Self.plain(path) + "/", in: &state) }
    }

    /// Makes a file's bytes durable by its name.
    public func syncFile(_ path: String) throws(ThalwegError) {
        try change { state throws(ThalwegError) in
            guard let id = state.names[path], let bytes = state.files[id]?.bytes else {
                throw MemoryFileSystem.missing(path)
            }
            state.files[id]?.synced = bytes
        }
    }

    public func syncDirectory(_ path: String) throws(ThalwegError) {
        try change { state in Self.syncNames(of: Self.plain(path), in: &state) }
    }

    public func lock(_ path: String, for owner: String) throws(ThalwegError) -> (any FileLock)? {
        try locks.lock(path, for: owner)
    }

    // MARK: Reading

    /// What programs see now, durable or not.
    private var view: MemoryFileSystem {
        let disk = MemoryFileSystem()
        state.withLock { state in
            for (path, id) in state.names { disk[path] = state.files[id]?.bytes }
        }
        return disk
    }

    public func files(at path: String) throws(ThalwegError) -> [FileEntry] { try view.files(at: path) }

    public func open(_ path: String) throws(ThalwegError) -> any ByteSource { try view(of: path).open(path) }

    public func byteCount(of path: String) throws(ThalwegError) -> Int64 { try view(of: path).byteCount(of: path) }

    /// One file as programs see it now.
    private func view(of path: String) -> MemoryFileSystem {
        let disk = MemoryFileSystem()
        state.withLock { state in
            if let id = state.names[path] { disk[path] = state.files[id]?.bytes }
        }
        return disk
    }

    public func isDirectory(_ path: String) -> Bool {
        let path = Self.plain(path)
        return path == "." || state.withLock { $0.names[path] == Self.directoryID }
    }

    public func names(in directory: String) throws(ThalwegError) -> [String] {
        let directory = Self.plain(directory)
        guard isDirectory(directory) else { throw MemoryFileSystem.missing(directory) }
        let below = state.withLock { $0.names.keys.filter { $0.hasPrefix(directory + "/") } }
        let names = below.map { $0.dropFirst(directory.count + 1).prefix { $0 != "/" } }
        return Set(names).map(String.init).sorted()
    }

    private final class Output: FileOutput {
        let id: Int
        let disk: CrashDisk

        init(id: Int, disk: CrashDisk) {
            self.id = id
            self.disk = disk
        }

        func write(_ bytes: UnsafeRawBufferPointer) throws(ThalwegError) {
            let id = self.id
            try disk.change { state throws(ThalwegError) in
                let room = state.crashAfterBytes.map { max(0, $0 - state.bytes) } ?? bytes.count
                state.files[id]?.bytes.append(contentsOf: bytes.prefix(room))
                state.bytes += min(room, bytes.count)
                guard room >= bytes.count else {
                    state.hasCrashed = true
                    throw CrashDisk.crash
                }
            }
        }

        func sync() throws(ThalwegError) {
            let id = self.id
            try disk.change { state in
                let bytes = state.files[id]?.bytes ?? []
                state.files[id]?.synced = bytes
            }
        }

        func close() {}
    }
}
