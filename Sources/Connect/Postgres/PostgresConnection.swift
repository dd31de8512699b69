// SPDX-License-Identifier: Apache-2.0
//  One session of a PostgreSQL server, and its errors in the engine's words.

#if Postgres
    import CPostgres
    import ThalwegBase

    /// A session. Every call blocks until the server has answered.
    final class PostgresConnection: @unchecked Sendable {
        // Unchecked: a session is used by one thread at a time, the one of a writer or the one that holds a lock.

        /// How long an attempt to connect may take, unless the connection text says otherwise.
        static let connectSecondsMax = 10
        /// How long a statement waits for a lock that another session holds.
        static let lockSecondsMax = 30
        /// The bytes handed to the client library at a time.
        static let copyBytesMax = 1 << 20

        let session: OpaquePointer
        /// Whom errors name: no password, no user.
        let place: String

        /// - Parameters:
        ///   - text: as libpq understands it, `host=db dbname=shop` or `postgresql://db/shop`.
        ///   - role: what the server shows as the session's application.
        ///   - settings: statements that set up the session further.
        /// - Throws: `ThalwegError(.retry)` when the server cannot be reached or refuses.
        init(_ text: String, role: String, settings more: [String] = []) throws(ThalwegError) {
            // What comes later wins: the connection text may say another time, but not another encoding.
            let settings = [
                ("connect_timeout", "\(Self.connectSecondsMax)"), ("dbname", text), ("application_name", role),
                ("client_encoding", "UTF8"),
            ]
            let opened = Self.withTexts(settings.map(\.0)) { names in
                Self.withTexts(settings.map(\.1)) { values in PQconnectdbParams(names, values, 1) }
            }
            guard let session = opened else {
                throw ThalwegError(.retry, "no memory for a session of PostgreSQL")
            }
            self.session = session
            let host = PQhost(session).map { String(cString: $0) } ?? ""
            let port = PQport(session).map { String(cString: $0) } ?? ""
            let name = PQdb(session).map { String(cString: $0) } ?? ""
            place = "database \(name) at \(host.isEmpty ? "localhost" : host) port \(port)"
            guard PQstatus(session) == CONNECTION_OK else {
                throw ThalwegError(
                    .retry, "cannot connect to PostgreSQL", detail: Self.message(PQerrorMessage(session)),
                    hint: "check that the server runs, and host, port, dbname and user of the connection")
            }
            PQsetNoticeProcessor(session, { _, _ in }, nil)
            for statement in [
                "SET timezone = 'UTC'", "SET datestyle = 'ISO, YMD'", "SET synchronous_commit = on",
                "SET lock_timeout = '\(Self.lockSecondsMax)s'", "SET client_min_messages = warning",
                // An interval without a record is no reason to end its transaction.
                "SET idle_in_transaction_session_timeout = 0", "SET statement_timeout = 0",
            ] + more { try run(statement) }
        }

        deinit { PQfinish(session) }

        /// Whether the server may still answer.
        var isAlive: Bool { PQstatus(session) == CONNECTION_OK }

        // MARK: Statements

        /// What a statement gave: the rows as text, and how many rows it touched.
        struct Answer {
            var rows: [[String?]] = []
            var touched: Int64 = 0
        }

        /// Runs one statement whose values are `$1`, `$2`...
        @discardableResult
        func run(_ statement: String, _ values: [String] = []) throws(ThalwegError) -> Answer {
            let result = Self.withTexts(values) { pointers in
                PQexecParams(session, statement, Int32(values.count), nil, pointers, nil, nil, 0)
            }
            return try answer(result)
        }

        /// Runs statements as one transaction; when one fails, none has happened.
        func transaction<Result>(_ body: () throws -> Result) throws -> Result {
            try run("BEGIN")
            do {
                let result = try body()
                try run("COMMIT")
                return result
            } catch {
                _ = try? run("ROLLBACK")
                throw error
            }
        }

        /// Sends rows in the format of a `COPY ... FROM STDIN`; returns how many the server took.
        func copy(_ statement: String, _ bytes: [UInt8]) throws(ThalwegError) -> Int64 {
            let begun = PQexec(session, statement)
            guard PQresultStatus(begun) == PGRES_COPY_IN else {
                let answer = try answer(begun)
                throw ThalwegError(.bug, "a copy did not begin", detail: "\(statement): \(answer)")
            }
            PQclear(begun)
            let isSent = bytes.withUnsafeBytes { bytes in
                // The library counts in 32 bits.
                stride(from: 0, to: bytes.count, by: Self.copyBytesMax).allSatisfy { start in
                    let piece = UnsafeRawBufferPointer(rebasing: bytes[start...].prefix(Self.copyBytesMax))
                    let text = piece.bindMemory(to: CChar.self).baseAddress
                    return PQputCopyData(session, text, Int32(piece.count)) == 1
                }
            }
            guard isSent, PQputCopyEnd(session, nil) == 1 else { throw failure() }
            var touched: Int64 = 0
            var first: ThalwegError?
            while let result = PQgetResult(session) {
                do throws(ThalwegError) { touched += try answer(result).touched } catch {
                    first = first ?? error
                }
            }
            if let first { throw first }
            return touched
        }

        private func answer(_ result: OpaquePointer?) throws(ThalwegError) -> Answer {
            guard let result else { throw failure() }
            defer { PQclear(result) }
            let status = PQresultStatus(result)
            guard status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK else {
                throw failure(result)
            }
            var answer = Answer()
            for row in 0..<PQntuples(result) {
                answer.rows.append(
                    (0..<PQnfields(result)).map { field in
                        PQgetisnull(result, row, field) == 1 ? nil : String(cString: PQgetvalue(result, row, field))
                    })
            }
            answer.touched = Int64(PQcmdTuples(result).map { String(cString: $0) } ?? "") ?? 0
            return answer
        }

        // MARK: Errors

        func failure(_ result: OpaquePointer? = nil) -> ThalwegError {
            func field(_ code: Character) -> String? {
                result.flatMap { PQresultErrorField($0, Int32(code.asciiValue ?? 0)) }.map { Self.message($0) }
            }
            // The codes of the fields are those of the protocol: C state, M primary, D detail, W where.
            let state = field("C") ?? "08000"
            let told = [field("M") ?? Self.message(PQerrorMessage(session)), field("D"), field("W")]
            return PostgresFailure(state: state).error(told.compactMap(\.self).joined(separator: "; "), at: place)
        }

        private static func message(_ text: UnsafePointer<CChar>?) -> String {
            guard let text else { return "no message" }
            var lines = String(cString: text).split(separator: "\n", omittingEmptySubsequences: true)[...]
            while lines.last?.allSatisfy(\.isWhitespace) == true { lines = lines.dropLast() }
            return lines.joined(separator: " ")
        }

        /// Lends texts as C strings, with a null pointer behind the last.
        static func withTexts<Result>(
            _ texts: [String], _ body: (UnsafePointer<UnsafePointer<CChar>?>?) -> Result
        ) -> Result {
            var bytes: [CChar] = []
            var starts: [Int] = []
            for text in texts {
                starts.append(bytes.count)
                bytes.append(contentsOf: text.utf8CString)
            }
            return bytes.withUnsafeBufferPointer { bytes in
                var pointers: [UnsafePointer<CChar>?] = starts.map { start in bytes.baseAddress.map { $0 + start } }
                pointers.append(nil)
                return pointers.withUnsafeBufferPointer { body($0.baseAddress) }
            }
        }
    }

    /// The server's code of an error, and what it means to a job.
    struct PostgresFailure: Error {
        let state: String

        func error(_ told: String, at place: String) -> ThalwegError {
            let (kind, primary, hint) = meaning
            return ThalwegError(kind, primary, detail: "\(told) (SQLSTATE \(state), \(place))", hint: hint, cause: self)
        }

        private var meaning: (ThalwegError.Kind, String, String?) {
            switch state {
            case "42P01": (.job, "a table is missing in PostgreSQL", "create the table, or name its schema")
            case "42P10":
                (.job, "no unique constraint fits the key of an upsert", "make the key a primary key or a unique index")
            case "42501":
                (
                    .job, "PostgreSQL denies a permission",
                    "grant SELECT on the table; to a sink also INSERT and UPDATE, and CREATE on its schema"
                )
            case "55P03", "40P01", "40001":
                (.retry, "PostgreSQL could not get a lock", "look for sessions that write to the same rows")
            case "57P01", "57P02", "57P03":
                (
                    .retry, "PostgreSQL ended a session",
                    "wait for the server; if it runs, look for a second job whose sink has the same id"
                )
            case "57014":
                (
                    .retry, "PostgreSQL ended a statement",
                    "if it took too long: raise the time-out, or look at its plan and give the table an index"
                )
            case "25006":
                (.job, "PostgreSQL refuses to write", "a look-up only reads: let its query write nothing")
            case _ where state.hasPrefix("08"):
                (.retry, "the session with PostgreSQL is lost", "check that the server runs and can be reached")
            case _ where state.hasPrefix("53"): (.retry, "PostgreSQL is out of resources", nil)
            case _ where state.hasPrefix("22") || state.hasPrefix("23"):
                (.input, "PostgreSQL refuses a row", "compare the record's fields with the columns of the table")
            case _ where state.hasPrefix("42"):
                (.job, "PostgreSQL refuses a statement", "compare the record's fields with the columns of the table")
            default: (.task, "PostgreSQL reports an error", nil)
            }
        }
    }

    extension ThalwegError {
        /// The server's code of the error; nil when it does not come from a server.
        var postgresState: String? { (cause as? PostgresFailure)?.state }
    }
#endif
