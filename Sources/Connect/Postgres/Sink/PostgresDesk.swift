// SPDX-License-Identifier: Apache-2.0
//  A writer's session: what is said to the server, in which order.

#if Postgres
    import ThalwegBase

    /// Writes the batches of one subtask. All calls come from one thread, in the order `open`, `clean`, then `write`
    /// and `seal` in turn; every one blocks until the server has answered.
    final class PostgresDesk {
        /// How long `thalweg_commits` remembers, in days: older checkpoints cannot be gone back to.
        static let ledgerDays = 30
        /// How often the end of an older session is looked for, every 20 ms.
        static let fenceRounds = 500

        private let connection: String
        private let table: PostgresTable
        private let id: String
        private let mode: PostgresMode
        private let subtask: Int
        private let parallelism: Int
        private var session: PostgresConnection?
        private var token = ""
        /// The batch whose transaction is open.
        private var openBatch: Int64?
        private var nextBatch: Int64 = 1

        init(
            connection: String, table: PostgresTable, id: String, mode: PostgresMode, subtask: Int, parallelism: Int
        ) {
            self.connection = connection
            self.table = table
            self.id = id
            self.mode = mode
            self.subtask = subtask
            self.parallelism = parallelism
        }

        /// The table rows wait in; nil when prepared transactions hold them.
        var staging: String? { mode == .appendTwoPhase ? nil : table.stagingName }

        func name(of batch: Int64, token: String) -> String {
            PostgresName(subtask: subtask, batch: batch, token: token).text(id: id)
        }

        private func live() throws(ThalwegError) -> PostgresConnection {
            guard let session else { throw ThalwegError(.bug, "a session of PostgreSQL is used before it is open") }
            return session
        }

        // MARK: Open

        /// Connects, checks what the sink needs, and makes the tables that are missing.
        func open(_ tell: (String) -> Void) throws {
            let session = try PostgresConnection(connection, role: "thalweg-\(id)-\(subtask)")
            self.session = session
            if mode == .appendTwoPhase { try checkPrepared(session) }
            try makeTables(session)
            // The plan fails as the statement would: on a missing table, column or unique index.
            if let staging {
                let key: [String]
                if case .upsert(let columns) = mode { key = columns } else { key = [] }
                let statement = table.move(from: staging, columns: table.columns, key: key)
                try session.run("EXPLAIN \(statement)", [""])
            } else {
                try session.run("SELECT \(PostgresTable.list(table.columns)) FROM \(table.target) LIMIT 0")
            }
            let drawn = try session.run("SELECT md5(random()::text || clock_timestamp() || pg_backend_pid())")
            token = String((drawn.rows.first?.first.flatMap { $0 } ?? "").prefix(16))
            tell(token)
        }

        private func checkPrepared(_ session: PostgresConnection) throws {
            let shown = try session.run("SHOW max_prepared_transactions")
            let limit = shown.rows.first?.first.flatMap { $0 }.flatMap { Int($0) } ?? 0
            guard limit < 2 * parallelism else { return }
            throw ThalwegError(
                .job, "PostgreSQL keeps too few prepared transactions",
                detail: "max_prepared_transactions is \(limit), \(parallelism) subtasks need \(2 * parallelism) "
                    + "(\(session.place))",
                hint: "set it in postgresql.conf and restart the server, or use .append or .upsert, which need none")
        }

        private func makeTables(_ session: PostgresConnection) throws {
            try session.transaction {
                // Writers start at the same time, and creating a table twice is an error even if it may exist.
                try session.run("SELECT pg_advisory_xact_lock(hashtext('thalweg'))")
                if try !exists(table.ledger, session) {
                    try session.run(
                        "CREATE TABLE \(table.ledger) (batch text PRIMARY KEY, sink text NOT NULL, "
                            + "committed_at timestamptz NOT NULL DEFAULT now())")
                }
                if let staging, try !exists(table.qualified(staging), session) {
                    let place = table.qualified(staging)
                    try session.run(
                        "CREATE TABLE \(place) AS SELECT \(PostgresTable.list(table.columns)) "
                            + "FROM \(table.target) WITH NO DATA")
                    try session.run(
                        "ALTER TABLE \(place) ADD COLUMN thalweg_batch text NOT NULL, "
                            + "ADD COLUMN thalweg_seq bigserial")
                    // Given with the column, the default would be asked for at once, outside of any batch.
                    try session.run(
                        "ALTER TABLE \(place) ALTER COLUMN thalweg_batch "
                            + "SET DEFAULT current_setting('thalweg.batch')")
                    try session.run("CREATE INDEX ON \(place) (thalweg_batch)")
                }
            }
        }

        private func exists(_ table: String, _ session: PostgresConnection) throws -> Bool {
            try session.run("SELECT to_regclass($1) IS NOT NULL", [table]).rows == [["t"]]
        }

        // MARK: Clean

        /// Ends older sessions of this subtask, and of those that went away, and drops what they left and no checkpoint
        /// counts on.
        func clean(keeping states: [PostgresWriterState]) throws {
            let session = try live()
            try fence(session)
            var kept: [String: Int64] = [:]
            for state in states { kept[state.token] = max(state.batch, kept[state.token] ?? 0) }
            let prepared = try session.run(
                "SELECT gid FROM pg_prepared_xacts WHERE database = current_database()")
            for gid in garbage(prepared, kept) {
                do throws(ThalwegError) { try session.run("ROLLBACK PREPARED '\(gid)'") } catch {
                    guard error.postgresState == "42704" else { throw error }
                }
            }
            if let staging {
                let place = table.qualified(staging)
                let waiting = try session.run("SELECT DISTINCT thalweg_batch FROM \(place)")
                for batch in garbage(waiting, kept) {
                    try session.run("DELETE FROM \(place) WHERE thalweg_batch = $1", [batch])
                }
            }
            if subtask == 0 {
                try session.run(
                    "DELETE FROM \(table.ledger) WHERE sink = $1 "
                        + "AND committed_at < now() - interval '\(Self.ledgerDays) days'", [id])
            }
        }

        /// Each subtask answers for itself and for higher ones of an attempt that had more.
        private func isMine(_ other: Int) -> Bool {
            other == subtask || (other >= parallelism && other % parallelism == subtask)
        }

        private func garbage(_ found: PostgresConnection.Answer, _ kept: [String: Int64]) -> [String] {
            found.rows.compactMap { row in
                guard let text = row[0], let name = PostgresName(text, id: id), isMine(name.subtask) else { return nil }
                if let last = kept[name.token], name.batch <= last { return nil }
                return text
            }
        }

        /// A session of an attempt that crashed may still be at work: what it does after the cleaning would stay.
        /// Younger ones are let be, as this may be the one that is left over.
        private func fence(_ session: PostgresConnection) throws {
            let prefix = "thalweg-\(id)-"
            for _ in 0..<Self.fenceRounds {
                let others = try session.run(
                    "SELECT pid, application_name FROM pg_stat_activity WHERE datname = current_database() "
                        + "AND left(application_name, length($1)) = $1 AND backend_start < "
                        + "(SELECT backend_start FROM pg_stat_activity WHERE pid = pg_backend_pid())", [prefix])
                let old = others.rows.compactMap { row -> String? in
                    guard let pid = row[0], let subtask = Int(row[1]?.dropFirst(prefix.count) ?? ""),
                        isMine(subtask)
                    else { return nil }
                    return pid
                }
                if old.isEmpty { return }
                for pid in old { try session.run("SELECT pg_terminate_backend($1::int)", [pid]) }
                try session.run("SELECT pg_sleep(0.02)")
            }
            throw ThalwegError(
                .retry, "an older session of a sink does not end", detail: "\(id), subtask \(subtask)",
                hint: "look for it in pg_stat_activity, and whether a second job uses the same id")
        }

        // MARK: Write

        func write(_ bytes: [UInt8], rows: Int64) throws {
            let session = try live()
            if openBatch == nil {
                try session.run("BEGIN")
                try session.run(
                    "SELECT set_config('thalweg.batch', $1, true)", [name(of: nextBatch, token: token)])
                openBatch = nextBatch
            }
            let taken = try session.copy(table.copy(into: staging.map(table.qualified) ?? table.target), bytes)
            guard taken == rows else {
                throw ThalwegError(
                    .input, "PostgreSQL took fewer rows than were sent", detail: "\(taken) of \(rows)",
                    hint: "a record whose only column holds the text `\\.` cannot be written: add a column")
            }
        }

        /// Makes the open batch survive a crash; it is not visible yet.
        func seal(_ batch: Int64) throws {
            let session = try live()
            guard openBatch == batch else { throw ThalwegError(.bug, "batch \(batch) has no transaction") }
            if staging == nil {
                let name = name(of: batch, token: token)
                try session.run("INSERT INTO \(table.ledger) (batch, sink) VALUES ($1, $2)", [name, id])
                try session.run("PREPARE TRANSACTION '\(name)'")
            } else {
                try session.run("COMMIT")
            }
            (openBatch, nextBatch) = (nil, batch + 1)
        }

        func close() { session = nil }
    }
#endif
