// SPDX-License-Identifier: Apache-2.0
//  The code of "Checkpoints and restarts".

import Thalweg

enum CheckpointSnippets {
    static func settings() {
        var settings = ExecutionSettings()
        settings.jobName = "hourly-sales"
        var checkpoints = CheckpointOptions(directory: "/var/lib/sales/checkpoints", from: "latest")
        checkpoints.settings.interval = 10_000
        checkpoints.settings.retained = 3
        checkpoints.settings.toleratedFailures = 3
        settings.checkpoints = checkpoints
        settings.restart = .fixedDelay(attempts: 3, delay: 10_000)
        let env = StreamEnvironment(settings: settings)
        _ = env
    }

    static func unaligned(_ checkpoints: CheckpointOptions) {
        var checkpoints = checkpoints
        checkpoints.settings.alignmentTimeout = 500
        _ = checkpoints
    }

    static func names(_ bids: DataStream<Bid>) throws {
        try bids.keyed(by: \.bidder).process(Silence()).named("silence").write(to: .files("silent/", format: .lines))
    }

    static func execute(_ env: StreamEnvironment) async throws {
        let execution = try env.makeExecution()
        switch try await execution.run() {
        case .finished: print("all input was processed")
        case .stopped(let snapshot): print("to be started again from \(snapshot.path ?? "the beginning")")
        }
    }

    static func whileItRuns(_ execution: JobExecution) async throws {
        let kept = try await execution.savepoint()
        print("a savepoint lies in \(kept.path ?? "memory")")
        try await execution.stop(.suspend)
    }
}
