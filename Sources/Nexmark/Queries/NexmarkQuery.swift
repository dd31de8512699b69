// SPDX-License-Identifier: Apache-2.0
//  The queries by name, and how one is run.

public import Thalweg

/// A query of the workload as a job.
public protocol NexmarkQuery: Sendable {
    associatedtype Row: NexmarkRow
    /// Such as `q5`.
    static var name: String { get }
    /// Puts the query together; the result is a stream of changes of the result table.
    static func rows(_ input: NexmarkInput, in env: StreamEnvironment) throws -> DataStream<Row>
    /// Puts the query together with a sink. A requirement, so that it is specialised for each query.
    static func build(_ input: NexmarkInput, to output: NexmarkOutput, in env: StreamEnvironment) throws
}

/// Where a query's rows go.
public enum NexmarkOutput: Sendable {
    /// Nowhere: for measuring.
    case blackHole
    /// Into files of a directory, a row per line in golden form.
    case files(String)
    /// Into a table in memory.
    case result(NexmarkResult)
}

extension NexmarkQuery {
    public static func build(_ input: NexmarkInput, to output: NexmarkOutput, in env: StreamEnvironment) throws {
        let rows = try rows(input, in: env)
        switch output {
        case .blackHole: rows.write(to: .blackHole())
        case .files(let directory):
            rows.map { GoldenTable.row($0.columns) }
                .write(to: .files(directory.hasSuffix("/") ? directory : directory + "/", format: .lines))
        case .result(let result): rows.write(to: ResultSink(result: result))
        }
    }
}

/// All queries.
public enum NexmarkQueries {
    public static let all: [any NexmarkQuery.Type] = [
        Q0.self, Q1.self, Q2.self, Q3.self, Q4.self, Q5.self, Q7.self, Q8.self, Q9.self, Q11.self, Q12.self, Q14.self,
        Q15.self, Q16.self, Q17.self, Q18.self, Q19.self, Q20.self, Q21.self, Q22.self,
    ]

    /// The query of a name.
    ///
    /// - Throws: `ThalwegError(.input)` with the names that there are.
    public static func named(_ name: String) throws(ThalwegError) -> any NexmarkQuery.Type {
        if let query = all.first(where: { $0.name == name }) { return query }
        throw ThalwegError(
            .input, "no such query", detail: "\"\(name)\"",
            hint: "there are \(names)")
    }

    /// The names that there are; q6, q10 and q13 are not among them.
    public static var names: String { all.map { $0.name }.joined(separator: ", ") }
}
