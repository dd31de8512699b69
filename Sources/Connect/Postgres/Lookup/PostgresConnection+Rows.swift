// SPDX-License-Identifier: Apache-2.0
//  A statement whose rows are taken as they come, and that can be given up.

#if Postgres
    import CPostgres
    import Glibc
    import ThalwegBase

    extension PostgresConnection {
        /// What an answer may be.
        struct AnswerLimits: Sendable {
            var rowsMax: Int
            var bytesMax: Int
            /// The longest that the server may say nothing, in milliseconds.
            var silenceMax: Int32
        }

        /// Whether another statement may be sent.
        var isIdle: Bool { isAlive && PQtransactionStatus(session) == PQTRANS_IDLE }

        /// Runs a statement and hands each of its rows over, as a result with that row alone.
        ///
        /// - Parameters:
        ///   - bell: rung when `isGivenUp` may have become true.
        /// - Throws: errors of the server and of `row`; `CancellationError` when it was given up. The session is then
        ///   of no more use, unless ``isIdle`` says otherwise.
        func run(
            _ statement: String, _ values: [String], _ limits: AnswerLimits, bell: PostgresBell,
            isGivenUp: () -> Bool, row: (OpaquePointer) throws -> Void
        ) throws {
            let isSent = Self.withTexts(values) { pointers in
                PQsendQueryParams(session, statement, Int32(values.count), nil, pointers, nil, nil, 0)
            }
            guard isSent == 1, PQsetSingleRowMode(session) == 1 else { throw failure() }
            var first: (any Error)?
            var (rows, bytes) = (0, 0)
            while let result = try next(limits, bell, isGivenUp) {
                defer { PQclear(result) }
                switch PQresultStatus(result) {
                case PGRES_SINGLE_TUPLE:
                    rows += 1
                    for field in 0..<PQnfields(result) { bytes += Int(PQgetlength(result, 0, field)) }
                    do {
                        guard rows <= limits.rowsMax, bytes <= limits.bytesMax else { throw tooMuch(limits) }
                        try row(result)
                    } catch {
                        interrupt()
                        throw error
                    }
                case PGRES_TUPLES_OK: break
                case PGRES_COMMAND_OK, PGRES_EMPTY_QUERY:
                    first =
                        first
                        ?? ThalwegError(
                            .job, "the query of a look-up gives no rows", detail: statement, hint: "use a SELECT")
                default: first = first ?? failure(result)
                }
            }
            if let first { throw first }
        }

        private func next(
            _ limits: AnswerLimits, _ bell: PostgresBell, _ isGivenUp: () -> Bool
        ) throws -> OpaquePointer? {
            while PQisBusy(session) == 1 {
                var waits = [
                    pollfd(fd: PQsocket(session), events: Int16(POLLIN), revents: 0),
                    pollfd(fd: bell.waitEnd, events: Int16(POLLIN), revents: 0),
                ]
                let ready = poll(&waits, 2, limits.silenceMax)
                if waits[1].revents != 0 { bell.silence() }
                if isGivenUp() {
                    interrupt()
                    throw CancellationError()
                }
                guard ready != 0 else {
                    throw ThalwegError(
                        .retry, "PostgreSQL does not answer", detail: "\(limits.silenceMax) ms of silence (\(place))",
                        hint: "check the network, and that the server is not overloaded")
                }
                if waits[0].revents != 0, PQconsumeInput(session) == 0 { throw failure() }
            }
            return PQgetResult(session)
        }

        /// Asks the server to end the statement. Blocks until it has taken note.
        private func interrupt() {
            guard let cancel = PQgetCancel(session) else { return }
            defer { PQfreeCancel(cancel) }
            var reason: [CChar] = Array(repeating: 0, count: 256)
            // When it cannot be reached, it will find the session closed.
            _ = PQcancel(cancel, &reason, Int32(reason.count))
        }

        private func tooMuch(_ limits: AnswerLimits) -> ThalwegError {
            ThalwegError(
                .job, "a look-up gives too much",
                detail: "more than \(limits.rowsMax) rows or \(limits.bytesMax) bytes for one call (\(place))",
                hint: "select fewer rows or columns, ask for fewer keys at a time, or raise the limit")
        }
    }
#endif
