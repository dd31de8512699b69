// SPDX-License-Identifier: Apache-2.0
//  Jobs within the memory they are given: exchanges by construction, the process by looking at it.

import Testing
import Thalweg
import ThalwegTesting

@testable import ThalwegRuntime

@Suite struct MemoryTests {
    private static func plan(network: Int) throws -> MemoryPlan {
        var configuration = MemoryConfiguration(processBytes: 1 << 40)
        for end in ["min", "max"] { try configuration.set("taskmanager.memory.network.\(end)", to: "\(network)") }
        return try MemoryPlan(configuration)
    }

    // MARK: Exchanges

    @Test func channelsHoldLessWhenTheyMust() throws {
        let edges = [ExchangeEdge(channels: 4, rowBytes: 100), ExchangeEdge(channels: 2, rowBytes: 50)]
        // Batches of 1,000 in all channels at once: half a million bytes.
        func fit(_ batches: Int) throws -> ExchangePlan {
            try ExchangePlan(edges, 1000, Self.plan(network: batches * 500_000))
        }
        #expect(try fit(14) == fit(1000) && fit(14).limits == ChannelLimits() && fit(14).boundBytes == 7_000_000)
        var last = ChannelLimits(packets: 0, recycled: 0)
        for batches in 3...14 {
            let plan = try fit(batches)
            #expect(plan.batchCapacity == 1000 && plan.boundBytes <= batches * 500_000)
            #expect(plan.limits.packets >= max(1, last.packets) && plan.limits.recycled >= last.recycled)
            last = plan.limits
        }
        let small = try ExchangePlan(edges, 1000, Self.plan(network: 1_400_000))
        #expect(small.batchCapacity == 500 && small.limits.packets == 2 && small.boundBytes <= 1_400_000)
        #expect(try ExchangePlan([], 1000, Self.plan(network: 0)).limits == ChannelLimits())
    }

    /// The size that the error names is enough, one byte less is not.
    @Test func tooManyChannelsAreRefused() throws {
        let edges = [ExchangeEdge(channels: 10_000, rowBytes: 100)]
        let least = 10_000 * 100 * ExchangePlan.batchCapacityMin * 3
        #expect(try ExchangePlan(edges, 1024, Self.plan(network: least)).limits.packets == 1)
        #expect {
            _ = try ExchangePlan(edges, 1024, Self.plan(network: least - 1))
        } throws: { error in
            "\(error)".contains("taskmanager.memory.network.min to \(MemorySize(bytes: least).text)")
        }
    }

    @Test func whatLiesInChannelsIsCounted() {
        let memory = ExchangeMemory()
        var channel: Channel? = Channel(
            limits: ChannelLimits(packets: 2, recycled: 1), batchBytes: 10, memory: memory, wakeConsumer: {},
            wakeProducer: {})
        channel?.send(.batch(Batch<Int>(capacity: 1)))
        #expect(channel?.isFull == false)
        channel?.send(.signal(.flush))
        #expect(channel?.isFull == true && memory.queuedBytes == 10)
        for _ in 0..<3 { channel?.send(.batch(Batch<Int>(capacity: 1))) }
        _ = channel?.receive()
        _ = channel?.receive()
        #expect(memory.queuedBytes == 30 && memory.peakBytes == 40)
        // A failed task's channels go with what is in them.
        channel = nil
        #expect(memory.queuedBytes == 0)
    }

    private static func job(_ settings: ExecutionSettings) throws -> (StreamEnvironment, Collected<Int64>) {
        let env = StreamEnvironment(settings: settings)
        let rows = Collected<Int64>()
        env.numbers(1...200_000).rebalance().map { $0 + 1 }.parallelism(3).rebalance()
            .map { $0 * 2 }.parallelism(2).write(to: .collect(rows))
        return (env, rows)
    }

    /// With next to no room the result is the same, and what is in the channels stays below the limit.
    @Test func exchangesKeepWithinTheirPart() async throws {
        var settings = ExecutionSettings()
        try settings.set("taskmanager.memory.network.max=20k")
        try settings.set("taskmanager.memory.network.min=20k")
        try settings.set("taskmanager.memory.process.size=1g")
        settings.memory?.measure = nil
        let (env, rows) = try Self.job(settings)
        let execution = try env.makeExecution()
        try await execution.run()
        #expect(rows.elements.count == 200_000 && rows.elements.reduce(0, +) == 200_000 * 200_003)
        let exchanges = execution.metrics.memory.exchanges
        #expect(exchanges.boundBytes > 0 && exchanges.boundBytes <= 20 << 10)
        #expect(exchanges.peakBytes > 0 && exchanges.peakBytes <= exchanges.boundBytes, "\(exchanges.peakBytes)")
        #expect(exchanges.queuedBytes == 0)
        #expect(execution.notices.lines.contains { $0.contains("records, so that exchanges keep within") })
    }

    // MARK: The process

    private static func settings(_ policy: MemoryLimitPolicy, uses megabytes: Int) -> ExecutionSettings {
        var settings = ExecutionSettings()
        settings.memory = MemorySettings(
            MemoryConfiguration(processBytes: 100 << 20), policy: policy, measure: { megabytes << 20 })
        return settings
    }

    @Test func aJobThatUsesTooMuchFails() async throws {
        let (env, _) = try Self.job(Self.settings(.fail, uses: 111))
        await #expect {
            try await env.execute()
        } throws: { error in
            "\(error)".contains("the process uses more memory than it may: 111 MiB of 100 MiB")
        }
    }

    /// A restart would not help.
    @Test func noRestartStrategyIsAsked() async throws {
        var settings = Self.settings(.fail, uses: 111)
        settings.restart = .fixedDelay(attempts: 1000, delay: 1)
        let (env, _) = try Self.job(settings)
        let execution = try env.makeExecution()
        await #expect(throws: ThalwegError.self) { try await execution.run() }
        #expect(execution.checkpoints.failovers.value == 0)
    }

    @Test(arguments: [(MemoryLimitPolicy.fail, 105), (.warn, 900)])
    func aJobIsWarned(_ policy: MemoryLimitPolicy, _ megabytes: Int) async throws {
        let (env, rows) = try Self.job(Self.settings(policy, uses: megabytes))
        let execution = try env.makeExecution()
        try await execution.run()
        #expect(rows.elements.count == 200_000)
        #expect(execution.notices.lines.filter { $0.hasPrefix("warning: the process uses more") }.count == 1)
        #expect(execution.metrics.memory.residentPeakBytes.value == megabytes << 20)
    }

    @Test func whatCannotBeIsRefusedBeforeTheJobRuns() throws {
        var settings = ExecutionSettings()
        try settings.set("taskmanager.memory.process.size=10m")
        let (env, _) = try Self.job(settings)
        #expect { _ = try env.makeExecution() } throws: { error in
            "\(error)".contains("taskmanager.memory.process.size must be at least")
        }
        #expect(throws: ThalwegError.self) { try settings.set("taskmanager.memory.process=1g") }
    }

    @Test func theProcessSaysWhatItOccupies() {
        let resident = ProcessUsage.residentBytes()
        #expect(resident > 1 << 20 && resident <= ProcessUsage().peakMemoryBytes + 64 << 20)
    }
}
