// SPDX-License-Identifier: Apache-2.0
//  How do visitors use a web site? One line per session of each client address.

import Thalweg

/// One line of the output.
struct Session: Codable, Sendable {
    var address: String
    var first: EventTime
    var last: EventTime
    var requests: Int64
    var bytes: Int64
}

@main
struct Sessions: StreamJob {
    static let abstract = "Cuts the access log of a web server into sessions of its clients."

    @Option(help: "An access log in the combined format, also gzipped.") var log: String
    @Option(help: "The silence that ends a session, such as 90s, 30m or 1h.") var gap = Duration.minutes(30)
    @Option(help: "The CSV file to write.") var output: String
    @Option(help: "Where to put lines that are not in the combined format; without it they are only counted.")
    var deadLetters: String?

    static let unreadable = OutputTag<DeadLetter>("unreadable")

    func build(_ env: StreamEnvironment) throws {
        let requests = env.read(.files(log, format: .lines(repairingUTF8: true)), name: "log")
            .map(name: "parse", onError: deadLetters == nil ? .skip() : .deadLetter(Self.unreadable)) {
                try Request(parsing: $0)
            }
        if let deadLetters {
            try requests.sideOutput(Self.unreadable).write(to: .files(deadLetters, format: .json), name: "dead letters")
        }
        try requests
            // A line is written when its request ends but carries the time of its beginning.
            .timestamps(by: \.time, watermark: .boundedOutOfOrderness(.minutes(1)))
            .keyed(by: \.address)
            .window(.session(gap: gap))
            .aggregate(Visit(), name: "sessions") { address, visit, _ in
                Session(
                    address: address, first: visit.first, last: visit.last, requests: visit.requests, bytes: visit.bytes)
            }
            .write(to: .files(output, format: .csv(header: false, timeFormat: .iso8601Seconds)))
    }
}

/// Sums up the requests of a session.
struct Visit: AggregateFunction {
    struct Summary: Codable, Sendable {
        var first = EventTime.max
        var last = EventTime.min
        var requests: Int64 = 0
        var bytes: Int64 = 0
    }

    func makeAccumulator() -> Summary { Summary() }

    func add(_ request: Request, to summary: inout Summary) {
        summary.first = min(summary.first, request.time)
        summary.last = max(summary.last, request.time)
        summary.requests += 1
        summary.bytes += request.bytes
    }

    func merge(_ other: Summary, into summary: inout Summary) {
        summary.first = min(summary.first, other.first)
        summary.last = max(summary.last, other.last)
        summary.requests += other.requests
        summary.bytes += other.bytes
    }

    func result(_ summary: Summary) -> Summary { summary }
}
