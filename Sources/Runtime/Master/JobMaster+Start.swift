// SPDX-License-Identifier: Apache-2.0
//  Where a job starts: the snapshot, and whether output would stand there twice.

import ThalwegBase
import ThalwegControl
import ThalwegGraph
import ThalwegOperator
import ThalwegState
import ThalwegStorage

/// Where a run starts.
private struct StartingPoint {
    /// Nil for the beginning.
    var snapshot: Snapshot?
    /// Whether `latest` means something else, so that it has to be noted where this run began.
    var isNoted = false
}

extension JobMaster {
    /// Builds all tasks, from a snapshot if the settings name one.
    func start() throws {
        var start = StartingPoint()
        if let options = settings.checkpoints, let store = job.store {
            try options.settings.validate()
            try checkOutput(store, options.fileSystem)
            madeDirectories = store.missingDirectories
            lock = try store.prepare(for: "job \(job.jobName)")
            try job.rowPlace?.skipTakenNames()
            start = try startingPoint(options, store)
            // A directory of a higher number has files of the checkpoint to start from: they must not be written over.
            let newest = try store.highestNumber ?? 0
            let base = max(newest, try start.snapshot?.metadata.newestNumber ?? 0)
            job.begin(checkpoint: base)
            coordinator = CheckpointCoordinator(
                settings: options.settings, restored: base > 0 || start.snapshot != nil ? base : nil)
        }
        failover.initial = start.snapshot
        try advisingAfterDamage(of: start.snapshot) { try deployAll(start) }
        carryOut(coordinator.handle(.started(tasks: graph.taskIDs), now: clock.now))
    }

    private func deployAll(_ start: StartingPoint) throws {
        let snapshot = start.snapshot
        if let snapshot { try check(snapshot) }
        try makeDesks(snapshot)
        let repeats = settings.checkpoints?.repeatsOutput ?? false
        try deploy(graph.taskIDs, from: snapshot) {
            if let snapshot, settings.checkpoints?.claims == true {
                try job.store?.claim(snapshot, jobName: job.jobName, time: clock.now)
            }
            // From the first output on the checkpoints of earlier runs must not be restored any more.
            if start.isNoted { try job.store?.noteStart(from: snapshot, repeatsOutput: repeats) }
        }
    }

    /// Refuses a snapshot that the job would lose something of (D11).
    private func check(_ snapshot: Snapshot) throws {
        let (theirs, ours) = (snapshot.metadata.jobName, job.jobName)
        // One that was made from files belongs to no job.
        guard theirs.isEmpty || theirs == ours || settings.checkpoints?.allowsOtherJob == true else {
            throw ThalwegError(
                .job, "the snapshot is that of another job",
                detail: "\(snapshot.path) was taken by \"\(theirs)\", this job is \"\(ours)\"",
                hint: "give each job a directory of its own; if it is the same job by another name, start it with "
                    + "--allow-other-job")
        }
        let plan = try UpgradePlan(RestoredOperators(snapshot, try declarations()))
        try plan.check(drops: settings.checkpoints?.dropsUnclaimedState == true)
        for notice in plan.notices { job.notices.add(notice) }
        if snapshot.metadata.kind == SnapshotKind.drain.rawValue {
            job.notices.add(
                "warning: \(snapshot.path) was taken by a drain: event time has come to its end in it, so that records "
                    + "with timestamps are late")
        }
    }

    /// Refuses output among checkpoints and checkpoints among output: who reads the one must not find the other, and
    /// files that no checkpoint refers to are removed.
    private func checkOutput(_ store: CheckpointStore, _ fileSystem: any FileSystem) throws {
        let root = store.place
        for node in graph.streamGraph.nodes where node.details["connector"] == "files" {
            guard let output = node.details["writes to"], !output.isEmpty else { continue }
            let place = CheckpointStore(root: output, fileSystem: fileSystem).place
            let holdsCheckpoints = output.hasSuffix("/") && root.hasPrefix(place + "/")
            guard place == root || place.hasPrefix(root + "/") || holdsCheckpoints else { continue }
            throw ThalwegError(
                .job, "output and checkpoints are to lie in each other",
                detail: "step \"\(node.name)\" writes to \(output), checkpoints lie in \(store.root)",
                hint: "give each a directory of its own: who reads the output would find checkpoints in it, or it "
                    + "would be among files that are removed when no checkpoint needs them")
        }
    }

    // MARK: Where

    private func startingPoint(_ options: CheckpointOptions, _ store: CheckpointStore) throws -> StartingPoint {
        guard let from = options.from else { return try freshStart(options, store) }
        if from == "latest" {
            let snapshot = try store.loadLatest()
            return try goingOn(from: snapshot, store)
        }
        let snapshot = try store.load(from)
        // One directory has many names: what a snapshot says of itself and of its files tells whether it is the same.
        // What the newest checkpoint is need not be readable to start from another one.
        if let latest = try? store.loadLatest(), latest.metadata == snapshot.metadata {
            return try goingOn(from: snapshot, store)
        }
        let own = try? store.load(store.path(of: snapshot.metadata.checkpoint))
        let isOwn = own?.metadata == snapshot.metadata
        if let newest = try store.latestCheckpointID, !isOwn || snapshot.metadata.checkpoint < newest,
            !options.repeatsOutput
        {
            throw ThalwegError(
                .job, "a newer checkpoint has published output that the job would write again",
                detail: "\(snapshot.path) is to be started from, \(store.path(of: newest)) is the newest",
                hint: "start with --from latest, or give --repeat-output: remove what was published since first")
        }
        if !options.repeatsOutput, let newer = try store.publishedAfter(snapshot) {
            throw ThalwegError(
                .job, "a newer checkpoint has published output that the job would write again",
                detail: "\(snapshot.path) is to be started from, \(newer) lies beside it",
                hint: "start from the newest one, or give --repeat-output: remove what was published since first, or "
                    + "write elsewhere")
        }
        return StartingPoint(snapshot: snapshot, isNoted: true)
    }

    private func freshStart(_ options: CheckpointOptions, _ store: CheckpointStore) throws -> StartingPoint {
        guard let newest = try store.latestCheckpointID else {
            return try freshStartAfterAnother(options, store)
        }
        guard options.repeatsOutput else {
            throw ThalwegError(
                .job, "the directory holds checkpoints of an earlier run, whose output the job would write again",
                detail: store.path(of: newest),
                hint: "go on with --from latest, name another directory, or begin anew with --repeat-output: remove "
                    + "the old output first")
        }
        return StartingPoint(isNoted: true)
    }

    /// No checkpoint is there, but a run may have begun in the directory from a snapshot that lies elsewhere, and have
    /// published what had been prepared for that.
    private func freshStartAfterAnother(_ options: CheckpointOptions, _ store: CheckpointStore) throws -> StartingPoint
    {
        if options.repeatsOutput {
            // A record that cannot be read is replaced too.
            do { return StartingPoint(isNoted: try store.startRecord() != nil) } catch {
                return StartingPoint(isNoted: true)
            }
        }
        guard let record = try store.startRecord() else { return StartingPoint() }
        guard let snapshot = record.snapshot else { return StartingPoint(isNoted: true) }
        throw ThalwegError(
            .job, "an earlier run began with a snapshot, whose output the job would write again",
            detail: "in \(store.root) it began with \(snapshot) and has no checkpoint of its own",
            hint: "go on with --from latest, name another directory, or begin anew with --repeat-output: remove the "
                + "old output first")
    }

    /// The run before is continued: what it was allowed, this one is allowed too.
    private func goingOn(from snapshot: Snapshot?, _ store: CheckpointStore) throws -> StartingPoint {
        let newest = try store.latestCheckpointID
        if let record = try store.startRecord(), record.repeatsOutput, newest ?? 0 <= record.base {
            settings.checkpoints?.repeatsOutput = true
        }
        if let savepoint = try store.newestSavepoint(after: newest), store.path(of: savepoint) != snapshot?.path {
            job.notices.add(
                "note: the job does not start from the savepoint \(store.path(of: savepoint)), as savepoints publish "
                    + "nothing; name it with --from to go on from there")
        }
        return StartingPoint(snapshot: snapshot)
    }

    // MARK: Damage

    /// Reads a snapshot; the error that names a damaged file of it says where else to start.
    func advisingAfterDamage(of snapshot: Snapshot?, _ body: () throws -> Void) throws {
        do { try body() } catch var error as ThalwegError {
            guard let snapshot, let store = job.store, error.kind == .corrupt, error.detail?.contains("chk-") == true
            else { throw error }
            error.hint = store.adviceAfterDamage(of: snapshot)
            throw error
        }
    }
}
