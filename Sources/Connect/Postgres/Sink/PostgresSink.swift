// SPDX-License-Identifier: Apache-2.0
//  Writes records to a table of PostgreSQL, exactly once (FLIP-143, FLIP-191).

#if Postgres
    import ThalwegBase
    import ThalwegData
    import ThalwegFormats
    import ThalwegOperator

    /// How rows come into the table.
    public enum PostgresMode: Sendable, Hashable {
        /// A row replaces the one with the same key. The key's columns need a primary key or a unique index. Rows wait
        /// in a table beside the target and are moved by one statement when their checkpoint is complete.
        case upsert(key: [String])
        /// Every record is a new row; rows wait as with ``upsert(key:)``.
        case append
        /// Every record is a new row, written once, in a transaction that is prepared with the checkpoint and committed
        /// when that is complete. Needs `max_prepared_transactions` of at least two for each subtask.
        case appendTwoPhase
    }

    /// Writes each record as a row, a field to a column of the same name; each record counts exactly once.
    ///
    ///     .write(to: PostgresSink(
    ///         "host=db dbname=shop", table: "totals", id: "shop-totals", mode: .upsert(key: ["customer"])))
    ///
    /// Rows are seen when the checkpoint they belong to is complete; without checkpoints, when the job has succeeded.
    /// They go to the server while the interval lasts, so memory does not grow with it.
    ///
    /// Whole numbers, floating-point numbers, text, truth values and enums with raw values go to columns that the
    /// server reads their text for; `EventTime` goes to `timestamptz`, `timestamp` or `date` in UTC; nil is NULL.
    /// Fields of a nested record have a dot in the column's name. Columns that no field is named for get their
    /// default.
    ///
    /// Beside the target stand a table of rows that wait, `<table>_thalweg_<hash>`, and `thalweg_commits`, which knows
    /// what was committed. They are made when missing; that needs the right to create tables in the schema.
    ///
    /// Not promised: that two live jobs can share an `id` (the younger ends the sessions of the older), an order among
    /// rows of different subtasks, or that a job can go back to a checkpoint older than the last one it went on from.
    public struct PostgresSink<Element: Codable & Sendable>: Sink, LocatedSink {
        /// The longest id in bytes: the server keeps 63 bytes of a session's name.
        public static var idBytesMax: Int { 40 }

        public let kind = "postgres"
        public let mode: PostgresMode
        /// What rows and transactions of this sink are known by at the server.
        public let id: String
        /// How many encoded bytes a writer holds before it takes no more.
        public var queueBytesMax = 8 << 20

        let connection: String
        let table: PostgresTable
        let format: OutputFormat<Element>
        private let committer: PostgresCommitter

        /// - Parameters:
        ///   - connection: as libpq understands it: `host=db dbname=shop user=ada` or `postgresql://ada@db/shop`.
        ///   - schema: where the table lies; nil: the first in the session's search path that has it.
        ///   - id: names this sink among all that write to the database, over all restarts: letters, digits, `_`, `.`
        ///     and `-`. Another job takes another id.
        /// - Throws: `ThalwegError(.job)` for records that do not fit into columns, and bad names.
        public init(
            _ connection: String, table: String, schema: String? = nil, id: String, mode: PostgresMode
        ) throws(ThalwegError) {
            guard !id.isEmpty, id.utf8.count <= Self.idBytesMax, id.utf8.allSatisfy(PostgresName.isPlain) else {
                throw ThalwegError(
                    .job, "a sink has a bad id", detail: "\"\(id)\"",
                    hint: "use 1 to \(Self.idBytesMax) letters, digits, `_`, `.` and `-`")
            }
            self.connection = connection
            self.id = id
            self.mode = mode
            let table = try PostgresTable(RecordType<Element>.learn(), schema: schema, name: table)
            if case .upsert(let key) = mode {
                let strange = key.first { !table.columns.contains($0) }
                guard !key.isEmpty, strange == nil, Set(key).count == key.count else {
                    throw ThalwegError(
                        .job, "an upsert has a bad key", detail: "\(key); fields: \(table.columns)",
                        hint: "name one or more fields of the record, each once")
                }
            }
            self.table = table
            format = try .csv(header: false, nullText: PostgresTable.nullText)
            committer = PostgresCommitter(connection, table, id: id, mode: mode)
        }

        public var location: String { "PostgreSQL table \(table.schema.map { $0 + "." } ?? "")\(table.name) as \(id)" }

        public func makeWriter(_ context: SinkContext) throws -> PostgresSinkWriter<Element> {
            guard queueBytesMax > 0 else {
                throw ThalwegError(.job, "a bound of a sink is not positive", detail: "queueBytesMax of \(id)")
            }
            return PostgresSinkWriter(self, context, try format.makeWriter())
        }

        public func commit(_ committables: [PostgresCommittable]) throws { try committer.commit(committables) }

        public func abort(_ committables: [PostgresCommittable]) { committer.abort(committables) }
    }

    /// Rows that wait at the server for their checkpoint.
    public struct PostgresCommittable: Codable, Sendable, Hashable {
        /// What they are known by.
        let batch: String
        let rows: Int64
        /// The table they wait in; nil: a prepared transaction holds them.
        let staging: String?
        /// The columns when they were written.
        let columns: [String]
    }

    /// Who wrote up to a checkpoint.
    public struct PostgresWriterState: Codable, Sendable, Hashable {
        /// The writer, unlike all others before and after it.
        let token: String
        /// Its last batch that the checkpoint has.
        let batch: Int64
    }

    /// What a batch of rows is called at the server: `thalweg-<id>-<subtask>-<batch>-<token>`.
    struct PostgresName {
        let subtask: Int
        let batch: Int64
        let token: String

        init(subtask: Int, batch: Int64, token: String) {
            (self.subtask, self.batch, self.token) = (subtask, batch, token)
        }

        /// Nil when the name belongs to something else.
        init?(_ text: String, id: String) {
            guard text.hasPrefix("thalweg-\(id)-") else { return nil }
            let parts = text.dropFirst("thalweg-\(id)-".count).split(separator: "-", omittingEmptySubsequences: false)
            guard parts.count == 3, let subtask = Int(parts[0]), let batch = Int64(parts[1]) else { return nil }
            self.init(subtask: subtask, batch: batch, token: String(parts[2]))
        }

        func text(id: String) -> String { "thalweg-\(id)-\(subtask)-\(batch)-\(token)" }

        static func isPlain(_ byte: UInt8) -> Bool {
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "_"), UInt8(ascii: "."), UInt8(ascii: "-"):
                true
            default: false
            }
        }
    }
#endif
