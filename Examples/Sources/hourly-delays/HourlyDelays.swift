// SPDX-License-Identifier: Apache-2.0
//  How late did flights leave, by airport and hour? With the name of the city from a second file.

import Thalweg

struct Flight: Codable, Sendable {
    var date: EventTime
    var delay: Int64
    var origin: String
}

struct Airport: Codable, Sendable {
    var iata: String
    var city: String
}

/// One line of the output.
struct HourlyDelay: Codable, Sendable {
    var origin: String
    var city: String
    var windowStart: EventTime
    var flights: Int64
    var totalDelay: Int64
}

@main
struct HourlyDelays: StreamJob {
    static let abstract = "Adds up the delays of flights by airport and hour."

    @Option(help: "Flights as JSON lines, also gzipped.") var flights: String
    @Option(help: "Airports as CSV with the columns iata and city.") var airports: String
    @Option(help: "The CSV file to write.") var output: String
    @Option(help: "How far out of order flights may be, such as 90s, 30m or 1h.") var outOfOrder = Duration.hours(1)

    func build(_ env: StreamEnvironment) throws {
        let airports = try env.read(.files(airports, format: .csv(Airport.self)), name: "airports")
            .keyed(by: \.iata)
        try env.read(.files(flights, format: .json(Flight.self)), name: "flights")
            .timestamps(by: \.date, watermark: .boundedOutOfOrderness(outOfOrder))
            .keyed(by: \.origin)
            .window(.tumbling(.hours(1)))
            .aggregate(TotalDelay(), name: "delays") { origin, total, window in
                HourlyDelay(
                    origin: origin, city: "", windowStart: window.start, flights: total.flights, totalDelay: total.delay)
            }
            .keyed(by: \.origin)
            .connect(airports)
            .process(AddCity(), name: "city")
            .write(to: .files(output, format: .csv(header: false, timeFormat: .iso8601Seconds)))
    }
}

/// Counts flights and adds up their delays.
struct TotalDelay: AggregateFunction {
    struct Total: Codable, Sendable {
        var flights: Int64 = 0
        var delay: Int64 = 0
    }

    func makeAccumulator() -> Total { Total() }

    func add(_ flight: Flight, to total: inout Total) {
        total.flights += 1
        total.delay += flight.delay
    }

    func merge(_ other: Total, into total: inout Total) {
        total.flights += other.flights
        total.delay += other.delay
    }

    func result(_ total: Total) -> Total { total }
}

/// Fills in the city. Nothing is promised about which of two streams comes first, so hours wait for their airport.
///
/// An hour whose airport is not in the file waits until event time reaches it, which happens when the airports have been
/// read to their end (until then, that stream without watermarks holds back event time); it then goes out without a city.
struct AddCity: KeyedCoProcessFunction {
    @State var city = ValueState<String>()
    @State var waiting = ListState<HourlyDelay>()

    mutating func processFirst(
        _ hour: HourlyDelay, _ context: KeyedContext<String>, _ out: Collector<HourlyDelay>
    ) {
        if city.value != nil {
            emit(hour, out)
        } else {
            waiting.append(hour)
            context.registerEventTimeTimer(at: hour.windowStart + .hours(1))
        }
    }

    mutating func processSecond(_ airport: Airport, _ context: KeyedContext<String>, _ out: Collector<HourlyDelay>) {
        city.value = airport.city
        emitWaiting(out)
    }

    mutating func onTimer(
        at time: EventTime, _ domain: TimeDomain, _ context: KeyedContext<String>, _ out: Collector<HourlyDelay>
    ) {
        emitWaiting(out)
    }

    private func emitWaiting(_ out: Collector<HourlyDelay>) {
        for hour in waiting.values { emit(hour, out) }
        waiting.clear()
    }

    private func emit(_ hour: HourlyDelay, _ out: Collector<HourlyDelay>) {
        var hour = hour
        hour.city = city.value ?? ""
        out.emit(hour)
    }
}
