// SPDX-License-Identifier: Apache-2.0
//  The options of memory, the same wherever a job is run.

import ArgumentParser
import ThalwegBase
import ThalwegControl
import ThalwegRuntime

/// The options by which the memory of a job's process is set on a command line (FLIP-49).
public struct MemoryArguments: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "The memory of the process: 256MiB, 2g. It is divided as `thalweg config explain` says; single parts are "
                + "given with --set taskmanager.memory....",
            valueName: "size"))
    public var memory: MemorySize?
    @Option(
        help: ArgumentHelp(
            "The memory for keyed state, such as 64MiB; rows beyond it rest in files. Without this option it is the "
                + "managed part of --memory.", valueName: "size"))
    public var stateMemory: MemorySize?
    @Option(
        help: ArgumentHelp(
            "What keeps keyed state: tiered (rows beyond its memory rest in layers, as checkpoints are made of), "
                + "memory (all rows stay in memory, whatever --memory says) or rocksdb (rows beyond its memory rest in "
                + "RocksDB; needs the package trait RocksDB).", valueName: "name"))
    public var stateBackend: StateBackendName?
    @Option(
        help: ArgumentHelp(
            "A directory of this machine for rows in RocksDB, and for those of a job without checkpoints; /tmp unless "
                + "given.", valueName: "dir"))
    public var stateDirectory: String?
    @Option(help: "What a process that uses more than its memory leads to: fail (a tenth above) or warn.")
    public var memoryLimit: MemoryLimitPolicy?

    public init() {}

    /// Puts the options into effect; what `ExecutionSettings.set(_:)` has been given stays.
    ///
    /// - Throws: `ThalwegError(.job)` when they contradict what has been given.
    public func apply(to settings: inout ExecutionSettings) throws(ThalwegError) {
        try Self.setProcess(memory, in: &settings)
        if let stateMemory { settings.state.budgetBytes = stateMemory.bytes }
        if let stateDirectory { settings.state.directory = stateDirectory }
        if let stateBackend { settings.state.backend = try stateBackend.backend() }
        if stateBackend == .memory, stateMemory != nil {
            throw ThalwegError(
                .job, "memory options contradict each other",
                detail: "--state-backend memory keeps all rows in memory, --state-memory sends some elsewhere",
                hint: "leave one of them out")
        }
        guard let memoryLimit else { return }
        guard settings.memory != nil else {
            throw ThalwegError(
                .job, "--memory-limit has no limit to watch", hint: "give --memory, such as --memory 256MiB")
        }
        settings.memory?.policy = memoryLimit
    }

    /// Gives the process a size, if there is one.
    ///
    /// - Throws: `ThalwegError(.job)` when another one has been given.
    public static func setProcess(
        _ memory: MemorySize?, in settings: inout ExecutionSettings
    ) throws(ThalwegError) {
        guard let memory else { return }
        var all = settings.memory ?? MemorySettings()
        if let other = all.configuration.bytes(of: .processSize), other != memory.bytes {
            throw ThalwegError(
                .job, "memory options contradict each other",
                detail: "--memory is \(memory), \(MemoryOption.processSize.rawValue) is \(MemorySize(bytes: other))",
                hint: "leave one of them out: they mean the same")
        }
        try all.configuration.set(MemoryOption.processSize.rawValue, to: memory.text)
        settings.memory = all
    }
}

extension MemorySize: ExpressibleByArgument {
    public init?(argument: String) { self.init(text: argument) }
}

extension MemoryLimitPolicy: ExpressibleByArgument {}
