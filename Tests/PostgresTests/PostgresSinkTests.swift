// SPDX-License-Identifier: Apache-2.0
//  Rows of PostgreSQL are written exactly once, through lost sessions and a server that crashes.

#if Postgres
    import Foundation
    import Synchronization
    import Testing
    import Thalweg
    import ThalwegTesting

    @testable import ThalwegPostgres

    private struct Row: Codable, Hashable, Sendable {
        var id: Int64
        var text: String
        var note: String?
        var amount: Double
        var time: EventTime

        static func numbered(_ number: Int) -> Row {
            // Text that a careless encoding would break.
            let texts = ["", "\\N", "a,\"b\"\nc\r", "\\.", "'; DROP TABLE x; --", "\u{1F600}\tä"]
            return Row(
                id: Int64(number), text: texts[number % texts.count],
                note: number % 3 == 0 ? nil : texts[(number / 3) % texts.count], amount: Double(number) / 8,
                time: EventTime(milliseconds: 1_700_000_000_000 + Int64(number)))
        }

        static let columns =
            "id bigint, text text NOT NULL, note text, amount double precision, time timestamptz, seq bigserial"
    }

    /// A sink whose writers wait for the server when they are made, so that none is held up in one life and not in the
    /// next.
    private struct PatientSink: Sink {
        let kind = "patient"
        let inner: PostgresSink<Row>

        func makeWriter(_ context: SinkContext) throws -> PostgresSinkWriter<Row> {
            let writer = try inner.makeWriter(context)
            _ = try writer.courier.token()
            return writer
        }
        func commit(_ committables: [PostgresCommittable]) throws { try inner.commit(committables) }
        func abort(_ committables: [PostgresCommittable]) { inner.abort(committables) }
    }

    /// Each life takes about a fifth of a second.
    private let seeds = UInt64(ProcessInfo.processInfo.environment["THALWEG_POSTGRES_SEEDS"] ?? "") ?? 12

    private let modes: [PostgresMode] = [.upsert(key: ["id"]), .append, .appendTwoPhase]

    @Suite struct PostgresSinkTests {
        let server: PostgresServer

        init() throws { server = try PostgresServer.shared.get() }

        private func makeTable(_ name: String) throws {
            try server.query("CREATE TABLE \(name) (\(Row.columns), UNIQUE (id))")
        }

        private func rows(_ table: String, of server: PostgresServer? = nil) throws -> [Row] {
            let found = try (server ?? self.server).query(
                "SELECT id, text, note, amount, (extract(epoch FROM time) * 1000)::bigint FROM \(table) ORDER BY seq")
            return found.map { row in
                Row(
                    id: Int64(row[0] ?? "") ?? -1, text: row[1] ?? "NULL", note: row[2],
                    amount: Double(row[3] ?? "") ?? -1,
                    time: EventTime(milliseconds: Int64(row[4] ?? "") ?? -1))
            }
        }

        private func context(_ subtask: Int = 0, of parallelism: Int = 1) -> SinkContext {
            SinkContext(name: "sink", subtask: subtask, parallelism: parallelism, isRecoverable: true, wake: {})
        }

        private func batch(_ numbers: Range<Int>) -> Batch<Row> {
            let batch = Batch<Row>(capacity: numbers.count)
            for number in numbers { batch.append(.numbered(number), time: 0) }
            return batch
        }

        // MARK: Exactly once

        @Test(arguments: modes) func keepsTheContract(_ mode: PostgresMode) throws {
            try SinkConformance.check(seeds: 0..<seeds) { seed in
                let name = "t\(seed)_\(abs(mode.hashValue % 1_000_000))"
                try makeTable(name)
                return SinkTrial(
                    makeSink: {
                        PatientSink(
                            inner: try PostgresSink(server.connection, table: name, id: name, mode: mode))
                    }, record: { Row.numbered($0) }, readCommitted: { try rows(name) })
            }
        }

        @Test(arguments: modes) func survivesLostSessionsAndACrashOfTheServer(_ mode: PostgresMode) throws {
            let server = try PostgresServer("max_prepared_transactions=8")
            defer { server.stop(keeping: false) }
            try server.query("CREATE TABLE t (\(Row.columns), UNIQUE (id))")
            let sink = try PostgresSink<Row>(server.connection, table: "t", id: "crash", mode: mode)

            let first = try sink.makeWriter(context())
            try first.write(batch(0..<100))
            let one = try first.prepare(PrepareRequest(checkpoint: 1, isFinal: false))
            try one.persist?()
            try sink.commit(one.committables)
            try first.write(batch(100..<200))
            let two = try first.prepare(PrepareRequest(checkpoint: 2, isFinal: false))
            try two.persist?()
            #expect(try rows("t", of: server).count == 100)

            // The server forgets the sessions, not what was prepared.
            server.stop(keeping: true)
            #expect(throws: ThalwegError.self) { try sink.commit(two.committables) }
            #expect(throws: ThalwegError.self) {
                try first.write(batch(200..<300))
                try first.prepare(PrepareRequest(checkpoint: 3, isFinal: false)).persist?()
            }
            first.close()
            try server.start()
            let second = try sink.makeWriter(context())
            second.restore([two.state])
            try sink.commit(two.committables)
            try sink.commit(two.committables)
            try second.write(batch(200..<250))
            let three = try second.prepare(PrepareRequest(checkpoint: 3, isFinal: false))
            try three.persist?()

            // Lost sessions: the next write fails, and the commit opens another session.
            try second.write(batch(250..<300))
            try server.drop("crash")
            #expect(throws: ThalwegError.self) {
                try second.prepare(PrepareRequest(checkpoint: 4, isFinal: false)).persist?()
            }
            try sink.commit(three.committables)
            second.close()
            let third = try sink.makeWriter(context())
            third.restore([three.state])
            try third.write(batch(250..<300))
            let four = try third.prepare(PrepareRequest(checkpoint: 4, isFinal: true))
            try four.persist?()
            try sink.commit(four.committables)
            third.close()
            #expect(try rows("t", of: server) == (0..<300).map { Row.numbered($0) })
            #expect(try server.query("SELECT gid FROM pg_prepared_xacts").isEmpty)
        }

        @Test func dropsWhatACrashedAttemptPreparedAndKeepsTheRest() throws {
            try makeTable("leftover")
            let sink = try PostgresSink<Row>(server.connection, table: "leftover", id: "left", mode: .appendTwoPhase)
            let other = try PostgresSink<Row>(server.connection, table: "leftover", id: "left-0", mode: .appendTwoPhase)
            func prepare(
                _ sink: PostgresSink<Row>, _ writer: PostgresSinkWriter<Row>, _ rows: Range<Int>, _ checkpoint: Int64
            ) throws -> PreparedOutput<PostgresCommittable, PostgresWriterState> {
                try writer.write(batch(rows))
                let output = try writer.prepare(PrepareRequest(checkpoint: checkpoint, isFinal: false))
                try output.persist?()
                return output
            }
            let stranger = try prepare(other, other.makeWriter(context()), 1000..<1001, 1)
            let old = try (0..<3).map { try sink.makeWriter(context($0, of: 3)) }
            let kept = try old.indices.map { try prepare(sink, old[$0], $0 * 10..<$0 * 10 + 1, 1) }
            let lost = try old.indices.map { try prepare(sink, old[$0], $0 * 10 + 1..<$0 * 10 + 2, 2) }
            #expect(try server.query("SELECT 1 FROM pg_prepared_xacts WHERE gid LIKE 'thalweg-left-%'").count == 7)
            for subtask in 0..<2 {
                let writer = try sink.makeWriter(context(subtask, of: 2))
                writer.restore(kept.map(\.state))
                _ = try prepare(sink, writer, 100 + subtask..<101 + subtask, 2)
            }
            let names = try server.query("SELECT gid FROM pg_prepared_xacts").compactMap { $0[0] }
            for output in kept + [stranger] { #expect(names.contains(output.committables[0].batch)) }
            for output in lost { #expect(!names.contains(output.committables[0].batch)) }
            try server.drop("left")
            for name in names where name.hasPrefix("thalweg-left-") { try server.query("ROLLBACK PREPARED '\(name)'") }
        }

        @Test func theLastRowOfAKeyWins() throws {
            try server.query("CREATE TABLE totals (customer text PRIMARY KEY, total bigint)")
            struct Total: Codable, Sendable { var customer: String, total: Int64 }
            let sink = try PostgresSink<Total>(
                server.connection, table: "totals", id: "totals", mode: .upsert(key: ["customer"]))
            let writer = try sink.makeWriter(context())
            for round in 0..<3 {
                let batch = Batch<Total>(capacity: 100)
                for number in 0..<100 {
                    batch.append(Total(customer: "c\(number % 10)", total: Int64(round * 100 + number)), time: 0)
                }
                try writer.write(batch)
                let output = try writer.prepare(PrepareRequest(checkpoint: Int64(round), isFinal: round == 2))
                try output.persist?()
                try sink.commit(output.committables)
            }
            writer.close()
            let found = try server.query("SELECT customer, total FROM totals ORDER BY customer")
            #expect(found == (0..<10).map { ["c\($0)", "\(290 + $0)"] })
        }

        @Test func holdsUpWhileTheServerFallsBehind() throws {
            try makeTable("slow")
            var sink = try PostgresSink<Row>(server.connection, table: "slow", id: "slow", mode: .appendTwoPhase)
            sink.queueBytesMax = 1000
            let woken = Guarded(0)
            let writer = try sink.makeWriter(
                SinkContext(name: "slow", subtask: 0, parallelism: 1, wake: { woken.withLock { $0 += 1 } }))
            _ = try writer.courier.token()
            let blocker = try PostgresConnection(server.connection, role: "blocker")
            try blocker.run("BEGIN")
            try blocker.run("LOCK TABLE slow IN ACCESS EXCLUSIVE MODE")
            #expect(!writer.isHeldUp)
            while !writer.isHeldUp { try writer.write(batch(0..<1000)) }
            let before = woken.withLock(\.self)
            try blocker.run("ROLLBACK")
            while writer.isHeldUp {}
            #expect(before <= 1)
            writer.close()
        }

        // MARK: A whole job

        @Test func aJobWritesRows() async throws {
            try makeTable("job")
            let env = StreamEnvironment()
            let sink = try PostgresSink<Row>(server.connection, table: "job", id: "job", mode: .upsert(key: ["id"]))
            env.read(GeneratedSource(0..<10_000) { Row.numbered(Int($0)) }).write(to: sink)
            try await env.execute()
            #expect(try server.query("SELECT count(*), sum(id) FROM job") == [["10000", "49995000"]])
        }

        @Test(arguments: modes) func aJobGoesOnAfterLostSessions(_ mode: PostgresMode) async throws {
            let name = "lost_\(modes.firstIndex(of: mode) ?? 0)"
            try makeTable(name)
            let env = StreamEnvironment()
            env.settings.parallelism = 2
            env.settings.batchCapacity = 64
            env.settings.restart = .fixedDelay(attempts: 100, delay: 1)
            var options = CheckpointOptions(directory: "checkpoints", fileSystem: MemoryFileSystem())
            options.settings.interval = 20
            options.settings.toleratedFailures = 1000
            env.settings.checkpoints = options
            let moments = Guarded<Set<Int64>>([5_000, 30_001, 59_000])
            let server = server
            env.read(GeneratedSource(0..<60_000) { $0 })
                .map { number in
                    if moments.withLock({ $0.remove(number) }) != nil { try server.drop(name) }
                    return Row.numbered(Int(number))
                }
                .write(to: try PostgresSink(server.connection, table: name, id: name, mode: mode))
            let execution = try env.makeExecution()
            _ = try await execution.run(on: WorkerPool(workers: 2))
            #expect(execution.checkpoints.failovers.value >= 1)
            let found = try server.query("SELECT count(*), count(DISTINCT id), sum(id) FROM \(name)")
            #expect(found == [["60000", "60000", "1799970000"]])
        }

        // MARK: Errors

        private func failure(_ sink: PostgresSink<Row>) throws -> ThalwegError {
            let writer = try sink.makeWriter(context())
            defer { writer.close() }
            do { _ = try writer.courier.token() } catch let error as ThalwegError { return error }
            throw ThalwegError(.bug, "it did not fail")
        }

        @Test func saysWhatIsWrong() throws {
            func sink(_ table: String, _ mode: PostgresMode = .append, at place: String? = nil) throws -> PostgresSink<
                Row
            > {
                try PostgresSink(place ?? server.connection, table: table, id: "errors", mode: mode)
            }
            let missing = try failure(sink("nowhere"))
            #expect(missing.kind == .job && missing.primary == "a table is missing in PostgreSQL")
            try server.query("CREATE TABLE keyless (\(Row.columns))")
            let keyless = try failure(sink("keyless", .upsert(key: ["id"])))
            #expect(keyless.primary == "no unique constraint fits the key of an upsert")
            try server.query("CREATE TABLE narrow (id bigint)")
            let narrow = try failure(sink("narrow"))
            #expect(narrow.kind == .job && narrow.detail?.contains("\"text\" does not exist") == true)
            let gone = try failure(sink("t", at: "host=/nonexistent user=ada password=secret dbname=x"))
            #expect(gone.kind == .retry && gone.primary == "cannot connect to PostgreSQL")
            #expect(gone.detail?.contains("/nonexistent") == true && !"\(gone)".contains("secret"))
            #expect(throws: ThalwegError.self) {
                try PostgresSink<Row>("", table: "t", id: "a b", mode: .append)
            }
            #expect(throws: ThalwegError.self) {
                try PostgresSink<Row>("", table: "t", id: "a", mode: .upsert(key: ["nothing"]))
            }
        }

        @Test func saysThatPreparedTransactionsAreOff() throws {
            let server = try PostgresServer("max_prepared_transactions=0")
            defer { server.stop(keeping: false) }
            try server.query("CREATE TABLE t (\(Row.columns))")
            let error = try failure(
                PostgresSink(server.connection, table: "t", id: "off", mode: .appendTwoPhase))
            #expect(error.kind == .job && error.primary == "PostgreSQL keeps too few prepared transactions")
            #expect(error.detail?.hasPrefix("max_prepared_transactions is 0, 1 subtasks need 2") == true)
            #expect(error.hint?.contains("restart the server, or use .append or .upsert") == true)
        }

        @Test func refusesARowThatDoesNotFit() throws {
            try makeTable("checked")
            try server.query("ALTER TABLE checked ADD CHECK (amount < 10)")
            let sink = try PostgresSink<Row>(server.connection, table: "checked", id: "checked", mode: .appendTwoPhase)
            let writer = try sink.makeWriter(context())
            try writer.write(batch(79..<90))
            let output = try writer.prepare(PrepareRequest(checkpoint: 1, isFinal: true))
            let error = #expect(throws: ThalwegError.self) { try output.persist?() }
            #expect(error?.kind == .input)
            #expect(error?.detail?.contains("COPY checked, line") == true, "\(error?.description ?? "")")
            writer.close()
            #expect(try rows("checked").isEmpty)
        }
    }
#endif
