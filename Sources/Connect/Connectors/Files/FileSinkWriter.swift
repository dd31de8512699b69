// SPDX-License-Identifier: Apache-2.0
//  Writes the files of one subtask of a sink.

import Synchronization
import ThalwegBase
import ThalwegData
import ThalwegFormats
import ThalwegOperator
import ThalwegStorage

/// Writes the files of one subtask of a ``FileSink``.
public final class FileSinkWriter<Element>: SinkWriter where Element: Sendable {
    /// Bytes are handed to the file system in pieces of this size; smaller ones where many files are open.
    static var bufferBytes: Int { 256 * 1024 }
    static var partitionBufferBytes: Int { 32 * 1024 }

    private let sink: FileSink<Element>
    private let context: SinkContext
    private let place: FilePlace
    private let policy: RollingPolicy
    private let writer: any RecordWriter<Element>
    private let durability = FileDurability()
    /// The unfinished files by partition.
    private var files: [String: PartFile] = [:]
    /// Full files that wait for the next barrier.
    private var full: [PartFile] = []
    private var openCount = 0
    private var useCount: UInt64 = 0
    /// The last checkpoint that was prepared, or gone back to.
    private var epoch: Int64 = 0
    /// The checkpoint gone back to: no unfinished file that was begun after it is in it.
    private var restoredEpoch: Int64 = 0
    private var barrierTime: Int64 = 0
    private var madeCount = 0
    private var newDirectories: Set<String> = []
    private var knownDirectories: Set<String> = []
    private var owedMarkers: Set<String> = []
    private var isStarted = false
    private var isRestored = false
    private var isFinished = false

    init(_ sink: FileSink<Element>, _ context: SinkContext) throws(ThalwegError) {
        self.sink = sink
        self.context = context
        place = sink.place
        policy = sink.rolling ?? (context.isRecoverable && sink.place.isDirectory ? .everyCheckpoint : .never)
        writer = try sink.format.makeWriter()
        if !context.isRecoverable { try checkExactlyOnce() }
        // A place that cannot be written to is best found now. A file that is there may be one to go on with.
        guard isWrittenAlways, try sink.fileSystem.byteCountIfThere(of: newPath()) == nil else { return }
        do throws(ThalwegError) { _ = try file(of: "") } catch {
            close()
            throw error
        }
    }

    /// Whether the output is one file, or nothing but plain parts: these appear even when they have no records.
    private var isWrittenAlways: Bool { !isFinished && (isPlain || !place.isDirectory) }

    private var isPlain: Bool {
        place.isDirectory && !context.isRecoverable && !isRestored && sink.rolling == nil && sink.partition == nil
    }

    // MARK: Start

    private func start() throws(ThalwegError) {
        guard !isStarted else { return }
        isStarted = true
        guard context.isRecoverable else { return }
        try checkPublished(after: nil)
        try removeStrays()
    }

    /// Refuses parts that were published after the checkpoint the job goes on from, which never happens to a job that
    /// goes on from its newest one: their records would stand there twice.
    private func checkPublished(after checkpoint: Int64?) throws(ThalwegError) {
        guard place.isDirectory, !context.repeatsOutput, sink.fileSystem.isDirectory(place.path),
            let part = try publishedPart(after: checkpoint, in: place.path, depth: 0)
        else { return }
        throw ThalwegError(
            .job, "an output holds records that the job would write again",
            detail: part + (checkpoint.map { " is newer than checkpoint \($0)" } ?? " was there before the job began"),
            hint: (checkpoint == nil
                ? "the job begins at the beginning: if it is to go on, name the directory with the checkpoints that "
                    + "belong to this output (--checkpoint-dir) and start with --from latest; else "
                : "if a newer checkpoint belongs to this output, perhaps in another directory, start from that; else ")
                + "remove what is too new, or write beside it with --repeat-output")
    }

    /// Refuses to write among parts that checkpoints stand for: a job with these would take ours for its own, and
    /// readers could not tell what counts once.
    private func checkExactlyOnce() throws(ThalwegError) {
        guard place.isDirectory, sink.fileSystem.isDirectory(place.path),
            let part = try publishedPart(after: 0, in: place.path, depth: 0)
        else { return }
        throw ThalwegError(
            .job, "an output holds the records of a job with checkpoints, and this one takes none", detail: part,
            hint: "go on with that job's checkpoints (--checkpoint-dir), name another directory, or remove the parts")
    }

    private func publishedPart(
        after checkpoint: Int64?, in directory: String, depth: Int
    ) throws(ThalwegError) -> String? {
        for name in try sink.fileSystem.names(in: directory) {
            if let published = place.checkpoint(ofPart: name) {
                if published > checkpoint ?? -1 { return directory + name }
            } else if isPartition(name, in: directory, depth: depth),
                let part = try publishedPart(after: checkpoint, in: directory + name + "/", depth: depth + 1)
            {
                return part
            }
        }
        return nil
    }

    private func isPartition(_ name: String, in directory: String, depth: Int) -> Bool {
        sink.partition != nil && depth < LocalFileSystem.depthMax && FilePlace.isValid(partition: name)
            && sink.fileSystem.isDirectory(directory + name)
    }

    public func restore(_ states: [[FileSinkState]]) throws {
        for file in files.values { file.discard() }
        files = [:]
        openCount = 0
        (isStarted, isRestored) = (true, true)
        for state in states.joined() {
            epoch = max(epoch, state.checkpoint)
            barrierTime = max(barrierTime, state.time)
            if !place.isDirectory && state.isFinal { isFinished = true }
        }
        // Who had ended before bears a number of its own, which may lie behind or ahead of that of the checkpoint.
        restoredEpoch = states.joined().filter { !$0.isFinal }.map(\.checkpoint).max() ?? epoch
        try checkPublished(after: epoch)
        for (old, list) in states.enumerated() where old % context.parallelism == context.subtask {
            for state in list {
                for file in state.files { try adopt(file, isOwn: old == context.subtask) }
                owedMarkers.formUnion(state.partitions)
            }
        }
        try removeStrays()
    }

    private func adopt(_ state: UnfinishedFile, isOwn: Bool) throws(ThalwegError) {
        let directory = place.directory(of: state.partition)
        guard state.path.hasPrefix(directory), place.isDirectory || state.path == place.unfinishedSingle else {
            throw ThalwegError(
                .job, "a job goes on with another output", detail: "\(state.path) does not belong to \(place.path)",
                hint: "keep the path of the sink, or give the sink another name so that it starts anew")
        }
        let file = try PartFile(restoring: state, sink.fileSystem)
        // A part is closed where the checkpoint has it: other snapshots may name the same file with more in it, and
        // must not take what this attempt writes for theirs. One file has to be written on.
        if isOwn && !place.isDirectory && files[state.partition] == nil {
            files[state.partition] = file
        } else {
            full.append(file)
        }
    }

    /// Removes the unfinished files of subtasks that fell to this one which no snapshot knows.
    private func removeStrays() throws(ThalwegError) {
        guard place.isDirectory, sink.fileSystem.isDirectory(place.path) else { return }
        let known = Set(files.values.map(\.path) + full.map(\.path))
        try removeStrays(in: place.path, known: known, depth: 0)
    }

    private func removeStrays(in directory: String, known: Set<String>, depth: Int) throws(ThalwegError) {
        var didRemove = false
        for name in try sink.fileSystem.names(in: directory) {
            let path = directory + name
            if let owner = place.owner(ofUnfinished: name) {
                let isMine = owner.subtask % context.parallelism == context.subtask
                guard isMine && owner.epoch >= restoredEpoch && !known.contains(path) else { continue }
                sink.fileSystem.remove(path)
                didRemove = true
            } else if isPartition(name, in: directory, depth: depth) {
                try removeStrays(in: path + "/", known: known, depth: depth + 1)
            }
        }
        // One that came back after a loss of power would be older than later checkpoints, and stay for ever.
        if didRemove { try? sink.fileSystem.syncDirectory(directory) }
    }

    // MARK: Write

    public func write(_ batch: Batch<Element>) throws {
        try start()
        guard !isFinished else {
            throw ThalwegError(
                .job, "records come for a file that is finished", detail: place.path,
                hint: "write to another file, or to a directory of parts, when a job goes on after its end")
        }
        guard let partition = sink.partition else {
            return try write(UnsafeBufferPointer(start: batch.rows, count: batch.count), to: "")
        }
        // Neighbours often go to the same file: they are written together.
        var first = 0
        var name = ""
        for row in 0..<batch.count {
            let next = try partition(batch.rows[row])
            if row > first && next != name {
                try write(UnsafeBufferPointer(start: batch.rows + first, count: row - first), to: name)
                first = row
            }
            name = next
        }
        try write(UnsafeBufferPointer(start: batch.rows + first, count: batch.count - first), to: name)
    }

    private func write(_ rows: UnsafeBufferPointer<Element>, to partition: String) throws(ThalwegError) {
        let drainBytes = sink.partition == nil ? Self.bufferBytes : Self.partitionBufferBytes
        var rest = rows[...]
        while !rest.isEmpty {
            let file = try file(of: partition)
            let count = min(rest.count, policy.records.map { Int($0 - file.recordCount) } ?? rest.count)
            try writer.write(UnsafeBufferPointer(rebasing: rest.prefix(count)), to: &file.buffer)
            file.recordCount += Int64(count)
            rest = rest.dropFirst(count)
            if file.buffer.count >= drainBytes { try file.drain() }
            if policy.isReached(bytes: file.byteCount, records: file.recordCount) { try retire(file) }
        }
    }

    private func file(of partition: String) throws(ThalwegError) -> PartFile {
        useCount += 1
        if let file = files[partition] {
            file.lastUse = useCount
            if file.isSuspended {
                try makeRoom()
                try file.resume()
                openCount += 1
            }
            return file
        }
        try check(partition)
        try makeRoom()
        let directory = place.directory(of: partition)
        let isNamed = !place.isDirectory || isPlain
        let final = place.isDirectory ? directory + place.plain(subtask: context.subtask) : place.path
        let file = try PartFile(
            creating: newPath(in: directory), final: isNamed ? final : nil, partition: partition,
            openedAt: barrierTime, sink.fileSystem)
        madeCount += 1
        openCount += 1
        file.lastUse = useCount
        files[partition] = file
        note(directory)
        if sink.partitionCommit?.moment == .whenFinished { owedMarkers.insert(partition) }
        try writer.writeHeader(to: &file.buffer)
        return file
    }

    private func newPath(in directory: String? = nil) -> String {
        guard place.isDirectory else { return place.unfinishedSingle }
        let name =
            isPlain
            ? place.plain(subtask: context.subtask)
            : place.part(checkpoint: epoch, subtask: context.subtask, number: madeCount)
        return (directory ?? place.path) + FilePlace.unfinished(name)
    }

    private func check(_ partition: String) throws(ThalwegError) {
        guard sink.partition == nil || FilePlace.isValid(partition: partition) else {
            throw ThalwegError(
                .task, "a partition has a bad name", detail: "\"\(partition)\" below \(place.path)",
                hint: "name directories relative to the output, no component empty or beginning with . or _")
        }
        guard files.count + full.count < sink.unfinishedFilesMax, owedMarkers.count < sink.unfinishedFilesMax else {
            throw ThalwegError(
                .task, "a file sink has too many unfinished files",
                detail: "\(place.path): at most \(sink.unfinishedFilesMax) for each subtask",
                hint: "partition more coarsely, key the stream by partition, or raise unfinishedFilesMax")
        }
    }

    /// Suspends the file that was not used for longest when as many as may be are open.
    private func makeRoom() throws(ThalwegError) {
        guard openCount >= sink.openFilesMax else { return }
        var oldest: PartFile?
        for file in files.values where !file.isSuspended && file.lastUse < oldest?.lastUse ?? .max { oldest = file }
        try oldest?.suspend()
        openCount -= 1
    }

    private func retire(_ file: PartFile) throws(ThalwegError) {
        if !file.isSuspended { openCount -= 1 }
        try file.suspend()
        files[file.partition] = nil
        full.append(file)
    }

    /// Remembers a directory that has a new name in it, and all above it: they may be new, made by this writer, by
    /// another one or by a process that died before it could make them durable.
    private func note(_ directory: String) {
        newDirectories.insert(directory.isEmpty ? "." : directory)
        guard knownDirectories.insert(directory).inserted else { return }
        var above = directory.dropLast()
        while let slash = above.lastIndex(of: "/") {
            newDirectories.insert(String(above[...slash]))
            above = above[..<slash]
        }
        if !directory.hasPrefix("/") { newDirectories.insert(".") }
    }

    // MARK: Prepare

    public func prepare(_ request: PrepareRequest) throws -> PreparedOutput<FileCommittable, FileSinkState> {
        try start()
        if isWrittenAlways && files.isEmpty { _ = try file(of: "") }
        for partition in files.keys.sorted() {
            guard let file = files[partition] else { continue }
            try file.drain()
            let isDue = request.isFinal || policy.everyCheckpoint
            if isDue || policy.isExpired(since: file.openedAt, now: request.time) { try retire(file) }
        }
        var prepared = PreparedOutput<FileCommittable, FileSinkState>()
        for (number, file) in full.enumerated() {
            let name = place.part(checkpoint: request.checkpoint, subtask: context.subtask, number: number)
            prepared.committables.append(
                FileCommittable(
                    kind: .part, temporary: file.path, final: file.final ?? place.directory(of: file.partition) + name,
                    byteCount: file.written, isKept: file.isKnown))
        }
        if request.isFinal {
            prepared.committables += owedMarkers.sorted().map {
                FileCommittable(
                    kind: .marker, temporary: "", final: place.directory(of: $0), byteCount: 0, isKept: false)
            }
            owedMarkers = []
            isFinished = true
        }
        let left = files.sorted { $0.key < $1.key }.map(\.value)
        prepared.persist = persist(left.map(\.path) + full.map(\.path))
        full = []
        (epoch, barrierTime) = (request.checkpoint, request.time)
        for file in left { file.isKnown = true }
        prepared.state = [
            FileSinkState(
                checkpoint: epoch, time: barrierTime, isFinal: request.isFinal, files: left.map(\.state),
                partitions: owedMarkers.sorted())
        ]
        return prepared
    }

    private func persist(_ paths: [String]) -> (@Sendable () throws -> Void)? {
        let directories = newDirectories.sorted()
        newDirectories = []
        guard !paths.isEmpty || !directories.isEmpty else { return nil }
        let (fileSystem, durability) = (sink.fileSystem, durability)
        return {
            try durability.attempt {
                for path in paths { try fileSystem.syncFile(path) }
                for directory in directories { try fileSystem.syncDirectory(directory) }
            }
        }
    }

    public func close() {
        // What a snapshot knows is needed to go on from it.
        for file in Array(files.values) + full {
            if file.isKnown { file.close() } else { file.discard() }
        }
        (files, full) = ([:], [])
    }
}

/// Whether the files of a writer can still be made durable.
///
/// The system reports a failed write to the disk once, and may drop the data: a second attempt that succeeds proves
/// nothing. So after one failure every attempt fails, until the job goes back to a checkpoint and writes again.
final class FileDurability: Sendable {
    private let failure = Guarded<(any Error)?>(nil)

    func attempt(_ body: () throws -> Void) throws {
        if let error = failure.withLock({ $0 }) { throw error }
        do { try body() } catch {
            failure.withLock { $0 = error }
            throw error
        }
    }
}
