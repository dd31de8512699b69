// SPDX-License-Identifier: Apache-2.0
//  The code of "Running a job".

import ServiceLifecycle
import Thalweg

enum RunningSnippets {
    static func settings() throws {
        var settings = ExecutionSettings()
        settings.parallelism = 4
        try settings.set("batch-capacity=256")
        let env = StreamEnvironment(settings: settings)
        _ = env
    }

    static func parts(_ bids: DataStream<Bid>) throws {
        try bids.filter { $0.price > 0 }.parallelism(2)
            .keyed(by: \.auction).aggregate(Count()) { auction, _ in auction }.named("count").parallelism(4)
            .write(to: .files("counts.jsonl", format: .json)).parallelism(1)
    }

    static func service(_ env: StreamEnvironment, _ server: any Service, _ results: StreamOutput<Bid>) async throws {
        let job = try JobService(env)
        let group = ServiceGroup(
            configuration: .init(
                services: [.init(service: server), .init(service: job)],
                gracefulShutdownSignals: [.sigterm], logger: .init(label: "service")))
        try await group.run()
    }

    static func consume(_ bids: DataStream<Bid>) async throws {
        let output = StreamOutput<Bid>()
        bids.write(to: .output(output))
        let job = try JobService(bids.environment)
        async let run: Void = job.run()
        for try await bid in output { print(bid.price) }
        try await run
    }
}
