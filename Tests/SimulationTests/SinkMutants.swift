// SPDX-License-Identifier: Apache-2.0
//  Sinks and disks with a planted bug each.

import Synchronization
import Thalweg
import ThalwegSimulation

/// A bug planted in a sink.
enum SinkBug: String, CaseIterable, Sendable {
    case commitsWhenPrepared, forgetsCommits, forgetsPrepared, preparesAgain, opensLate, losesTail, commitsTwice
    case keepsOverRestart, sharesIDs, abortsOnCommit
}

/// Lines outside the process that anybody may append to.
final class Outside: Sendable {
    private let contents = Guarded<[ObjectIdentifier: [String]]>([:])
    func append(_ lines: [String], in world: SimulatedWorld) {
        contents.withLock { $0[ObjectIdentifier(world), default: []] += lines }
    }
    func lines(_ world: SimulatedWorld) -> [String] { contents.withLock { $0[ObjectIdentifier(world)] ?? [] } }
}

/// A topic's sink with a bug.
struct MutantSink: Sink {
    typealias Element = String
    let kind = "mutant"
    let topic: SimulatedTopic
    let bug: SinkBug
    let outside: Outside

    func makeWriter(_ context: SinkContext) -> MutantWriter { MutantWriter(self, topic.makeWriter(context)) }

    func commit(_ committables: [TopicTransaction]) throws {
        switch bug {
        case .forgetsCommits: try topic.commit(Array(committables.dropLast()))
        case .commitsTwice:
            try topic.commit(committables)
            if committables.count > 1 { outside.append(["again"], in: topic.world) }
        case .abortsOnCommit:
            topic.abort(Array(committables.dropFirst()))
            try topic.commit(committables)
        default: try topic.commit(committables)
        }
    }

    func abort(_ committables: [TopicTransaction]) { topic.abort(committables) }
}

final class MutantWriter: SinkWriter {
    typealias Element = String
    private let sink: MutantSink
    private let writer: TopicWriter
    private var earlier: [TopicTransaction] = []

    init(_ sink: MutantSink, _ writer: TopicWriter) {
        self.sink = sink
        self.writer = writer
    }

    func write(_ batch: Batch<String>) {
        if sink.bug == .losesTail, batch.count > 3 { batch.count -= 1 }
        writer.write(batch)
    }

    func prepare(_ request: PrepareRequest) throws -> PreparedOutput<TopicTransaction, NoWriterState> {
        var prepared = writer.prepare(request)
        let committables = prepared.committables
        switch sink.bug {
        case .commitsWhenPrepared:
            let (persist, sink) = (prepared.persist, sink)
            prepared.persist = {
                try persist?()
                try sink.topic.commit(committables)
            }
        case .forgetsPrepared: if !request.isFinal { prepared.committables = [] }
        case .opensLate: if !request.isFinal { prepared.persist = nil }
        case .preparesAgain:
            if !request.isFinal { prepared.committables += prepared.committables.map { change($0) { $0.id += "'" } } }
        case .keepsOverRestart: prepared.committables += earlier.suffix(1).map { change($0) { $0.id = "gone" } }
        case .sharesIDs: prepared.committables = committables.map { change($0) { $0.id = "one" } }
        case .forgetsCommits, .commitsTwice, .losesTail, .abortsOnCommit: break
        }
        earlier += committables
        return prepared
    }

    private func change(
        _ transaction: TopicTransaction, _ body: (inout TopicTransaction) -> Void
    ) -> TopicTransaction {
        var transaction = transaction
        body(&transaction)
        return transaction
    }
}

/// A bug planted in a disk.
enum DiskBug: String, CaseIterable, Sendable {
    case syncLies, syncDirectoryLies, renameLies, metadataBeforeData, losesWrites, damagesSegments
}

/// A disk with a bug.
struct MutantDisk: FileSystem {
    let base: SimulatedDisk
    let bug: DiskBug

    private func isSegment(_ path: String) -> Bool { path.hasSuffix(".segment") }

    func files(at path: String) throws(ThalwegError) -> [FileEntry] { try base.files(at: path) }
    func open(_ path: String) throws(ThalwegError) -> any ByteSource { try base.open(path) }
    func create(_ path: String) throws(ThalwegError) -> any FileOutput {
        Output(base: try base.create(path), bug: bug, isSegment: isSegment(path))
    }
    func rename(_ path: String, to newPath: String) throws(ThalwegError) {
        if bug == .renameLies, newPath.hasSuffix("_metadata") {
            // Says that it is done, and leaves it for nobody.
            try base.removeFile(path)
            let output = try base.create(newPath)
            output.close()
            return
        }
        try base.rename(path, to: newPath)
    }
    func remove(_ path: String) { base.remove(path) }
    func isDirectory(_ path: String) -> Bool { base.isDirectory(path) }
    func names(in directory: String) throws(ThalwegError) -> [String] { try base.names(in: directory) }
    func byteCount(of path: String) throws(ThalwegError) -> Int64 { try base.byteCount(of: path) }
    func makeDirectory(_ path: String) throws(ThalwegError) { try base.makeDirectory(path) }
    func removeFile(_ path: String) throws(ThalwegError) { try base.removeFile(path) }
    func removeTree(_ path: String) throws(ThalwegError) { try base.removeTree(path) }
    func syncDirectory(_ path: String) throws(ThalwegError) {
        if bug != .syncDirectoryLies { try base.syncDirectory(path) }
    }
    func syncFile(_ path: String) throws(ThalwegError) { if bug != .syncLies { try base.syncFile(path) } }
    func reopen(_ path: String, truncatedTo byteCount: Int64) throws(ThalwegError) -> any FileOutput {
        try base.reopen(path, truncatedTo: byteCount)
    }

    private final class Output: FileOutput {
        let base: any FileOutput
        let bug: DiskBug
        let isSegment: Bool
        private var writes = 0

        init(base: any FileOutput, bug: DiskBug, isSegment: Bool) {
            self.base = base
            self.bug = bug
            self.isSegment = isSegment
        }

        func write(_ bytes: UnsafeRawBufferPointer) throws(ThalwegError) {
            writes += 1
            if bug == .losesWrites, isSegment, writes == 1 { return }
            if bug == .damagesSegments, isSegment, bytes.count > 40 {
                var copy = Array(bytes)
                copy[copy.count / 2] ^= 1
                let damaged = copy
                var failure: ThalwegError?
                damaged.withUnsafeBytes { part in
                    do throws(ThalwegError) { try base.write(part) } catch { failure = error }
                }
                if let failure { throw failure }
                return
            }
            try base.write(bytes)
        }

        func sync() throws(ThalwegError) {
            if bug == .syncLies || (bug == .metadataBeforeData && isSegment) { return }
            try base.sync()
        }

        func close() { base.close() }
    }
}
