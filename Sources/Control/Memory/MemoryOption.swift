// SPDX-License-Identifier: Apache-2.0
//  The options of memory, what they hold, and what holds without them.

import ThalwegBase

/// An option of memory, by the name that FLIP-49 gives it.
public enum MemoryOption: String, Sendable, Hashable, CaseIterable, Codable {
    case processSize = "taskmanager.memory.process.size"
    case flinkSize = "taskmanager.memory.flink.size"
    case frameworkHeap = "taskmanager.memory.framework.heap.size"
    case frameworkOffHeap = "taskmanager.memory.framework.off-heap.size"
    case taskHeap = "taskmanager.memory.task.heap.size"
    case taskOffHeap = "taskmanager.memory.task.off-heap.size"
    case managedSize = "taskmanager.memory.managed.size"
    case managedFraction = "taskmanager.memory.managed.fraction"
    case networkMin = "taskmanager.memory.network.min"
    case networkMax = "taskmanager.memory.network.max"
    case networkFraction = "taskmanager.memory.network.fraction"
    case metaspace = "taskmanager.memory.jvm-metaspace.size"
    case overheadMin = "taskmanager.memory.jvm-overhead.min"
    case overheadMax = "taskmanager.memory.jvm-overhead.max"
    case overheadFraction = "taskmanager.memory.jvm-overhead.fraction"

    /// What every option begins with.
    public static let prefix = "taskmanager.memory."

    /// Whether it is a fraction of another size.
    public var isFraction: Bool {
        switch self {
        case .managedFraction, .networkFraction, .overheadFraction: true
        default: false
        }
    }

    /// Names from before FLIP-49 that are still understood, with a warning.
    static let legacy: [String: MemoryOption] = [
        "taskmanager.heap.size": .flinkSize, "taskmanager.memory.size": .managedSize,
        "taskmanager.memory.fraction": .managedFraction, "taskmanager.network.memory.min": .networkMin,
        "taskmanager.network.memory.max": .networkMax, "taskmanager.network.memory.fraction": .networkFraction,
    ]
}

/// What holds for an option that is not given: a value.
public struct MemoryDefaults: Sendable, Hashable {
    var sizes: [MemoryOption: Int]
    var fractions: [MemoryOption: MemoryFraction]

    /// For a process without a virtual machine: a framework of 16 MiB, 4 MiB for exchanges and 16 MiB of overhead at
    /// least.
    public static let thalweg = MemoryDefaults(
        sizes: [
            .frameworkHeap: 16 << 20, .frameworkOffHeap: 0, .taskOffHeap: 0, .networkMin: 4 << 20,
            .networkMax: MemorySize.bytesMax, .metaspace: 0, .overheadMin: 16 << 20, .overheadMax: 1 << 30,
        ], fractions: shares)

    /// Those of FLIP-49, to see what a configuration of Flink's means there.
    public static let flink = MemoryDefaults(
        sizes: [
            .frameworkHeap: 128 << 20, .frameworkOffHeap: 128 << 20, .taskOffHeap: 0, .networkMin: 64 << 20,
            .networkMax: MemorySize.bytesMax, .metaspace: 256 << 20, .overheadMin: 192 << 20, .overheadMax: 1 << 30,
        ], fractions: shares)

    private static let shares: [MemoryOption: MemoryFraction] = [
        .managedFraction: MemoryFraction(thousandths: 400), .networkFraction: MemoryFraction(thousandths: 100),
        .overheadFraction: MemoryFraction(thousandths: 100),
    ]
}

/// The memory options that somebody has given: a value.
public struct MemoryConfiguration: Sendable, Hashable {
    /// The sizes given, by option.
    var sizes: [MemoryOption: Int] = [:]
    /// The fractions given, by option.
    var fractions: [MemoryOption: MemoryFraction] = [:]
    /// The names of options that were given by an older one.
    private var legacyNames: [MemoryOption: String] = [:]
    /// What people should know about the options given.
    public private(set) var warnings: [String] = []

    public init() {}

    /// One number for the whole process.
    public init(processBytes: Int) { sizes[.processSize] = processBytes }

    /// Whether nothing was given.
    public var isEmpty: Bool { sizes.isEmpty && fractions.isEmpty }

    /// The size given for an option, in bytes.
    public func bytes(of option: MemoryOption) -> Int? { sizes[option] }

    /// Whether a name is one of the options, or was once.
    public static func knows(_ name: String) -> Bool {
        MemoryOption(rawValue: name) != nil || MemoryOption.legacy[name] != nil || name.hasPrefix(MemoryOption.prefix)
    }

    /// Sets an option. Of an older name and a newer one the newer wins; of the same name the last.
    ///
    /// - Throws: `ThalwegError(.job)` when the name is none or the value cannot be read.
    public mutating func set(_ name: String, to text: String) throws(ThalwegError) {
        guard let option = MemoryOption(rawValue: name) ?? MemoryOption.legacy[name] else {
            throw ThalwegError(
                .job, "there is no such memory option", detail: name,
                hint: "one of \(MemoryOption.allCases.map(\.rawValue).joined(separator: ", "))")
        }
        let isLegacy = name != option.rawValue
        let isGiven = sizes[option] != nil || fractions[option] != nil
        if isLegacy && isGiven && legacyNames[option] == nil {
            warnings.append("\(name) is ignored: \(option.rawValue) is given")
            return
        }
        if option.isFraction {
            guard let fraction = MemoryFraction(text: text) else {
                throw Self.unreadable(name, text, "a fraction from 0 up to but not including 1, such as 0.4")
            }
            fractions[option] = fraction
        } else {
            guard let size = MemorySize(text: text) else {
                throw Self.unreadable(name, text, "a size of at most 1024t, such as 512b, 64m or 4GiB")
            }
            sizes[option] = size.bytes
        }
        if isLegacy {
            warnings.append("\(name) is an old name: write \(option.rawValue)")
        } else if let old = legacyNames[option] {
            warnings.append("\(old) is ignored: \(option.rawValue) is given")
        }
        legacyNames[option] = isLegacy ? name : nil
    }

    private static func unreadable(_ name: String, _ text: String, _ form: String) -> ThalwegError {
        ThalwegError(.job, "a memory option cannot be read", detail: "\(name)=\(text)", hint: "give \(form)")
    }
}
