// SPDX-License-Identifier: Apache-2.0
//  Makes rows visible that wait at the server, and drops those that never will be.

#if Postgres
    import Synchronization
    import ThalwegBase

    /// The commits of a sink, over one session that is opened when it is needed.
    final class PostgresCommitter: Sendable {
        private let session = Guarded<PostgresConnection?>(nil)
        private let connection: String
        private let table: PostgresTable
        private let id: String
        private let key: [String]

        init(_ connection: String, _ table: PostgresTable, id: String, mode: PostgresMode) {
            (self.connection, self.table, self.id) = (connection, table, id)
            if case .upsert(let key) = mode { self.key = key } else { key = [] }
        }

        func commit(_ committables: [PostgresCommittable]) throws {
            try attempt { session in
                let staged = committables.filter { $0.staging != nil }
                if !staged.isEmpty {
                    try session.transaction { for one in staged { try self.move(one, session) } }
                }
                for one in committables where one.staging == nil { try self.commitPrepared(one, session) }
            }
        }

        func abort(_ committables: [PostgresCommittable]) {
            // What cannot be dropped now is dropped when the sink starts the next time.
            try? attempt { session in
                for one in committables {
                    if let staging = one.staging {
                        try session.run(
                            "DELETE FROM \(self.table.qualified(staging)) WHERE thalweg_batch = $1", [one.batch])
                    } else {
                        _ = try? session.run("ROLLBACK PREPARED '\(one.batch)'")
                    }
                }
            }
        }

        /// Runs a body that may be repeated; once more, over a new session, when the session turns out to be lost.
        private func attempt(_ body: (PostgresConnection) throws -> Void) throws {
            try session.withLock { held in
                if let known = held, known.isAlive {
                    do { return try body(known) } catch {
                        guard !known.isAlive else { throw error }
                    }
                }
                held = nil
                let fresh = try PostgresConnection(connection, role: "thalweg-\(id)-commit")
                held = fresh
                try body(fresh)
            }
        }

        private func move(_ one: PostgresCommittable, _ session: PostgresConnection) throws {
            let noted = try session.run(
                "INSERT INTO \(table.ledger) (batch, sink) VALUES ($1, $2) ON CONFLICT (batch) DO NOTHING",
                [one.batch, id])
            // An earlier call has done it.
            guard noted.touched > 0, let staging = one.staging else { return }
            let moved = try session.run(table.move(from: staging, columns: one.columns, key: key), [one.batch])
            let count = moved.rows.first?.first.flatMap { $0 }.flatMap { Int64($0) } ?? 0
            guard count == one.rows else { throw gone("\(one.batch): \(count) of \(one.rows) rows wait in \(staging)") }
        }

        private func commitPrepared(_ one: PostgresCommittable, _ session: PostgresConnection) throws {
            do throws(ThalwegError) { try session.run("COMMIT PREPARED '\(one.batch)'") } catch {
                guard error.postgresState == "42704" else { throw error }
                let known = try session.run("SELECT 1 FROM \(table.ledger) WHERE batch = $1", [one.batch])
                guard known.rows.isEmpty else { return }
                throw gone("no prepared transaction \(one.batch), and no trace of its commit")
            }
        }

        private func gone(_ detail: String) -> ThalwegError {
            ThalwegError(
                .corrupt, "output that a checkpoint counts on is gone from PostgreSQL", detail: detail,
                hint: "another job may use the same id, or someone removed it: restore the database, or start anew")
        }
    }
#endif
