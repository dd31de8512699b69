// SPDX-License-Identifier: Apache-2.0
//  A bounded stream that becomes a snapshot.

import ThalwegBase
import ThalwegData
import ThalwegOperator
import ThalwegSavepoint
import ThalwegStorage

/// Writes a state of a new snapshot from a bounded stream (FLIP-43 b8, b11): any source, any step before it.
///
///     struct Balance: Codable, Sendable { var key: String; var value: Int64 }
///     balances.write(to: try .savepoint("start", operator: "accounts", state: "balance", maxParallelism: 128))
///
/// The fields of a record say where it goes, as in `StateLoader/placeFields`: `key` and `value`; `mapKey` of a map;
/// `time` of a timer. The snapshot is there when the job has ended, in full or not at all. One subtask writes; what
/// does not fit into memory lies in sorted files beside it.
///
/// Not promised: that a job that keeps checkpoints goes on in the midst of it. Run it without, it begins again.
public struct SavepointSink<Element: Codable & Sendable>: Sink, LocatedSink {
    public let kind = "savepoint"
    public let location: String
    public var parallelismMax: Int? { 1 }
    private let state: StateDescriptor
    private let draft: @Sendable () throws -> SavepointDraft

    /// - Parameters:
    ///   - path: a directory that is not there yet.
    ///   - stateKind: one that takes entries from elsewhere.
    ///   - time: when the snapshot counts as taken.
    /// - Throws: kind `job` when the fields of the type are not those of such a state.
    public init(
        _ path: String, operator operatorName: String, state name: String, kind stateKind: StateKind = .value,
        maxParallelism: Int, time: EventTime = EventTime(milliseconds: 0),
        duplicates: StateLoader.Duplicates = .refused,
        fileSystem: any FileSystem = LocalFileSystem()
    ) throws {
        location = path
        let fields = try RecordType<Element>.learn().schema.fields
        func schema(_ name: String) -> RecordSchema? {
            fields.first { $0.name == name }.map { RecordSchema(root: $0.type) }
        }
        let state = StateDescriptor(
            operatorName: operatorName, name: name, kind: stateKind,
            key: stateKind.isKeyed ? schema("key") : nil,
            userKey: stateKind == .broadcast ? schema("key") : schema("mapKey"), value: schema("value"))
        self.state = state
        draft = {
            try SavepointDraft(
                path, state, maxParallelism: maxParallelism, timeMilliseconds: time.milliseconds,
                duplicates: duplicates, fileSystem: fileSystem)
        }
        let wanted = try SavepointDraft.fields(of: state)
        guard Set(wanted.map(\.name)) == Set(fields.map(\.name)) else {
            throw ThalwegError(
                .job, "a type does not fit the entries of a state",
                detail: "\(Element.self) has \(fields.map(\.name).joined(separator: ", "))",
                hint: "state of kind \(stateKind.rawValue) has \(wanted.map(\.name).joined(separator: ", "))")
        }
    }

    public func makeWriter(_ context: SinkContext) throws -> SavepointSinkWriter<Element> {
        guard !context.isRecoverable else {
            throw ThalwegError(
                .job, "a job that writes a snapshot keeps no checkpoints", detail: "step \"\(context.name)\"",
                hint: "run it without --checkpoint-dir: when it fails, it begins again")
        }
        return try SavepointSinkWriter(try draft(), location)
    }
}

extension Sink {
    /// Makes a snapshot from the stream, as the state of an operator.
    public static func savepoint<Element: Codable & Sendable>(
        _ path: String, operator operatorName: String, state: String, kind: StateKind = .value, maxParallelism: Int,
        duplicates: StateLoader.Duplicates = .refused
    ) throws -> SavepointSink<Element> where Self == SavepointSink<Element> {
        try SavepointSink(
            path, operator: operatorName, state: state, kind: kind, maxParallelism: maxParallelism,
            duplicates: duplicates)
    }
}

/// Collects the records of the stream.
public final class SavepointSinkWriter<Element: Codable & Sendable>: SinkWriter {
    private var draft: SavepointDraft?
    private let location: String
    private let codec: RecordCodec<Element>
    private let dynamic: DynamicCodec

    init(_ draft: SavepointDraft, _ location: String) throws {
        self.draft = draft
        self.location = location
        let type = try RecordType<Element>.learn()
        codec = RecordCodec(type)
        dynamic = DynamicCodec(type.schema)
    }

    public func write(_ batch: Batch<Element>) throws {
        guard let draft else { return }
        var bytes = ByteWriter()
        for index in 0..<batch.count {
            bytes.removeAll()
            try codec.encode(batch.rows + index, count: 1, into: &bytes)
            try draft.add(try bytes.withBytes { try dynamic.decode($0) })
        }
    }

    public func prepare(_ request: PrepareRequest) throws -> PreparedOutput<NoCommittable, NoWriterState> {
        guard request.isFinal, let draft else { return PreparedOutput() }
        self.draft = nil
        let finished = draft.finish()
        return PreparedOutput(
            persist: { try finished.write() },
            publish: SinkCommit(
                "savepoint \(location)", commit: { try finished.complete() }, abort: { finished.abandon() }))
    }

    public func close() { draft?.abandon() }
}
