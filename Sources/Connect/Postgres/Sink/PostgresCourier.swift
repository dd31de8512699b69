// SPDX-License-Identifier: Apache-2.0
//  The bounded queue between a task and the thread that talks to the server.

#if Postgres
    import Foundation
    import ThalwegBase

    /// Carries pieces of rows to a ``PostgresDesk`` on a thread of its own, in order.
    final class PostgresCourier: @unchecked Sendable {
        // Unchecked: the fields below are guarded by `condition`; the desk is touched by the courier's thread, but for
        // what is constant.
        private enum Item {
            case clean([PostgresWriterState])
            case rows([UInt8], count: Int64)
            case seal(Int64)
        }

        private let condition = NSCondition()
        private var items: [Item] = []
        private var queuedBytes = 0
        private var knownToken: String?
        private var sealed: Int64 = 0
        private var failure: (any Error)?
        private var isClosed = false
        private var hasEnded = false
        private let desk: PostgresDesk
        private let queueBytesMax: Int
        private let wake: @Sendable () -> Void

        init(_ desk: PostgresDesk, queueBytesMax: Int, wake: @escaping @Sendable () -> Void) {
            self.desk = desk
            self.queueBytesMax = queueBytesMax
            self.wake = wake
        }

        // MARK: The task's side

        func start() {
            let thread = Thread { self.run() }
            thread.name = "thalweg-pg"
            thread.start()
        }

        private func locked<Result>(_ body: () throws -> Result) rethrows -> Result {
            condition.lock()
            defer { condition.unlock() }
            return try body()
        }

        private func put(_ item: Item, bytes: Int = 0) {
            locked {
                items.append(item)
                queuedBytes += bytes
                condition.broadcast()
            }
        }

        var isHeldUp: Bool {
            locked { failure == nil && !hasEnded && (knownToken == nil || queuedBytes >= queueBytesMax) }
        }

        /// - Throws: what went wrong on the courier's thread.
        func check() throws { try locked { if let failure { throw failure } } }

        func clean(keeping states: [PostgresWriterState]) { put(.clean(states)) }

        func send(_ bytes: [UInt8], rows: Int64) { put(.rows(bytes, count: rows), bytes: bytes.count) }

        /// Ends a batch; returns its name and the table its rows wait in.
        func seal(_ batch: Int64, token: String) -> (name: String, staging: String?) {
            put(.seal(batch))
            return (desk.name(of: batch, token: token), desk.staging)
        }

        var tokenIfKnown: String? { locked { knownToken } }

        func token() throws -> String {
            try locked {
                while knownToken == nil {
                    try checkEnd()
                    condition.wait()
                }
                return knownToken ?? ""
            }
        }

        /// Waits until a batch survives a crash of this process and of the server.
        func awaitSeal(_ batch: Int64) throws {
            try locked {
                while sealed < batch {
                    try checkEnd()
                    condition.wait()
                }
            }
        }

        private func checkEnd() throws {
            if let failure { throw failure }
            guard !hasEnded else {
                throw ThalwegError(.task, "the writer of a sink was closed before its rows were safe")
            }
        }

        /// Batches that are sealed still go out; rows after them are dropped.
        func close() {
            locked {
                isClosed = true
                let last = items.lastIndex { if case .seal = $0 { true } else { false } }
                items.removeSubrange((last.map { $0 + 1 } ?? 0)...)
                condition.broadcast()
            }
        }

        // MARK: The courier's thread

        private func run() {
            do {
                try desk.open { token in
                    self.locked {
                        self.knownToken = token
                        self.condition.broadcast()
                    }
                }
                wake()
                while let item = next() { try handle(item) }
            } catch {
                locked { failure = error }
            }
            desk.close()
            locked {
                hasEnded = true
                items = []
                condition.broadcast()
            }
            wake()
        }

        private func next() -> Item? {
            locked {
                while items.isEmpty && !isClosed { condition.wait() }
                return items.isEmpty ? nil : items.removeFirst()
            }
        }

        private func handle(_ item: Item) throws {
            switch item {
            case .clean(let states): try desk.clean(keeping: states)
            case .rows(let bytes, let count):
                try desk.write(bytes, rows: count)
                let isFree = locked {
                    let wasHeldUp = queuedBytes >= queueBytesMax
                    queuedBytes -= bytes.count
                    return wasHeldUp && queuedBytes < queueBytesMax
                }
                if isFree { wake() }
            case .seal(let batch):
                try desk.seal(batch)
                locked {
                    sealed = batch
                    condition.broadcast()
                }
            }
        }
    }
#endif
