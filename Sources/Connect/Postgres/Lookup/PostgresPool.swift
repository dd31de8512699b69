// SPDX-License-Identifier: Apache-2.0
//  A bounded number of sessions, each with a thread of its own.

#if Postgres
    import Foundation
    import ThalwegBase

    /// Runs errands on sessions that are opened when they are needed and closed when the pool is gone.
    ///
    /// Nobody who waits for an errand blocks a thread, and who gives up is free at once, whatever the session does.
    final class PostgresPool: Sendable {
        private let desk: Desk

        /// - Parameters:
        ///   - queueMax: the most errands that wait for a session.
        ///   - open: opens a session, on the thread that will use it.
        init(
            sessionsMax: Int, queueMax: Int, open: @escaping @Sendable () throws(ThalwegError) -> PostgresConnection
        ) {
            desk = Desk(sessionsMax: sessionsMax, queueMax: queueMax, open: open)
        }

        deinit { desk.close() }

        /// - Throws: what the body throws, `CancellationError` when the calling task is cancelled, and
        ///   `ThalwegError(.retry)` when no session can be opened or too many errands wait.
        func run<Success: Sendable>(_ body: @escaping PostgresErrand<Success>.Body) async throws -> Success {
            let errand = PostgresErrand(body)
            return try await withTaskCancellationHandler {
                try await withCheckedThrowingContinuation { waiter in
                    if errand.attach(waiter) { desk.put(errand) }
                }
            } onCancel: {
                errand.giveUp()
            }
        }

        /// What the threads share; it outlives the pool until they have ended.
        private final class Desk: @unchecked Sendable {
            // Unchecked: the variables are guarded by `condition`.
            private let condition = NSCondition()
            private var errands: [any AnyPostgresErrand] = []
            private var threads = 0
            private var idle = 0
            private var isClosed = false
            private let sessionsMax: Int
            private let queueMax: Int
            private let open: @Sendable () throws(ThalwegError) -> PostgresConnection

            init(
                sessionsMax: Int, queueMax: Int,
                open: @escaping @Sendable () throws(ThalwegError) -> PostgresConnection
            ) {
                self.sessionsMax = sessionsMax
                self.queueMax = queueMax
                self.open = open
            }

            private func locked<Result>(_ body: () -> Result) -> Result {
                condition.lock()
                defer { condition.unlock() }
                return body()
            }

            func put(_ errand: any AnyPostgresErrand) {
                let (isTaken, isShort) = locked {
                    guard errands.count < queueMax else { return (false, false) }
                    errands.append(errand)
                    condition.signal()
                    let isShort = errands.count > idle && threads < sessionsMax
                    if isShort { threads += 1 }
                    return (true, isShort)
                }
                guard isTaken else {
                    errand.fail(
                        ThalwegError(
                            .retry, "too many look-ups wait for a session of PostgreSQL", detail: "\(queueMax)",
                            hint: "allow more sessions, ask for more keys at a time, or lower the step's capacity"))
                    return
                }
                guard isShort else { return }
                let thread = Thread { self.work() }
                thread.name = "thalweg-pg-look"
                thread.start()
            }

            func close() {
                locked {
                    isClosed = true
                    condition.broadcast()
                }
            }

            private func next() -> (any AnyPostgresErrand)? {
                locked {
                    idle += 1
                    while errands.isEmpty && !isClosed { condition.wait() }
                    idle -= 1
                    return errands.isEmpty ? nil : errands.removeFirst()
                }
            }

            private func work() {
                var session: PostgresConnection?
                var bell: PostgresBell?
                while let errand = next() {
                    do {
                        let ready = try bell ?? PostgresBell()
                        bell = ready
                        guard errand.begin(ready) else { continue }
                        defer { errand.end() }
                        try perform(errand, on: &session, ready)
                    } catch {
                        errand.fail(error)
                    }
                }
            }

            /// A session may have been lost while nobody used it: then a fresh one is tried, once.
            private func perform(
                _ errand: any AnyPostgresErrand, on session: inout PostgresConnection?, _ bell: PostgresBell
            ) throws {
                if let known = session {
                    defer { if !known.isIdle { session = nil } }
                    do { return try errand.perform(on: known, bell) } catch {
                        guard !known.isAlive, !errand.isGivenUp else { throw error }
                    }
                }
                let fresh = try open()
                session = fresh
                defer { if !fresh.isIdle { session = nil } }
                try errand.perform(on: fresh, bell)
            }
        }
    }
#endif
