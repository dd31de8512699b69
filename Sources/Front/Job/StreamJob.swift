// SPDX-License-Identifier: Apache-2.0
//  A job as a program: `run` and `plan` for free.

@_exported import ArgumentParser
import ThalwegBase
import ThalwegControl
import ThalwegGraph
import ThalwegOperator
import ThalwegRuntime

/// A job that is its own executable.
///
///     @main struct HotItems: StreamJob {
///         @Option var input: String
///         func build(_ env: StreamEnvironment) throws { try env.read(...)... }
///     }
///
/// The executable understands `run` and `plan`, with the job's own options and the engine's.
public protocol StreamJob: ParsableArguments, Sendable {
    /// The name in help texts and reports; by default made from the type's name.
    static var jobName: String { get }
    /// One sentence for the help text.
    static var abstract: String { get }
    /// Declares the job's steps. Must declare the same steps for the same options every time.
    func build(_ env: StreamEnvironment) throws
}

extension StreamJob {
    /// The type's name in words with hyphens: `HotItems` is `hot-items`.
    public static var jobName: String {
        var name = ""
        for character in String(describing: Self.self) {
            if character.isUppercase && !name.isEmpty { name += "-" }
            name += character.lowercased()
        }
        return name
    }

    public static var abstract: String { "" }

    /// Runs the command line of this process.
    public static func main() async { await JobCommand<Self>.main() }
}

/// The command line of a job's executable.
struct JobCommand<Job: StreamJob>: AsyncParsableCommand {
    static var configuration: CommandConfiguration {
        CommandConfiguration(
            commandName: Job.jobName, abstract: Job.abstract,
            subcommands: [RunCommand<Job>.self, PlanCommand<Job>.self], defaultSubcommand: RunCommand<Job>.self)
    }
}

/// `run`: runs the job in this process.
struct RunCommand<Job: StreamJob>: AsyncParsableCommand {
    static var configuration: CommandConfiguration {
        CommandConfiguration(commandName: "run", abstract: "Run the job in this process.")
    }

    @OptionGroup(title: "Job options") var job: Job
    @OptionGroup(title: "Engine options") var options: EngineOptions
    @OptionGroup(title: "Memory") var memory: MemoryArguments
    @OptionGroup(title: "Checkpoints and stops") var checkpoints: CheckpointArguments

    func validate() throws { try Usage.check { try settings().validate() } }

    private func settings() throws -> ExecutionSettings {
        var settings = try options.settings()
        settings.jobName = Job.jobName
        try memory.apply(to: &settings)
        try checkpoints.apply(to: &settings)
        return settings
    }

    mutating func run() async throws {
        let environment = StreamEnvironment(settings: try settings())
        try job.build(environment)
        try await JobRunner(
            name: Job.jobName, environment: environment, output: options.reportStyle, stopping: checkpoints.stopPolicy
        ).run()
    }
}

/// `plan`: shows what the job consists of without running it.
struct PlanCommand<Job: StreamJob>: AsyncParsableCommand {
    static var configuration: CommandConfiguration {
        CommandConfiguration(commandName: "plan", abstract: "Show the steps and tasks of the job without running it.")
    }

    /// How a plan is printed.
    enum Format: String, ExpressibleByArgument, CaseIterable { case text, json, dot }

    @OptionGroup(title: "Job options") var job: Job
    @OptionGroup(title: "Engine options") var options: EngineOptions
    @Option(help: "text, json, or dot (Graphviz).") var format = Format.text
    @Option(
        help: ArgumentHelp(
            "Say what the job would make of each state of a snapshot. Exits with 0 when nothing is lost, with 2 when "
                + "state would be dropped, with 3 when the job cannot start.",
            valueName: "snapshot"))
    var against: String?

    func validate() throws {
        if against != nil && format == .dot { throw ValidationError("--against has no form dot: use text or json") }
        try Usage.check { try options.settings().validate() }
    }

    mutating func run() async throws {
        let environment = StreamEnvironment(settings: try options.settings())
        try job.build(environment)
        if let against { return try show(try environment.makeUpgradePlan(against: against)) }
        let plan = try environment.makePlan()
        switch format {
        case .text: print(plan.text, terminator: "")
        case .json: print(try plan.json)
        case .dot: print(plan.dot, terminator: "")
        }
    }
}

extension PlanCommand {
    private func show(_ plan: UpgradePlan) throws {
        print(format == .json ? try plan.json : plan.text, terminator: format == .json ? "\n" : "")
        if plan.exitCode != 0 { throw ExitCode(plan.exitCode) }
    }
}

/// The options that every job understands.
struct EngineOptions: ParsableArguments {
    @Option(name: [.long, .short], help: "The number of subtasks of each step.") var parallelism = 1
    @Option(
        name: .customLong("set"),
        help: ArgumentHelp(
            "An engine setting: max-parallelism, batch-capacity, object-reuse (default, copyPerOperator, fullReuse), "
                + "taskmanager.memory....",
            valueName: "key=value"))
    var assignments: [String] = []
    @Flag(help: "Print a report as JSON at the end.") var json = false
    @Flag(help: "Print no progress.") var quiet = false

    var reportStyle: JobRunner.Output { json ? .json : quiet ? .quiet : .progress }

    func settings() throws -> ExecutionSettings {
        var settings = ExecutionSettings()
        settings.parallelism = parallelism
        for assignment in assignments { try settings.set(assignment) }
        return settings
    }
}

extension ExecutionSettings {
    /// Looks for settings that are wrong whatever the job is.
    ///
    /// - Throws: `ThalwegError(.job)` for the first one.
    public func validate() throws {
        guard parallelism >= 1, parallelism <= maxParallelism else {
            throw ThalwegError(
                .job, "the parallelism is out of range", detail: "\(parallelism) is not in 1...\(maxParallelism)",
                hint: "the upper bound is max-parallelism, the number of key groups")
        }
        try checkpoints?.settings.validate()
        if let memory { _ = try MemoryPlan(memory.configuration) }
    }

    /// Applies `key=value`.
    ///
    /// - Throws: `ThalwegError(.job)` naming the known keys.
    public mutating func set(_ assignment: String) throws(ThalwegError) {
        let parts = assignment.split(separator: "=", maxSplits: 1).map(String.init)
        func fail(_ hint: String) -> ThalwegError {
            ThalwegError(.job, "a setting is not understood", detail: "\"\(assignment)\"", hint: hint)
        }
        guard parts.count == 2 else { throw fail("write it as key=value") }
        if MemoryConfiguration.knows(parts[0]) {
            var all = memory ?? MemorySettings()
            try all.configuration.set(parts[0], to: parts[1])
            memory = all
            return
        }
        switch parts[0] {
        case "parallelism", "max-parallelism", "batch-capacity":
            guard let number = Int(parts[1]), number > 0 else { throw fail("give a whole number above 0") }
            switch parts[0] {
            case "parallelism": parallelism = number
            case "max-parallelism": maxParallelism = number
            default: batchCapacity = number
            }
        case "object-reuse":
            guard let mode = ObjectReuseMode(rawValue: parts[1]) else {
                throw fail("one of \(ObjectReuseMode.allCases.map(\.rawValue).joined(separator: ", "))")
            }
            objectReuse = mode
        default:
            throw fail("known keys: parallelism, max-parallelism, batch-capacity, object-reuse, taskmanager.memory...")
        }
    }
}
