// SPDX-License-Identifier: Apache-2.0
//  What becomes of records that cannot be read or make no sense: fail, skip some, or keep them aside.

import Thalweg

/// What a weather station sends.
struct Reading: Codable, Sendable {
    var station: String
    var time: EventTime
    var celsius: Double
}

@main
struct DeadLetters: StreamJob {
    static let abstract = "Checks the readings of weather stations and keeps the bad ones aside."

    enum Policy: String, ExpressibleByArgument, CaseIterable, Sendable {
        case fail, skip
        case deadLetter = "dead-letter"
    }

    @Option(help: "JSON lines with station, time and celsius.") var input: String
    @Option(help: "The CSV file for good readings.") var output: String
    @Option(help: "What to do with a bad reading: fail, skip or dead-letter.") var onError = Policy.deadLetter
    @Option(help: "With skip: how many bad readings are too many, less one; counted for each step.")
    var skipLimit = 100
    @Option(help: "With dead-letter: the file for bad readings, as JSON lines.") var deadLetters = "dead-letters.jsonl"

    static let malformed = OutputTag<DeadLetter>("malformed")
    static let implausible = OutputTag<DeadLetter>("implausible")

    func policy(_ tag: OutputTag<DeadLetter>) -> RecordErrorPolicy {
        switch onError {
        case .fail: .fail
        case .skip: .skip(limit: skipLimit)
        case .deadLetter: .deadLetter(tag)
        }
    }

    func build(_ env: StreamEnvironment) throws {
        let readings = env.read(
            .files(input, format: try .json(Reading.self)), name: "readings", onError: policy(Self.malformed))
        let checked = readings.filter(name: "plausible", onError: policy(Self.implausible)) { reading in
            guard (-90...60).contains(reading.celsius) else { throw Implausible(celsius: reading.celsius) }
            return true
        }
        try checked.write(to: .files(output, format: .csv))
        if onError == .deadLetter {
            try readings.sideOutput(Self.malformed)
                .union(checked.sideOutput(Self.implausible))
                .write(to: .files(deadLetters, format: .json), name: "dead letters")
        }
    }
}

/// A temperature that no place on earth has.
struct Implausible: Error, CustomStringConvertible {
    var celsius: Double
    var description: String { "\(celsius) °C is not a temperature of this planet" }
}
