// SPDX-License-Identifier: Apache-2.0
//  What a query gives: rows that are added, or the newest row of each key.

import Synchronization
import Thalweg

/// A row of a query's result.
///
/// A query gives a stream of changes of its result table. Without key columns every row is an addition; with key
/// columns each row takes the place of the one before it with the same key.
public protocol NexmarkRow: Sendable {
    /// The positions of the columns that are the key of the result table; empty when rows are only ever added.
    static var keyColumns: [Int] { get }
    /// The columns as the golden files have them; only asked for when somebody wants to see them.
    var columns: [GoldenTable.Field] { get }
}

extension NexmarkRow {
    public static var keyColumns: [Int] { [] }
}

/// A result table that a running query fills.
public final class NexmarkResult: Sendable {
    private let contents = Guarded<GoldenTable>(GoldenTable())

    public init() {}

    /// The table; complete when the job has ended.
    public var table: GoldenTable { contents.withLock { $0 } }

    func merge(_ table: GoldenTable) { contents.withLock { $0.merge(table) } }
}

/// Applies a stream of changes and adds the rows that remain to a ``NexmarkResult``.
///
/// All changes of a key come to the same subtask, as the query's last keyed step put them there.
struct ResultSink<Row: NexmarkRow>: Sink {
    let kind = "result"
    let result: NexmarkResult

    func makeWriter(_ context: SinkContext) -> Writer { Writer(result) }

    final class Writer: SinkWriter {
        private let result: NexmarkResult
        private var table = GoldenTable()
        private var rows: [String: String] = [:]

        init(_ result: NexmarkResult) { self.result = result }

        func write(_ batch: Batch<Row>) {
            let keyColumns = Row.keyColumns
            for index in 0..<batch.count {
                let columns = batch.rows[index].columns
                if keyColumns.isEmpty {
                    table.add(GoldenTable.row(columns))
                } else {
                    rows[GoldenTable.row(keyColumns.map { columns[$0] })] = GoldenTable.row(columns)
                }
            }
        }

        func prepare(_ request: PrepareRequest) -> PreparedOutput<NoCommittable, NoWriterState> {
            guard request.isFinal else { return PreparedOutput() }
            for row in rows.values { table.add(row) }
            result.merge(table)
            return PreparedOutput()
        }
    }
}
