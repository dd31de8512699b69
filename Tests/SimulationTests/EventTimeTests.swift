// SPDX-License-Identifier: Apache-2.0
//  Event time over crashes and restarts: what a checkpoint has of it is what an operator goes on from.

import Testing
import Thalweg
import ThalwegSimulation

/// Group totals that keep in their state how far event time had come, and watch that it does not go back.
struct WatchfulTotals: KeyedProcessFunction {
    @State var windows = MapState<Int64, Int64>()
    @State var last = ValueState<Int64>()
    @State var time = ValueState<Int64>()
    @State var fired = ValueState<Int64>()
    let world: SimulatedWorld
    /// After a change of parallelism a subtask goes on from the least of the times of its key groups.
    let mayGoBack: Bool

    init(_ world: SimulatedWorld, mayGoBack: Bool) {
        self.world = world
        self.mayGoBack = mayGoBack
    }

    private mutating func watch(_ context: KeyedContext<Int64>) {
        let now = context.watermark.time.milliseconds
        if let time = time.value, now < time, !mayGoBack {
            world.report("event time of key \(context.key) went from \(time) to \(now)")
        }
        time.value = max(time.value ?? .min, now)
    }

    mutating func process(_ value: ReadingTotal, _ context: KeyedContext<Int64>, _ out: Collector<String>) {
        watch(context)
        let start = value.start.milliseconds
        // The window has closed at every subtask before it, or its total would not be here.
        let end = start + WindowedScenario.windowMilliseconds
        if let fired = fired.value, fired >= end + WindowedScenario.windowMilliseconds {
            world.report("a total of window \(start) comes after the timer of \(fired)")
        }
        windows[start, default: 0] += value.total
        context.registerEventTimeTimer(at: EventTime(milliseconds: end + WindowedScenario.windowMilliseconds))
    }

    mutating func onTimer(
        at time: EventTime, _ domain: TimeDomain, _ context: KeyedContext<Int64>, _ out: Collector<String>
    ) {
        watch(context)
        let moment = time.milliseconds
        if let fired = fired.value, moment <= fired {
            world.report("timer \(moment) of key \(context.key) fires after that of \(fired)")
        }
        fired.value = moment
        let start = moment - WindowedScenario.windowMilliseconds * 2
        guard let total = windows[start] else { return out.emit("\(context.key) \(start) without a window") }
        windows[start] = nil
        let sum = (last.value ?? 0) + total
        last.value = sum
        out.emit("\(context.key) \(start) \(total) \(sum)")
    }
}

@Suite struct EventTimeTests {
    private static func scenario(mayGoBack: Bool) -> Scenario {
        Scenario("watchful", records: 240) { env, world in
            let windows = try WindowedScenario.windows(
                env.read(SimulatedLog(world) { Reading(number: $0) }, name: "readings"))
            try WindowedScenario.grouped(windows)
                .process(WatchfulTotals(world, mayGoBack: mayGoBack), name: "groups")
                .write(to: SimulatedTopic("totals", in: world), name: "totals")
        }
    }

    /// No key sees event time go back, whatever fails, as long as parallelism stays; and no timer fires twice.
    @Test func eventTimeOfAKeyNeverGoesBack() async throws {
        let simulation = Simulation(Self.scenario(mayGoBack: false))
        for seed in 1...25 as ClosedRange<UInt64> {
            var plan = FaultPlan.drawn(seed, records: 240)
            plan.faults.removeAll { $0.kind == .rescale }
            let result = try await simulation.run(seed: seed, plan: plan)
            #expect(result.isPassed, "\(result)")
        }
    }

    /// With another parallelism what has fired still does not fire again.
    @Test func timersFireOnceOverRescaling() async throws {
        let simulation = Simulation(Self.scenario(mayGoBack: true))
        for seed in 1...25 as ClosedRange<UInt64> {
            var plan = FaultPlan.drawn(seed, records: 240)
            plan.faults.append(Fault(.rescale, Int(seed % 4) + 1, at: .record, Int(seed * 37 % 200)))
            let result = try await simulation.run(seed: seed, plan: plan)
            #expect(result.isPassed, "\(result)")
        }
    }
}
