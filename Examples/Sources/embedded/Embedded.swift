// SPDX-License-Identifier: Apache-2.0
//  A job inside a service: fed by an asynchronous sequence, its results iterated as one.

import Logging
import ServiceLifecycle
import Thalweg

struct Reading: Codable, Sendable {
    var room: String
    var time: EventTime
    var celsius: Double
}

struct Mean: Codable, Sendable, Equatable {
    var room: String
    var minute: EventTime
    var celsius: Double
}

@main
struct Embedded {
    static func main() async throws {
        try await run(readings: 600) { print("\($0.room)  \($0.minute)  \($0.celsius) °C") }
    }

    /// Runs a thermometer, the job and a display as services until the last result has been shown.
    static func run(readings count: Int, show: @escaping @Sendable (Mean) -> Void) async throws {
        let (readings, feed) = AsyncStream.makeStream(of: Reading.self)
        let means = StreamOutput<Mean>()
        let environment = StreamEnvironment()
        try environment.read(.async(readings), name: "readings")
            .timestamps(by: \.time, watermark: .ascending)
            .keyed(by: \.room)
            .window(.tumbling(.minutes(1)))
            .aggregate(Average { $0.celsius }) { room, celsius, window in
                Mean(room: room, minute: window.start, celsius: celsius ?? .nan)
            }
            .write(to: .output(means))

        // A failure of any service ends all of them. The first two end by themselves; when the display has shown
        // everything, so does the group.
        let group = ServiceGroup(
            configuration: .init(
                services: [
                    .init(service: Thermometer(feed: feed, count: count), successTerminationBehavior: .ignore),
                    .init(service: try JobService(environment), successTerminationBehavior: .ignore),
                    .init(
                        service: Display(means: means, show: show),
                        successTerminationBehavior: .gracefullyShutdownGroup),
                ],
                gracefulShutdownSignals: [.sigint, .sigterm], logger: Logger(label: "embedded")))
        try await group.run()
    }
}

/// Stands for whatever produces records in your service: requests, messages, sensors.
struct Thermometer: Service {
    var feed: AsyncStream<Reading>.Continuation
    var count: Int

    func run() async {
        for second in 0..<count {
            let room = second.isMultiple(of: 2) ? "attic" : "cellar"
            let celsius = (room == "attic" ? 24.0 : 11.0) + Double(second / 60)
            feed.yield(Reading(room: room, time: EventTime(milliseconds: Int64(second) * 1000), celsius: celsius))
        }
        feed.finish()
    }
}

/// Stands for whatever consumes results.
struct Display: Service {
    var means: StreamOutput<Mean>
    var show: @Sendable (Mean) -> Void

    func run() async throws {
        for try await mean in means { show(mean) }
    }
}
