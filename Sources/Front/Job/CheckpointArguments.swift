// SPDX-License-Identifier: Apache-2.0
//  The options of checkpoints, restarts and stops, the same wherever a job is run.

import ArgumentParser
import ThalwegBase
import ThalwegControl
import ThalwegOperator
import ThalwegRuntime

/// The options by which checkpoints, restarts and stops are set on a command line.
public struct CheckpointArguments: ParsableArguments {
    @Option(help: "Keep checkpoints in this directory. Without it a job that fails starts from the beginning.")
    public var checkpointDir: String?
    @Option(help: "Take a checkpoint so often: 100ms, 10s, 1m.")
    public var checkpointInterval: Duration?
    @Option(help: "Start from a snapshot: a path, or latest for the newest in --checkpoint-dir.")
    public var from: String?
    @Option(help: "Let barriers overtake queued records after this time (0ms: at once). Without it they wait.")
    public var alignmentTimeout: Duration?
    @Option(help: "How many checkpoints to keep. By default 1.")
    public var retain: Int?
    @Option(
        help: ArgumentHelp(
            "When a failed part starts again: none, fixed-delay:3:10s, failure-rate:3:5min:10s, "
                + "exponential-delay:1s:1min. By default: none without checkpoints, else exponential-delay."))
    public var restart: String?
    @Option(help: "Stop, with a last checkpoint, when event time has come to this moment.")
    public var atWatermark: EventTime?
    @Option(help: "How long a stop may take, with all its attempts, before the job is cancelled.")
    public var timeout: Duration?
    @Option(help: "How long a cancelled job waits for tasks that are inside a function. By default 30s.")
    public var cancelTimeout: Duration?
    @Flag(help: "Let a stop end event time, so that every window and timer fires. Not to be resumed.")
    public var drain = false
    @Flag(help: "Start although output that is published already is written again: anew, or from an older checkpoint.")
    public var repeatOutput = false
    @Flag(
        help: ArgumentHelp(
            "Take the snapshot of --from over: it is removed once the job has a checkpoint of its own. Without this it "
                + "is never touched."))
    public var claim = false
    @Flag(help: "Start from a snapshot although it holds state that the job no longer has. That state is lost.")
    public var dropUnclaimedState = false
    @Flag(help: "Start from a snapshot although a job of another name has taken it.")
    public var allowOtherJob = false

    public init() {}

    public func validate() throws {
        for (name, value) in [("--checkpoint-dir", checkpointDir), ("--from", from)] where value?.isEmpty == true {
            throw ValidationError("\(name) is empty: name a directory, or leave it out")
        }
        if from == "latest" && checkpointDir == nil { throw ValidationError("--from latest needs --checkpoint-dir") }
        if claim && (from == nil || from == "latest") { throw ValidationError("--claim needs --from PATH") }
        try checkNothingIsIdle()
        if let checkpointInterval, checkpointInterval < .milliseconds(1) {
            throw ValidationError("--checkpoint-interval must be at least 1ms")
        }
        if let restart { _ = try Self.strategy(restart, "--restart") }
        if let retain, retain < 1 { throw ValidationError("--retain must be at least 1, not \(retain)") }
    }

    /// Refuses options that would do nothing without checkpoints.
    private func checkNothingIsIdle() throws {
        guard !takesCheckpoints else { return }
        for (name, isGiven) in [
            ("--checkpoint-interval", checkpointInterval != nil), ("--alignment-timeout", alignmentTimeout != nil),
            ("--retain", retain != nil), ("--repeat-output", repeatOutput),
            ("--drop-unclaimed-state", dropUnclaimedState), ("--allow-other-job", allowOtherJob),
        ] where isGiven {
            throw ValidationError("\(name) needs --checkpoint-dir: without checkpoints it has no effect")
        }
        for (name, isGiven) in [("--at-watermark", atWatermark != nil), ("--timeout", timeout != nil)]
        where isGiven && !drain {
            throw ValidationError(
                "\(name) needs --checkpoint-dir, for a last checkpoint, or --drain, which lets every window fire: "
                    + "without either a job cannot be stopped, only cancelled")
        }
    }

    /// Whether the job has a place for checkpoints: its own, or the one that it starts from.
    private var takesCheckpoints: Bool { checkpointDir != nil || from != nil }

    /// Reads a restart strategy.
    ///
    /// - Throws: `ValidationError` when it cannot be read, which is wrong usage.
    public static func strategy(_ text: String, _ option: String) throws -> RestartStrategy {
        do { return try RestartStrategy(text: text) } catch let error as ThalwegError {
            throw ValidationError("\(option) \(error.detail ?? error.primary); \(error.hint ?? "")")
        }
    }

    /// Puts the options into effect.
    ///
    /// - Throws: `ValidationError` when a strategy cannot be read.
    public func apply(to settings: inout ExecutionSettings) throws {
        if let cancelTimeout { settings.cancellationTimeout = cancelTimeout }
        if let restart { settings.restart = try Self.strategy(restart, "--restart") }
        guard let directory = checkpointDir ?? from.map({ Self.store(of: $0) }) else { return }
        var options = CheckpointOptions(directory: directory, from: from)
        options.settings.interval = checkpointInterval?.wholeMilliseconds
        options.settings.alignmentTimeout = alignmentTimeout?.wholeMilliseconds
        options.settings.retained = retain ?? 1
        options.settings.toleratedFailures = 3
        options.dropsUnclaimedState = dropUnclaimedState
        options.repeatsOutput = repeatOutput
        options.claims = claim
        options.allowsOtherJob = allowOtherJob
        settings.checkpoints = options
    }

    /// The directory that a snapshot lies in: new checkpoints go beside it.
    private static func store(of snapshot: String) -> String {
        var path = snapshot[...]
        while path.count > 1 && path.hasSuffix("/") { path = path.dropLast() }
        if path.hasSuffix("/_metadata") { path = path.dropLast("/_metadata".count) }
        return path.lastIndex(of: "/").map { String(path[..<$0]) } ?? "."
    }

    /// What SIGINT and SIGTERM, and `--at-watermark`, mean.
    public var stopPolicy: StopPolicy {
        StopPolicy(
            mode: drain ? .drain : .suspend, timeout: timeout, watermark: atWatermark,
            isPossible: takesCheckpoints || drain)
    }
}

/// How a job in the foreground is stopped.
public struct StopPolicy: Sendable {
    public var mode = StopMode.suspend
    /// How often a last checkpoint is tried before the job ends without it.
    public static let attemptsMax = 3
    /// After so long a stop becomes a cancel; nil: never.
    public var timeout: Duration?
    /// Stops when event time has come so far.
    public var watermark: EventTime?
    /// Whether there is anything to stop with: without checkpoints a signal cancels.
    public var isPossible = false

    public init(
        mode: StopMode = .suspend, timeout: Duration? = nil, watermark: EventTime? = nil, isPossible: Bool = false
    ) {
        self.mode = mode
        self.timeout = timeout
        self.watermark = watermark
        self.isPossible = isPossible
    }
}

extension EventTime: ExpressibleByArgument {
    /// Reads a moment as in JSON and CSV: `2026-03-01T10:00:00`, or milliseconds since 1970 UTC.
    public init?(argument: String) {
        if let milliseconds = Int64(argument) {
            self.init(milliseconds: milliseconds)
        } else if let time = EventTime(iso8601: argument) {
            self = time
        } else {
            return nil
        }
    }
}
