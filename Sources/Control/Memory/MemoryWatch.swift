// SPDX-License-Identifier: Apache-2.0
//  Whether a process keeps within the memory it was given.

import ThalwegBase

/// What happens to a job whose process uses more memory than it was given.
public enum MemoryLimitPolicy: String, Sendable, Hashable, Codable, CaseIterable {
    /// It is warned of, and fails when it is a tenth above.
    case fail
    /// It is warned of.
    case warn
}

/// Memory in use by what is counted, in bytes.
public struct MemoryUse: Sendable, Hashable {
    /// What the system says that the process occupies.
    public var residentBytes: Int
    /// Pages and tables of state.
    public var stateBytes: Int
    /// Batches in channels.
    public var networkBytes: Int

    public init(residentBytes: Int, stateBytes: Int, networkBytes: Int) {
        self.residentBytes = residentBytes
        self.stateBytes = stateBytes
        self.networkBytes = networkBytes
    }
}

/// Watches samples of the memory of a process: a value that decides, and measures nothing itself.
public struct MemoryWatch: Sendable {
    /// What is to be done after a sample.
    public enum Action: Sendable {
        case nothing
        case warn(String)
        case fail(ThalwegError)
    }

    /// What a warning begins with.
    public static let warning = "warning: the process uses more memory than it was given"
    /// How far above its limit a process may be before its job fails, in percent.
    public static let tolerancePercent = 10
    /// How far below its limit a process must have been before it is warned of anew, in percent.
    static let calmPercent = 5

    public let limitBytes: Int
    public let policy: MemoryLimitPolicy
    private var hasWarned = false
    private var hasFailed = false

    public init(limitBytes: Int, policy: MemoryLimitPolicy) {
        self.limitBytes = limitBytes
        self.policy = policy
    }

    /// Takes a sample.
    public mutating func handle(_ use: MemoryUse) -> Action {
        if hasFailed { return .nothing }
        let tolerated = limitBytes + limitBytes / 100 * Self.tolerancePercent
        if policy == .fail, use.residentBytes > tolerated {
            hasFailed = true
            return .fail(
                ThalwegError(
                    .job, "the process uses more memory than it may", detail: describe(use),
                    hint: "raise --memory, lower the parallelism or batch-capacity, let state expire (time to live), "
                        + "or go on with --memory-limit warn"))
        }
        if use.residentBytes <= limitBytes - limitBytes / 100 * Self.calmPercent { hasWarned = false }
        guard use.residentBytes > limitBytes, !hasWarned else { return .nothing }
        hasWarned = true
        let end = policy == .fail ? "the job fails at \(MemorySize(bytes: tolerated))" : "the job goes on"
        return .warn("\(Self.warning): \(describe(use)); \(end)")
    }

    private func describe(_ use: MemoryUse) -> String {
        let rest = max(0, use.residentBytes - use.stateBytes - use.networkBytes)
        return "\(MemorySize(bytes: use.residentBytes)) of \(MemorySize(bytes: limitBytes)): state "
            + "\(MemorySize(bytes: use.stateBytes)), exchanges \(MemorySize(bytes: use.networkBytes)), all else "
            + "\(MemorySize(bytes: rest))"
    }
}
