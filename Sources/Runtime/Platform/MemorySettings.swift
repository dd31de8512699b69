// SPDX-License-Identifier: Apache-2.0
//  What memory a job may use, and what it uses.

import ThalwegBase
import ThalwegControl

/// The memory of a job's process (FLIP-49): a value.
public struct MemorySettings: Sendable {
    /// How often the process is looked at.
    static let sampleInterval = Duration.milliseconds(100)

    /// The sizes given, by option.
    public var configuration: MemoryConfiguration
    /// What happens when the process uses more.
    public var policy: MemoryLimitPolicy
    /// What the process occupies, in bytes; nil: nobody looks.
    public var measure: (@Sendable () -> Int)?

    public init(
        _ configuration: MemoryConfiguration = MemoryConfiguration(), policy: MemoryLimitPolicy = .fail,
        measure: (@Sendable () -> Int)? = { ProcessUsage.residentBytes() }
    ) {
        self.configuration = configuration
        self.policy = policy
        self.measure = measure
    }
}

/// What the memory of a job is used for, readable while it runs.
public final class MemoryMetrics: Sendable {
    /// Batches between tasks.
    public let exchanges = ExchangeMemory()
    /// What the process occupied when it was last looked at, in bytes; 0 without memory settings.
    public let residentBytes = Counter()
    /// The most that was seen, in bytes.
    public let residentPeakBytes = Counter()
    /// The most that pages and tables of state were seen to take, in bytes.
    public let statePeakBytes = Counter()

    public init() {}

    /// Pages and tables of state now, those of all jobs in this process, in bytes.
    public var stateBytes: Int { PageMemory.heldBytes }

    /// Takes note of a sample; one thread at a time.
    func sample(residentBytes resident: Int) -> MemoryUse {
        let state = stateBytes
        residentBytes.set(resident)
        residentPeakBytes.set(max(resident, residentPeakBytes.value))
        statePeakBytes.set(max(state, statePeakBytes.value))
        return MemoryUse(residentBytes: resident, stateBytes: state, networkBytes: exchanges.queuedBytes)
    }
}
