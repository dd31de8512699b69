// SPDX-License-Identifier: Apache-2.0
//  The job that the documentation begins with: sales per customer and hour.

import Thalweg

struct Order: Codable, Sendable { var customer: String, cents: Int64, time: EventTime }
struct Sales: Codable, Sendable { var customer: String, hour: EventTime, cents: Int64 }

@main struct FirstJob: StreamJob {
    @Option(help: "Orders as JSON lines.") var input: String
    @Option(help: "The CSV file to write.") var output = "sales.csv"

    func build(_ env: StreamEnvironment) throws {
        try env.read(.files(input, format: .json(Order.self)), name: "orders")
            .timestamps(by: \.time, watermark: .boundedOutOfOrderness(.minutes(5)))
            .keyed(by: \.customer).window(.tumbling(.hours(1)))
            .aggregate(Sum(\.cents)) { Sales(customer: $0, hour: $2.start, cents: $1) }
            .write(to: .files(output, format: .csv))
    }
}
