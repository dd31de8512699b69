// SPDX-License-Identifier: Apache-2.0
//  Where a job is put together.

import ThalwegBase
import ThalwegGraph
import ThalwegOperator
import ThalwegOperators
import ThalwegRuntime
import ThalwegStorage

/// Collects the steps of a job and runs it.
///
///     let env = StreamEnvironment()
///     env.read(.sequence(from: 1, through: 10)).map { $0 * 2 }.write(to: .print())
///     try await env.execute()
public final class StreamEnvironment {
    /// How the job runs. Change it before `execute`.
    public var settings = ExecutionSettings()
    /// What the job is made of so far.
    public private(set) var graph = StreamGraph()

    public init() {}

    public init(settings: ExecutionSettings) { self.settings = settings }

    /// Adds a step; used by the stream types.
    public func add(_ make: (_ id: Int) -> StreamNode) -> Int { graph.add(make) }

    /// Changes a step already added; used by the stream types.
    public func update(_ node: Int, _ change: (inout StreamNode) -> Void) { graph.update(node, change) }

    /// Reads a source.
    ///
    /// - Parameters:
    ///   - name: identifies the source's state in snapshots; must be unique in the job.
    ///   - onError: what happens to records that cannot be read.
    @inlinable
    public func read<S: Source>(
        _ source: S, name: String? = nil, onError policy: RecordErrorPolicy = .fail
    ) -> DataStream<S.Element> {
        let node = add { id in
            StreamNode(
                id: id, name: name ?? source.kind, kind: "source", parallelismMax: source.parallelismMax, inputs: [],
                outputs: policy.outputs, details: ["connector": source.kind], boundedness: source.boundedness,
                declareStates: { states in try SourceOperator<S>.declare(&states) },
                makeCoordinator: { try SourceCoordinator(source, $0) },
                factory: { context in
                    guard let link = context.sourceLink else {
                        throw ThalwegError(.bug, "a source was started without its coordinator")
                    }
                    return OperatorInstance(
                        source: try SourceOperator(source, onError: policy, in: context, link: link))
                })
        }
        return DataStream(environment: self, node: node)
    }

    /// What the job consists of and how it would run.
    public func makePlan() throws(ThalwegError) -> JobPlan {
        JobPlan(try JobGraph(graph, parallelism: settings.parallelism, maxParallelism: settings.maxParallelism))
    }

    /// What the job would make of a snapshot, decided as a start from it decides (D11).
    ///
    /// - Parameter path: of a checkpoint, of its metadata, or of a directory of checkpoints: then its newest one.
    public func makeUpgradePlan(
        against path: String, fileSystem: any FileSystem = LocalFileSystem()
    ) throws -> UpgradePlan {
        let graph = try JobGraph(
            graph, parallelism: settings.parallelism, maxParallelism: settings.maxParallelism)
        return try UpgradePlan(
            graph, batchCapacity: settings.batchCapacity,
            against: try CheckpointStore(root: path, fileSystem: fileSystem).load(path))
    }

    /// Builds the job; the result can be run once and watched through its metrics.
    public func makeExecution() throws -> JobExecution { try JobExecution(graph, settings) }

    /// Runs the job to its end.
    ///
    /// - Throws: the first failure; nothing is published by sinks that publish atomically then.
    public func execute(on scheduler: any TaskScheduler = WorkerPool()) async throws {
        try await makeExecution().run(on: scheduler)
    }
}

extension RecordErrorPolicy {
    /// The side output that the policy writes to, if any.
    public var outputs: [OutputDeclaration] {
        if case .deadLetter(let tag) = self { return [tag.declaration] }
        return []
    }
}
