// SPDX-License-Identifier: Apache-2.0
//  Finds rows of PostgreSQL by key, for asynchronous look-ups (FLIP-12).

#if Postgres
    import ThalwegBase
    import ThalwegData

    /// What look-ups may take.
    public struct PostgresLookupLimits: Sendable {
        /// The most sessions with the server, each with a thread of its own.
        public var sessions = 4
        /// How long the server may work on one call. The call's time-out in the job is another: it gives up what has
        /// not been answered, and the server is told.
        public var timeout = Duration.seconds(10)
        /// The most calls that wait for a session.
        public var queueMax = 10_000
        /// The most rows that one call gives.
        public var rowsMax = 100_000
        /// The most bytes of text that one call gives.
        public var bytesMax = 64 << 20

        public init() {}
        public init(sessions: Int, timeout: Duration = .seconds(10)) {
            self.sessions = sessions
            self.timeout = timeout
        }
    }

    /// Finds rows by key over a few sessions, without blocking whoever asks.
    ///
    ///     let customers = try PostgresLookup<Int64, Customer>("host=db dbname=shop", table: "customers", key: "id")
    ///     orders.asyncLookup(
    ///         by: \.customer, batch: CallBatching(countMax: 100, delayMax: .milliseconds(2)), timeout: .seconds(5),
    ///         retry: .fixed(attempts: 5, delay: .milliseconds(200), when: AsyncRetry.mayPass),
    ///         lookup: customers.rows
    ///     ) { order, customer in ... }
    ///
    /// One statement asks for all keys of a call: its parameters are arrays, `= ANY($1)`. Columns go to fields of the
    /// same name; those of nested records have a dot in the name. A session only reads, and is opened when it is
    /// needed; a lost one is replaced once without a word. They are all closed when the look-up is gone.
    ///
    /// Errors that may pass (no connection, a lost session, a statement that took too long) are of kind `.retry`.
    public final class PostgresLookup<Key: PostgresKey, Row: Codable & Sendable>: Sendable {
        /// How much longer than the server's own time-out silence is borne with, in milliseconds.
        static var graceMilliseconds: Int64 { 5000 }

        let statement: String
        private let key: [String]
        private let columns: PostgresColumns<Row>
        private let pool: PostgresPool
        private let limits: PostgresConnection.AnswerLimits

        /// Looks for rows of a table.
        ///
        /// - Parameters:
        ///   - connection: as libpq understands it: `host=db dbname=shop user=ada` or `postgresql://ada@db/shop`.
        ///   - schema: where the table lies; nil: the first in the session's search path that has it.
        ///   - key: the column that has the key. Give it an index.
        /// - Throws: `ThalwegError(.job)` for rows that columns cannot hold and limits that make no sense.
        public convenience init(
            _ connection: String, table: String, schema: String? = nil, key: String,
            limits: PostgresLookupLimits = PostgresLookupLimits()
        ) throws(ThalwegError) {
            let fields = try PostgresColumns<Row>().columns.map(\.name)
            let selected = PostgresTable.list((fields.contains(key) ? [] : [key]) + fields)
            let place = (schema.map { PostgresTable.quoted($0) + "." } ?? "") + PostgresTable.quoted(table)
            try self.init(
                connection, query: "SELECT \(selected) FROM \(place) WHERE \(PostgresTable.quoted(key)) = ANY($1)",
                key: [key], limits: limits)
        }

        /// Looks for what a query gives.
        ///
        ///     try PostgresLookup<Int64, Customer>(
        ///         "host=db dbname=shop", query: "SELECT id, name FROM customers WHERE id = ANY($1) AND NOT deleted",
        ///         key: ["id"])
        ///
        /// - Parameters:
        ///   - query: a SELECT that has the keys as arrays: `$1` the first column of all keys, `$2` the second and so
        ///     on, as in `(shop, number) IN (SELECT * FROM unnest($1::int[], $2::bigint[]))`. It may run more than
        ///     once.
        ///   - key: the columns of its answer that have the key.
        /// - Throws: `ThalwegError(.job)` for rows that columns cannot hold and limits that make no sense.
        public init(
            _ connection: String, query: String, key: [String], limits: PostgresLookupLimits = PostgresLookupLimits()
        ) throws(ThalwegError) {
            let timeout = limits.timeout.wholeMilliseconds
            guard limits.sessions > 0, limits.queueMax > 0, limits.rowsMax > 0, limits.bytesMax > 0,
                (1...Int64(Int32.max) - Self.graceMilliseconds).contains(timeout)
            else {
                throw ThalwegError(
                    .job, "a limit of a look-up makes no sense", detail: "\(limits)",
                    hint: "use numbers of 1 at least, and a time-out between a millisecond and 24 days")
            }
            guard !key.isEmpty, !query.isEmpty else {
                throw ThalwegError(.job, "a look-up has no key or no query", hint: "name the column that has the key")
            }
            columns = try PostgresColumns<Row>()
            statement = query
            self.key = key
            self.limits = PostgresConnection.AnswerLimits(
                rowsMax: limits.rowsMax, bytesMax: limits.bytesMax,
                silenceMax: Int32(timeout + Self.graceMilliseconds))
            let settings = [
                "SET default_transaction_read_only = on", "SET statement_timeout = \(timeout)",
            ]
            // A space keeps the name apart from those of sinks.
            pool = PostgresPool(sessionsMax: limits.sessions, queueMax: limits.queueMax) { () throws(ThalwegError) in
                try PostgresConnection(connection, role: "thalweg lookup", settings: settings)
            }
        }

        // MARK: Asking

        /// The row of a key; nil when there is none.
        ///
        /// - Throws: as ``rows(of:)``.
        public func row(of key: Key) async throws -> Row? { try await rows(of: [key])[key] }

        /// The rows of keys; those without one are left out.
        ///
        /// - Throws: `ThalwegError(.retry)` for what may pass, `.input` for rows and keys that are not what they are
        ///   read as and for a key with several rows, `.job` for a query that cannot work; `CancellationError` when the
        ///   task is cancelled.
        public func rows(of keys: [Key]) async throws -> [Key: Row] {
            try await ask(keys, into: [Key: Row]()) { rows, key, row in
                guard rows.updateValue(row, forKey: key) == nil else {
                    throw ThalwegError(
                        .input, "a key has several rows in PostgreSQL",
                        detail: "key \(key.postgresTexts.joined(separator: ", "))",
                        hint: "ask with groups(of:), or let the query choose, as with DISTINCT ON")
                }
            }
        }

        /// All rows of each key, in the order of the query; keys without one are left out.
        ///
        /// - Throws: as ``rows(of:)``.
        public func groups(of keys: [Key]) async throws -> [Key: [Row]] {
            try await ask(keys, into: [Key: [Row]]()) { rows, key, row in rows[key, default: []].append(row) }
        }

        private func ask<Found: Sendable>(
            _ keys: [Key], into empty: Found,
            _ add: @escaping @Sendable (inout Found, Key, Row) throws -> Void
        ) async throws -> Found {
            guard !keys.isEmpty else { return empty }
            let asked = Set(keys)
            let values = try parameters(keys)
            let (statement, columns, names, limits) = (statement, columns, key, limits)
            return try await pool.run { session, bell, isGivenUp in
                let reader = PostgresRows<Key, Row>(columns, key: names)
                var found = empty
                try session.run(statement, values, limits, bell: bell, isGivenUp: isGivenUp) { result in
                    let (key, row) = try reader.read(result)
                    guard asked.contains(key) else { throw Self.unasked(key) }
                    try add(&found, key, row)
                }
                return found
            }
        }

        private static func unasked(_ key: Key) -> ThalwegError {
            ThalwegError(
                .input, "PostgreSQL gave a row for a key that nobody asked for",
                detail: "key \(key.postgresTexts.joined(separator: ", "))",
                hint: "let the query give keys as they were asked for: watch letter case, padding and time zones")
        }

        /// An array in the server's notation for each column of the key.
        private func parameters(_ keys: [Key]) throws(ThalwegError) -> [String] {
            var arrays: [[UInt8]] = Array(repeating: [UInt8(ascii: "{")], count: key.count)
            for asked in keys {
                let texts = asked.postgresTexts
                guard texts.count == key.count else {
                    throw ThalwegError(
                        .job, "a key has another number of columns than its look-up",
                        detail: "\(Key.self) has \(texts.count), the look-up names \(key.joined(separator: ", "))")
                }
                for (column, text) in texts.enumerated() {
                    if arrays[column].count > 1 { arrays[column].append(UInt8(ascii: ",")) }
                    arrays[column].append(UInt8(ascii: "\""))
                    for byte in text.utf8 {
                        guard byte != 0 else {
                            throw ThalwegError(
                                .input, "a key cannot be in PostgreSQL", detail: "\(text.debugDescription)",
                                hint: "its text has no zero bytes: map such keys before they are looked up")
                        }
                        if byte == UInt8(ascii: "\"") || byte == UInt8(ascii: "\\") {
                            arrays[column].append(UInt8(ascii: "\\"))
                        }
                        arrays[column].append(byte)
                    }
                    arrays[column].append(UInt8(ascii: "\""))
                }
            }
            return arrays.map { String(decoding: $0 + [UInt8(ascii: "}")], as: UTF8.self) }
        }
    }
#endif
