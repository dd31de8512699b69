// SPDX-License-Identifier: Apache-2.0
//  Rows of PostgreSQL are found by key, through lost sessions, time-outs and callers who give up.

#if Postgres
    import Foundation
    import Glibc
    import Synchronization
    import Testing
    import Thalweg

    @testable import ThalwegPostgres

    private struct City: Codable, Hashable, Sendable {
        enum Kind: String, Codable, Sendable { case town, village }
        struct Place: Codable, Hashable, Sendable { var x: Double, y: Double }
        var name: String
        var note: String?
        var people: Int64
        var isOpen: Bool
        var founded: EventTime
        var day: EventTime
        var kind: Kind
        var place: Place
        var ratio: Float?

        static func numbered(_ number: Int) -> City {
            let texts = ["", "\\N", "a,\"b\"\nc\r", "NULL", "'; DROP TABLE x; --", "\u{1F600}\tä", "{1,\"2\"}"]
            return City(
                name: texts[number % texts.count], note: number % 3 == 0 ? nil : texts[number % 5],
                people: Int64(number) * 1_000_000_007, isOpen: number % 2 == 0,
                founded: EventTime(milliseconds: Int64(number) * 86_399_999),
                day: EventTime(milliseconds: Int64(number) * 86_400_000), kind: number % 2 == 0 ? .town : .village,
                place: Place(x: Double(number) / 3, y: -1e-300), ratio: number % 4 == 0 ? nil : Float(number) / 7)
        }
    }

    private struct Name: Codable, Hashable, Sendable { var name: String }

    @Suite struct PostgresLookupTests {
        let server: PostgresServer

        init() throws { server = try PostgresServer.shared.get() }

        /// A table with the rows of these numbers, written by the sink.
        private func makeCities(_ table: String, _ numbers: Range<Int>) async throws {
            try server.query(
                """
                CREATE TABLE \(table) (id bigint PRIMARY KEY, name text NOT NULL, note text, people bigint NOT NULL,
                "isOpen" boolean, founded timestamptz, day date, kind text, "place.x" double precision,
                "place.y" double precision, ratio real)
                """)
            struct Row: Codable, Sendable {
                var id: Int64, name: String, note: String?, people: Int64, isOpen: Bool, founded: EventTime
                var day: EventTime, kind: City.Kind, place: City.Place, ratio: Float?
            }
            let env = StreamEnvironment()
            env.read(
                GeneratedSource(Int64(numbers.lowerBound)..<Int64(numbers.upperBound)) { id in
                    let city = City.numbered(Int(id))
                    return Row(
                        id: id, name: city.name, note: city.note, people: city.people, isOpen: city.isOpen,
                        founded: city.founded, day: city.day, kind: city.kind, place: city.place, ratio: city.ratio)
                }
            ).write(to: try PostgresSink(server.connection, table: table, id: table, mode: .append))
            try await env.execute()
        }

        private func failure(_ body: () async throws -> some Sendable) async -> ThalwegError? {
            do { _ = try await body() } catch { return error as? ThalwegError }
            return nil
        }

        private func sessions(_ server: PostgresServer, _ state: String = "%") throws -> Int {
            let found = try server.query(
                "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'thalweg lookup' AND state LIKE '\(state)'"
            )
            return Int(found[0][0] ?? "") ?? -1
        }

        /// Asks the server until something holds, at most for some ten seconds.
        private func waitUntil(_ server: PostgresServer, _ holds: () throws -> Bool) async throws {
            var rounds = 0
            while try !holds(), rounds < 500 {
                rounds += 1
                try server.query("SELECT pg_sleep(0.02)")
                await Task.yield()
            }
            #expect(rounds < 500)
        }

        // MARK: Values

        @Test func readsWhatTheSinkWrote() async throws {
            try await makeCities("cities", 0..<200)
            let lookup = try PostgresLookup<Int64, City>(server.connection, table: "cities", key: "id")
            let keys = (-5..<205).map { Int64($0) }
            let found = try await lookup.rows(of: keys)
            #expect(found == Dictionary(uniqueKeysWithValues: (0..<200).map { (Int64($0), City.numbered($0)) }))
            #expect(try await lookup.row(of: 77) == City.numbered(77))
            #expect(try await lookup.row(of: 200) == nil)
            #expect(try await lookup.rows(of: []).isEmpty)
        }

        @Test func findsTextsUUIDsAndKeysOfSeveralColumns() async throws {
            try server.query("CREATE TABLE texts (word text PRIMARY KEY, name text)")
            let words = ["", "a\"b", "\\", "{x,y}", "NULL", "null", "ä\u{1F600}", " padded ", "a,b", "'", "$1"]
            for word in words {
                let quoted = word.split(separator: "'", omittingEmptySubsequences: false).joined(separator: "''")
                try server.query("INSERT INTO texts VALUES ('\(quoted)', 'n:' || '\(quoted)')")
            }
            let texts = try PostgresLookup<String, Name>(server.connection, table: "texts", key: "word")
            let found = try await texts.rows(of: words + ["absent"])
            #expect(found == Dictionary(uniqueKeysWithValues: words.map { ($0, Name(name: "n:\($0)")) }))
            let zero = await failure { try await texts.row(of: "a\0b") }
            #expect(zero?.kind == .input && zero?.primary == "a key cannot be in PostgreSQL")

            let id = UUID()
            try server.query("CREATE TABLE ids (id uuid PRIMARY KEY, name text)")
            try server.query("INSERT INTO ids VALUES ('\(id.uuidString)', 'it')")
            let ids = try PostgresLookup<UUID, Name>(server.connection, table: "ids", key: "id")
            #expect(try await ids.rows(of: [id, UUID()]) == [id: Name(name: "it")])

            struct Shelf: PostgresKey {
                var shop: Int32
                var number: Int64
                init(_ shop: Int32, _ number: Int64) { (self.shop, self.number) = (shop, number) }
                init?(postgresTexts texts: [String]) {
                    guard texts.count == 2, let shop = Int32(texts[0]), let number = Int64(texts[1]) else {
                        return nil
                    }
                    self.init(shop, number)
                }
                var postgresTexts: [String] { ["\(shop)", "\(number)"] }
            }
            try server.query("CREATE TABLE shelves (shop int, number bigint, name text)")
            try server.query(
                "INSERT INTO shelves SELECT s, n, s || '/' || n FROM generate_series(1, 3) s, generate_series(1, 3) n")
            let shelves = try PostgresLookup<Shelf, Name>(
                server.connection,
                query: "SELECT * FROM shelves WHERE (shop, number) IN (SELECT * FROM unnest($1::int[], $2::bigint[]))",
                key: ["shop", "number"])
            #expect(
                try await shelves.rows(of: [Shelf(1, 3), Shelf(3, 1), Shelf(4, 1)])
                    == [Shelf(1, 3): Name(name: "1/3"), Shelf(3, 1): Name(name: "3/1")])
        }

        @Test func saysWhatDoesNotFit() async throws {
            try server.query("CREATE TABLE odd (id bigint, name text, word char(5))")
            try server.query("INSERT INTO odd VALUES (1, 'a', 'x'), (1, 'b', 'y'), (2, NULL, 'z')")
            let odd = try PostgresLookup<Int64, Name>(server.connection, table: "odd", key: "id")
            let twice = await failure { try await odd.rows(of: [1]) }
            #expect(twice?.kind == .input && twice?.primary == "a key has several rows in PostgreSQL")
            #expect(twice?.detail == "key 1" && twice?.hint?.contains("groups(of:)") == true)
            #expect(try await odd.groups(of: [1])[1]?.count == 2)
            let null = await failure { try await odd.row(of: 2) }
            #expect(null?.kind == .input)
            #expect(null?.detail == "Name, key 2: field name: expected String, got null")
            #expect(null?.hint?.contains("optional") == true)

            struct Wide: Codable, Sendable { var name: String, color: String }
            let missing = await failure {
                try await PostgresLookup<Int64, Wide>(
                    server.connection, query: "SELECT * FROM odd WHERE id = ANY($1)", key: ["id"]
                ).row(of: 2)
            }
            #expect(missing?.kind == .job && missing?.detail == "no column `color` among `id`, `name`, `word`")
            let refused = await failure {
                try await PostgresLookup<Int64, Wide>(server.connection, table: "odd", key: "id").row(of: 2)
            }
            #expect(
                refused?.kind == .job && refused?.detail?.contains("color") == true, "\(String(describing: refused))")
            let nowhere = await failure {
                try await PostgresLookup<Int64, Name>(server.connection, table: "nowhere", key: "id").row(of: 2)
            }
            #expect(nowhere?.kind == .job && nowhere?.primary == "a table is missing in PostgreSQL")

            // A padded column is found by a text that is not the one that comes back.
            let padded = await failure {
                try await PostgresLookup<String, Name>(server.connection, table: "odd", key: "word").row(of: "x")
            }
            #expect(padded?.kind == .input && padded?.detail == "key x    ")
            let bad = await failure {
                try await PostgresLookup<String, Name>(server.connection, table: "odd", key: "id").row(of: "one")
            }
            #expect(bad?.kind == .input && bad?.detail?.contains("\"one\"") == true, "\(String(describing: bad))")
            let writing = await failure {
                try await PostgresLookup<Int64, Name>(
                    server.connection, query: "UPDATE odd SET name = '' WHERE id = ANY($1) RETURNING *", key: ["id"]
                ).row(of: 2)
            }
            #expect(writing?.kind == .job && writing?.primary == "PostgreSQL refuses to write")
        }

        @Test func refusesWhatMakesNoSense() async throws {
            struct Tags: Codable, Sendable { var tags: [String] }
            struct Inner: Codable, Sendable { var inner: Name? }
            for build: () throws -> Void in [
                { _ = try PostgresLookup<Int, Tags>("", table: "t", key: "id") },
                { _ = try PostgresLookup<Int, Inner>("", table: "t", key: "id") },
                { _ = try PostgresLookup<Int, Int>("", table: "t", key: "id") },
                { _ = try PostgresLookup<Int, Name>("", query: "SELECT 1", key: []) },
                { _ = try PostgresLookup<Int, Name>("", table: "t", key: "id", limits: .init(sessions: 0)) },
                {
                    _ = try PostgresLookup<Int, Name>(
                        "", table: "t", key: "id", limits: .init(sessions: 1, timeout: .zero))
                },
            ] {
                let error = #expect(throws: ThalwegError.self) { try build() }
                #expect(error?.kind == .job)
            }
        }

        @Test func anAnswerIsBounded() async throws {
            var limits = PostgresLookupLimits(sessions: 1)
            limits.rowsMax = 10
            let lookup = try PostgresLookup<Int64, Name>(
                server.connection,
                query: "SELECT 1 AS id, 'x' AS name, generate_series(1, 1000000000) FROM unnest($1::bigint[])",
                key: ["id"], limits: limits)
            let error = await failure { try await lookup.groups(of: [1]) }
            #expect(error?.kind == .job && error?.primary == "a look-up gives too much")
            limits.bytesMax = 1000
            limits.rowsMax = 1 << 20
            let wide = try PostgresLookup<Int64, Name>(
                server.connection, query: "SELECT 1 AS id, repeat('x', 600) AS name FROM unnest($1::bigint[])",
                key: ["id"], limits: limits)
            #expect(try await wide.row(of: 1)?.name.count == 600)
            #expect(await failure { try await wide.groups(of: [1, 2]) }?.primary == "a look-up gives too much")
        }

        // MARK: Sessions

        @Test func usesNoMoreSessionsThanItMayAndClosesThem() async throws {
            let server = try PostgresServer()
            defer { server.stop(keeping: false) }
            struct Sessions: Codable, Sendable { var sessions: Int64 }
            let query = """
                SELECT k AS id, (SELECT count(*) FROM pg_stat_activity WHERE application_name = 'thalweg lookup')
                AS sessions FROM unnest($1::bigint[]) k, pg_sleep(0.002)
                """
            var lookup: PostgresLookup<Int64, Sessions>? = try PostgresLookup(
                server.connection, query: query, key: ["id"], limits: .init(sessions: 3))
            let most = try await withThrowingTaskGroup(of: Int64.self) { group in
                for number in 0..<200 {
                    group.addTask { [lookup] in try await lookup?.row(of: Int64(number))?.sessions ?? -1 }
                }
                var most: Int64 = 0
                while let sessions = try await group.next() {
                    #expect(sessions >= 1)
                    most = max(most, sessions)
                }
                return most
            }
            #expect(most == 3)
            lookup = nil
            try await waitUntil(server) { try sessions(server) == 0 }
        }

        @Test func opensAnotherSessionForOneThatWasLost() async throws {
            let server = try PostgresServer()
            defer { server.stop(keeping: false) }
            try server.query("CREATE TABLE t AS SELECT i AS id, 'n' || i AS name FROM generate_series(1, 9) i")
            let lookup = try PostgresLookup<Int, Name>(
                server.connection, table: "t", key: "id", limits: .init(sessions: 1))
            #expect(try await lookup.row(of: 1)?.name == "n1")
            try server.query(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'thalweg lookup'")
            #expect(try await lookup.row(of: 2)?.name == "n2")
            server.stop(keeping: true)
            let error = await failure { try await lookup.row(of: 3) }
            #expect(
                error?.kind == .retry && error?.primary == "cannot connect to PostgreSQL",
                "\(String(describing: error))")
            #expect(AsyncRetry.mayPass(error ?? ThalwegError(.bug, "none")))
            try server.start()
            #expect(try await lookup.row(of: 4)?.name == "n4")
        }

        @Test func givingUpFreesTheCallerAtOnceAndTellsTheServer() async throws {
            let server = try PostgresServer()
            defer { server.stop(keeping: false) }
            let lookup = try PostgresLookup<Int64, Name>(
                server.connection,
                query:
                    "SELECT k AS id, 'n' AS name FROM unnest($1::bigint[]) k, pg_sleep(CASE k WHEN 1 THEN 3600 ELSE 0 END)",
                key: ["id"], limits: .init(sessions: 1, timeout: .seconds(3600)))
            let asleep = Task { try await lookup.row(of: 1) }
            let queued = Task { try await lookup.row(of: 1) }
            try await waitUntil(server) { try sessions(server, "active") == 1 }
            queued.cancel()
            asleep.cancel()
            for task in [asleep, queued] {
                await #expect(throws: CancellationError.self) { _ = try await task.value }
            }
            // The only session is free again.
            #expect(try await lookup.row(of: 2)?.name == "n")
            try await waitUntil(server) { try sessions(server, "active") == 0 }
            let before = Task { try await lookup.row(of: 1) }
            before.cancel()
            await #expect(throws: CancellationError.self) { _ = try await before.value }
        }

        @Test func aStatementThatTakesTooLongIsEnded() async throws {
            let lookup = try PostgresLookup<Int64, Name>(
                server.connection, query: "SELECT k AS id, 'n' AS name FROM unnest($1::bigint[]) k, pg_sleep(3600)",
                key: ["id"], limits: .init(sessions: 1, timeout: .milliseconds(50)))
            let error = await failure { try await lookup.row(of: 1) }
            #expect(error?.kind == .retry && error?.primary == "PostgreSQL ended a statement")
            #expect(error?.hint?.contains("index") == true)
        }

        /// The process that serves the session is stopped, as a machine that hangs.
        @Test func aServerThatSaysNothingIsNotWaitedFor() async throws {
            let session = try PostgresConnection(server.connection, role: "silent")
            let bell = try PostgresBell()
            let pid = try #require(Int32(session.run("SELECT pg_backend_pid()").rows.first?.first.flatMap { $0 } ?? ""))
            #expect(kill(pid, SIGSTOP) == 0)
            defer { kill(pid, SIGCONT) }
            let limits = PostgresConnection.AnswerLimits(rowsMax: 1, bytesMax: 1 << 20, silenceMax: 20)
            let error = #expect(throws: ThalwegError.self) {
                try session.run("SELECT 1", [], limits, bell: bell, isGivenUp: { false }, row: { _ in })
            }
            #expect(error?.kind == .retry && error?.primary == "PostgreSQL does not answer")
            #expect(!session.isIdle)
        }

        // MARK: A whole job

        @Test func aJobIsExactThoughTheServerIsKilled() async throws {
            let server = try PostgresServer()
            defer { server.stop(keeping: false) }
            try server.query(
                "CREATE TABLE people AS SELECT i AS id, 'name ' || i AS name FROM generate_series(0, 99) i WHERE i % 10 <> 3"
            )
            let numbers: Int64 = 6000
            let env = StreamEnvironment()
            env.settings.parallelism = 2
            env.settings.batchCapacity = 32
            env.settings.restart = .fixedDelay(attempts: 100, delay: 20)
            var options = CheckpointOptions(directory: "checkpoints", fileSystem: MemoryFileSystem())
            options.settings.interval = 20
            options.settings.toleratedFailures = 1000
            env.settings.checkpoints = options
            let lookup = try PostgresLookup<Int64, Name>(
                server.connection, table: "people", key: "id", limits: .init(sessions: 3))
            struct Named: Codable, Hashable, Sendable { var number: Int64, name: String? }
            let collected = Collected<Named>()
            let moments = Guarded<Set<Int64>>([1500, 4000])
            try env.read(GeneratedSource(0..<numbers) { $0 }, name: "numbers")
                .map { number in
                    // The whole server, as by a crash; it is started again while the job retries.
                    if moments.withLock({ $0.remove(number) }) != nil {
                        server.stop(keeping: true)
                        let thread = Thread { try? server.start() }
                        thread.start()
                    }
                    return number
                }
                .asyncLookup(
                    by: { $0 % 100 }, batch: CallBatching(countMax: 16, delayMax: .milliseconds(1)),
                    .ordered(capacity: 64), timeout: .seconds(60),
                    retry: .fixed(attempts: 3, delay: .milliseconds(5), when: AsyncRetry.mayPass),
                    lookup: lookup.rows
                ) { number, person in [Named(number: number, name: person?.name)] }
                .write(to: .collect(collected, visible: .whenCommitted))
            let execution = try env.makeExecution()
            _ = try await execution.run(on: WorkerPool(workers: 2))
            // So few attempts do not outlast a restart of the server: the job did.
            #expect(execution.checkpoints.failovers.value >= 1)
            let isOver = moments.withLock(\.isEmpty)
            #expect(isOver)
            let expected = (0..<numbers).map { number in
                Named(number: number, name: number % 10 == 3 ? nil : "name \(number % 100)")
            }
            #expect(collected.elements.sorted { $0.number < $1.number } == expected)
        }
    }
#endif
