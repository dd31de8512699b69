// SPDX-License-Identifier: Apache-2.0
//  Work for a session that somebody waits for, until they give it up.

#if Postgres
    import Synchronization
    import ThalwegBase

    /// An errand, whatever comes of it.
    protocol AnyPostgresErrand: Sendable {
        /// False when nobody waits any more.
        func begin(_ bell: PostgresBell) -> Bool
        func perform(on session: PostgresConnection, _ bell: PostgresBell) throws
        func end()
        func fail(_ error: any Error)
        var isGivenUp: Bool { get }
    }

    /// Has one outcome: the first of result, error and having been given up.
    final class PostgresErrand<Success: Sendable>: AnyPostgresErrand {
        typealias Body = @Sendable (PostgresConnection, PostgresBell, _ isGivenUp: () -> Bool) throws -> Success

        private struct State {
            var waiter: CheckedContinuation<Success, any Error>?
            var bell: PostgresBell?
            var isOver = false
        }

        private let state = Guarded(State())
        private let body: Body

        init(_ body: @escaping Body) { self.body = body }

        var isGivenUp: Bool { state.withLock(\.isOver) }

        /// Who waits, unless it has been given up before.
        func attach(_ waiter: CheckedContinuation<Success, any Error>) -> Bool {
            let isOver = state.withLock { state in
                if !state.isOver { state.waiter = waiter }
                return state.isOver
            }
            if isOver { waiter.resume(throwing: CancellationError()) }
            return !isOver
        }

        func begin(_ bell: PostgresBell) -> Bool {
            state.withLock { state in
                if !state.isOver { state.bell = bell }
                return !state.isOver
            }
        }

        func end() { state.withLock { $0.bell = nil } }

        func perform(on session: PostgresConnection, _ bell: PostgresBell) throws {
            let result = try body(session, bell) { isGivenUp }
            finish(.success(result))
        }

        func fail(_ error: any Error) { finish(.failure(error)) }

        /// Nobody waits any more. Does not block.
        func giveUp() { finish(.failure(CancellationError())) }

        private func finish(_ result: Result<Success, any Error>) {
            let (waiter, bell) = state.withLock { state in
                let held = (state.waiter, state.bell)
                state.isOver = true
                state.waiter = nil
                return held
            }
            bell?.ring()
            waiter?.resume(with: result)
        }
    }
#endif
