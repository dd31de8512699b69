// SPDX-License-Identifier: Apache-2.0
//  What is simulated: a job, its size, and what must hold of it.

import Synchronization
import Thalweg

/// A job under simulation: a value.
///
///     let scenario = Scenario("orders", records: 200) { env, world in
///         let orders = SimulatedLog(world) { Order(number: $0) }
///         try OrdersJob.build(env.read(orders)).write(to: SimulatedTopic("totals", in: world))
///     }
///     let result = try await Simulation(scenario).run(seed: 7)
public struct Scenario: Sendable {
    public private(set) var name: String
    /// The number of records of the workload, if a plan does not say otherwise.
    public var records: Int
    /// Declares the job, from sources and sinks of the world. Called once for each life of the process. The workload
    /// must not depend on the seed, and the output must not depend on parallelism or on the order of what comes from
    /// different subtasks.
    public let build: @Sendable (StreamEnvironment, SimulatedWorld) throws -> Void
    /// What the simulator drew for the settings can be changed here, last.
    public var adjust: @Sendable (inout ExecutionSettings) -> Void = { _ in }
    /// Lays something over the disk that the job sees.
    public var disk: @Sendable (SimulatedWorld) -> any FileSystem = { $0.disk }
    /// What happens to the disk between two lives, after the crash.
    public var betweenLives: @Sendable (SimulatedWorld) -> Void = { _ in }
    /// The output of a run in lines; their order does not matter.
    public var output: @Sendable (SimulatedWorld) -> [String] = { $0.output }
    /// What else must hold at the end; every line returned is a reason to fail.
    public var checkers: [@Sendable (SimulatedWorld) -> [String]] = [{ $0.orphans }]
    /// A run that takes more turns hangs.
    public var turnsMax = 200_000
    /// A run in which the process starts more often hangs.
    public var livesMax = 60

    public init(
        _ name: String, records: Int = 200,
        build: @escaping @Sendable (StreamEnvironment, SimulatedWorld) throws -> Void
    ) {
        self.name = name
        self.records = records
        self.build = build
    }

    /// The same scenario under another name.
    public func named(_ name: String) -> Scenario {
        var scenario = self
        scenario.name = name
        return scenario
    }
}

extension SimulatedWorld {
    /// Where jobs write files that are their output.
    public static let outputDirectory = "out"

    /// The lines of all topics and of all visible files in ``outputDirectory``.
    public var output: [String] {
        let topics = state.withLock { state in state.topics.sorted { $0.key < $1.key }.flatMap(\.value.lines) }
        let files = disk.contents
        let visible = files.paths.filter { path in
            path.hasPrefix(Self.outputDirectory + "/") && !Self.isHidden(path)
        }
        return topics + visible.flatMap { (files.text($0) ?? "").split(separator: "\n").map(String.init) }
    }

    private static func isHidden(_ path: String) -> Bool {
        path.split(separator: "/").contains { $0.hasPrefix(".") || $0.hasPrefix("_") }
    }

    /// Files that nobody will ever use: unfinished output, and files of checkpoints that no complete one refers to.
    public var orphans: [String] {
        var found: [String] = []
        var known: Set<String> = []
        let store = CheckpointStore(root: Self.checkpointDirectory, fileSystem: disk)
        // What a full disk did not let go of, and the last snapshots of earlier attempts, go at the next start.
        let wasFull = state.withLock { state in
            state.fullUntil = 0
            // What has not struck by now comes after the end.
            state.faults = []
            return state.fired.contains { $0.kind == .fullDisk || $0.kind == .failure }
        }
        if wasFull { _ = try? store.prepare() }
        let files = disk.contents
        for listing in (try? store.list()) ?? [] {
            switch listing.state {
            case .complete(let metadata):
                known.insert(listing.path + "/" + CheckpointStore.metadataName)
                for file in metadata.files { known.insert(Self.checkpointDirectory + "/" + file.path) }
            case .damaged(let reason): found.append("a damaged checkpoint is left: \(listing.path): \(reason)")
            }
        }
        for path in files.paths {
            if path.hasPrefix(Self.outputDirectory + "/") {
                if !wasFull && path.split(separator: "/").contains(where: { $0.hasPrefix(".") }) {
                    found.append("an unfinished file is left: \(path)")
                }
            } else if !known.contains(path) {
                found.append("a file is left that belongs to no checkpoint: \(path)")
            }
        }
        for path in known.sorted() where files[path] == nil { found.append("a checkpoint lacks a file: \(path)") }
        return found
    }
}
