// SPDX-License-Identifier: Apache-2.0
//  Runs an operator through checkpoints, failed ones too, crashes and rescales, on a disk in memory.

import Testing
import Thalweg
import ThalwegTesting

/// What an operator did: its outputs, and what it counted.
struct TierOutcome: Equatable, CustomStringConvertible {
    var outputs: [String] = []
    var dropped = 0
    var partial = 0

    mutating func add(_ harness: OperatorHarness<Sample, String>) {
        outputs += harness.timedOutputs.map { "\($0.element) at \($0.time.milliseconds)" }
        dropped += harness.metrics.lateDropped.value
        partial += harness.metrics.latePartial.value
    }

    var sorted: TierOutcome {
        var outcome = self
        outcome.outputs.sort()
        return outcome
    }

    var description: String { "\(dropped) dropped, \(partial) partial, " + outputs.joined(separator: "; ") }
}

/// A stream of records and watermarks, and how it is disturbed.
struct TierRun {
    typealias Factory = (OperatorContext) throws -> OperatorInstance

    private enum Step {
        case records([Sample])
        case watermark(Int64)
    }

    /// A snapshot that is on its way to the disk.
    private struct Upload {
        let checkpoint: Int64
        let snapshots: [OperatorSnapshot]
        let progress: Progress
        let kind: SnapshotKind
    }

    private struct Progress {
        var step = 0
        var outcome = TierOutcome()
        var checkpoint: Int64 = 0
        var parallelism = 1
    }

    static let maxParallelism = 16
    private static let name = "model"

    private var steps: [Step] = []
    private let isJoin: Bool
    private let seed: UInt64
    private let hasher: KeyHasher<Int64>
    private let make: Factory

    init(seed: UInt64, _ shape: SampleShape, isJoin: Bool, _ make: @escaping Factory) throws {
        hasher = try KeyHasher()
        self.seed = seed
        self.isJoin = isJoin
        self.make = make
        var random = SeededRandom(seed: seed)
        var rest = random.samples(shape)[...]
        var latest = Int64.min
        while !rest.isEmpty {
            let records = Array(rest.prefix(Int(random.draw(1...20))))
            rest = rest.dropFirst(records.count)
            latest = max(latest, records.map(\.time).max() ?? latest)
            steps.append(.records(records))
            if random.draw(0...3) > 0 { steps.append(.watermark(latest - 300 - random.draw(0...shape.disorder))) }
        }
    }

    // MARK: Undisturbed

    /// What a run in memory gives.
    struct Reference {
        var outcome = TierOutcome()
        /// The panes after each step, as a snapshot has them.
        var panes: [[MemorySnapshot.Entry]] = []
    }

    /// The run with one subtask, all in memory.
    func undisturbed() throws -> Reference {
        let harness = try OperatorHarness<Sample, String>(
            name: Self.name, maxParallelism: Self.maxParallelism, batchCapacity: 7, make)
        var reference = Reference()
        for step in steps {
            try apply(step, to: [harness])
            reference.panes.append(try harness.snapshot().entries(of: "panes"))
        }
        try harness.finish()
        reference.outcome.add(harness)
        reference.outcome = reference.outcome.sorted
        return reference
    }

    private func apply(_ step: Step, to subtasks: [OperatorHarness<Sample, String>]) throws {
        switch step {
        case .watermark(let time): for subtask in subtasks { try subtask.advanceWatermark(to: time) }
        case .records(let records):
            for (number, subtask) in subtasks.enumerated() {
                let own = records.filter { owner(of: $0, subtasks.count) == number }
                for isFirst in [true, false] {
                    let side = isJoin ? own.filter { $0.isFirst == isFirst } : isFirst ? own : []
                    if !side.isEmpty { try subtask.push(side.map { ($0, $0.time) }, to: isFirst ? 0 : 1) }
                }
            }
        }
    }

    private func owner(of sample: Sample, _ count: Int) -> Int {
        let group = KeyGroup.of(hash: hasher.hash(sample.key), maxParallelism: Self.maxParallelism)
        return KeyGroup.subtask(of: group, maxParallelism: Self.maxParallelism, parallelism: count)
    }

    // MARK: Disturbed

    /// What has been done, for a test to see that there was something to do.
    struct Report {
        var outcome = TierOutcome()
        var evicted = 0
        var crashes = 0
        var restoresWithout = 0
        /// The steps after which a snapshot did not have the panes of the run in memory.
        var wrongSnapshots: [Int] = []
    }

    /// The run with a budget, on a disk in memory.
    ///
    /// - Parameters:
    ///   - reference: the run in memory.
    ///   - budget: bytes of each subtask.
    ///   - mayDrop: whether a restart may be without a budget.
    func disturbed(against reference: Reference, budget: Int, mayDrop: Bool) throws -> Report {
        var random = SeededRandom(seed: seed &+ 1_000)
        let disk = CheckpointStore(root: "root", fileSystem: MemoryFileSystem())
        _ = try disk.prepare()
        var life = try Life(disk, make, budget: budget)
        var report = Report()
        var progress = Progress()
        progress.parallelism = Int(random.draw(1...3))
        var durable: Progress?
        var uploads: [Upload] = []
        try life.begin(progress.parallelism, from: nil)
        var crashesLeft = 6
        var checkpoint: Int64 = 0

        func land() throws {
            let upload = uploads.removeFirst()
            defer { for snapshot in upload.snapshots { for release in snapshot.releases { release() } } }
            let base = upload.snapshots.flatMap(\.rows).flatMap(\.base)
            guard base.allSatisfy({ (try? $0.file()) != nil }), random.draw(0...3) > 0 else {
                for added in upload.snapshots.flatMap(\.rows).flatMap(\.added) { added.layer.failed() }
                return
            }
            try life.write(upload.snapshots, checkpoint: upload.checkpoint, upload.kind)
            if upload.kind == .checkpoint { durable = upload.progress }
            let step = upload.progress.step - 1
            if try life.panes(of: upload.checkpoint) != reference.panes[step] { report.wrongSnapshots.append(step) }
            if upload.kind == .checkpoint { try disk.retain(newest: 2) }
        }

        while progress.step < steps.count {
            try apply(steps[progress.step], to: life.subtasks)
            progress.step += 1
            switch random.draw(0...11) {
            case 0, 1, 2:
                checkpoint += 1
                var frozen = progress
                frozen.checkpoint = checkpoint
                for subtask in life.subtasks { frozen.outcome.add(subtask) }
                let kind: SnapshotKind = random.draw(0...4) == 0 ? .savepoint : .checkpoint
                let barrier = CheckpointBarrier(checkpoint: checkpoint, kind: kind, time: 0)
                uploads.append(
                    Upload(
                        checkpoint: checkpoint, snapshots: try life.subtasks.map { try $0.freeze(at: barrier) },
                        progress: frozen, kind: kind))
                if random.draw(0...1) == 0 || uploads.count > 2 { try land() }
            case 3, 4: if !uploads.isEmpty { try land() }
            case 5 where crashesLeft > 0 && durable != nil:
                guard let last = durable else { continue }
                crashesLeft -= 1
                report.crashes += 1
                report.evicted += life.metrics.evicted.value
                uploads = []
                progress = last
                progress.parallelism = Int(random.draw(1...4))
                let hasBudget = !mayDrop || random.draw(0...2) > 0
                if !hasBudget { report.restoresWithout += 1 }
                life = try Life(disk, make, budget: hasBudget ? budget : nil)
                try life.begin(progress.parallelism, from: last.checkpoint)
            default: break
            }
        }
        for subtask in life.subtasks {
            try subtask.finish()
            progress.outcome.add(subtask)
        }
        report.evicted += life.metrics.evicted.value
        report.outcome = progress.outcome.sorted
        return report
    }

    /// The subtasks between two crashes.
    private final class Life {
        let disk: CheckpointStore
        let metrics = RowMetrics()
        private let leases = RunLeases()
        private let make: Factory
        private let budget: Int?
        private let names: RunNames
        private(set) var subtasks: [OperatorHarness<Sample, String>] = []

        init(_ disk: CheckpointStore, _ make: @escaping Factory, budget: Int?) throws {
            self.disk = disk
            self.make = make
            self.budget = budget
            names = try disk.runNames()
        }

        func begin(_ parallelism: Int, from checkpoint: Int64?) throws {
            let state = try checkpoint.map { try disk.load("chk-\($0)").restoredState(of: TierRun.name) } ?? nil
            subtasks = try (0..<parallelism).map { subtask in
                try OperatorHarness(
                    name: TierRun.name, restoring: state, subtask: subtask, parallelism: parallelism,
                    maxParallelism: TierRun.maxParallelism, batchCapacity: 7,
                    layering: RowLayering(root: disk.root, leases: leases),
                    rowPlace: budget.map {
                        RowPlace(
                            store: disk, names: names, leases: leases, budgetBytes: $0, batchCapacity: 7,
                            metrics: metrics, background: { $0() })
                    }, make)
            }
        }

        /// The panes in a snapshot, as whoever opens it without the job sees them.
        func panes(of checkpoint: Int64) throws -> [MemorySnapshot.Entry] {
            var found: [MemorySnapshot.Entry] = []
            try disk.load("chk-\(checkpoint)").restoredState(of: TierRun.name)?.entries(of: "panes", keyGroups: nil) {
                found.append(.init(key: Array($0), value: Array($1)))
            }
            return found
        }

        func write(_ snapshots: [OperatorSnapshot], checkpoint: Int64, _ kind: SnapshotKind) throws {
            var files: [SegmentFile] = []
            func write(_ name: String, _ subtask: Int, _ parts: [StatePart]) throws -> SegmentFile? {
                try disk.writeSegment(
                    checkpoint: checkpoint, name: name, operators: [TierRun.name], subtask: subtask, parts: parts,
                    isCancelled: { false })
            }
            for (subtask, snapshot) in snapshots.enumerated() {
                files += [try write("whole-\(subtask)", subtask, snapshot.parts)].compactMap { $0 }
                for (index, rows) in snapshot.rows.enumerated() {
                    for layer in rows.base {
                        guard let file = try layer.file() else { continue }
                        try layer.sync()
                        files.append(rows.isSelfContained ? try disk.copy(file.file, into: checkpoint) : file.file)
                    }
                    for added in rows.added {
                        var file = try write("rows\(index)-\(subtask)", subtask, added.parts)
                        file?.sequence = added.layer.sequence
                        added.layer.written(file.map { HeldSegment($0, leases.take($0.path)) })
                        if let file { files.append(file) }
                    }
                }
            }
            try disk.complete(
                SnapshotMetadata(
                    checkpoint: checkpoint, kind: kind.rawValue, timeMilliseconds: 0, jobName: "job",
                    maxParallelism: TierRun.maxParallelism,
                    operators: [.init(name: TierRun.name, parallelism: snapshots.count)], files: files))
        }
    }
}
