// SPDX-License-Identifier: Apache-2.0
//  A real server for tests, in a folder of its own, reached through a socket in it.

#if Postgres
    import Foundation
    import Synchronization
    import Thalweg

    @testable import ThalwegPostgres

    /// Lives until it is stopped or this process ends, however it ends: it is watched over by a shell that reads a pipe.
    final class PostgresServer: Sendable {
        private struct Running {
            var shell: Process
            var leash: Pipe
        }

        let folder: String
        private let settings: [String]
        private let running = Guarded<Running?>(nil)

        /// The one most tests share; each has tables of its own.
        static let shared = Result { try PostgresServer("max_prepared_transactions=64", "max_connections=100") }

        init(_ settings: String...) throws {
            self.settings = settings + ["listen_addresses=", "fsync=off", "autovacuum=off"]
            var template = Array("/tmp/thalweg-pg-XXXXXX".utf8CString)
            folder = try template.withUnsafeMutableBufferPointer { bytes in
                guard let start = bytes.baseAddress, mkdtemp(start) != nil else {
                    throw ThalwegError(.task, "no folder for a server")
                }
                return String(cString: start)
            }
            chmod(folder, 0o777)
            try Self.sh("\(Self.user) $bin/initdb -D '\(folder)/data' -A trust -U postgres -N >'\(folder)/initdb.log'")
            try start()
        }

        private static let user =
            getuid() == 0 ? "setpriv --reuid postgres --regid postgres --clear-groups" : ""
        private static let bin = "set -e; bin=$(ls -d /usr/lib/postgresql/*/bin | sort -V | tail -n 1);"

        private static func sh(_ script: String) throws {
            let process = Process()
            process.executableURL = URL(fileURLWithPath: "/bin/bash")
            process.arguments = ["-c", "\(bin) \(script)"]
            try process.run()
            process.waitUntilExit()
            guard process.terminationStatus == 0 else {
                throw ThalwegError(
                    .task, "a server for tests cannot be set up", detail: script, hint: "run make test-postgres")
            }
        }

        var connection: String { "host=\(folder) dbname=postgres user=postgres" }

        func start() throws {
            let options = settings.map { "-c \($0)" }.joined(separator: " ")
            let shell = Process()
            let leash = Pipe()
            shell.executableURL = URL(fileURLWithPath: "/bin/bash")
            shell.standardInput = leash
            shell.arguments = [
                "-c",
                """
                \(Self.bin) exec 3<&0
                \(Self.user) $bin/postgres -D '\(folder)/data' -k '\(folder)' \(options) >>'\(folder)/log' 2>&1 3<&- &
                read -r word <&3 || true
                kill -QUIT $! || true
                wait $! || true
                [ "$word" = keep ] || rm -rf '\(folder)'
                """,
            ]
            try shell.run()
            running.withLock { $0 = Running(shell: shell, leash: leash) }
            try Self.sh(
                """
                for i in $(seq 400); do $bin/pg_isready -q -h '\(folder)' -d postgres -U postgres && exit 0
                sleep 0.05; done; cat '\(folder)/log' >&2; exit 1
                """)
        }

        /// Stops at once, as by a crash; the data stay when it is to start again.
        func stop(keeping: Bool) {
            running.withLock { running in
                guard let held = running else { return }
                if keeping { held.leash.fileHandleForWriting.write(Data("keep\n".utf8)) }
                try? held.leash.fileHandleForWriting.close()
                held.shell.waitUntilExit()
                running = nil
            }
        }

        @discardableResult
        func query(_ statement: String) throws -> [[String?]] {
            try PostgresConnection(connection, role: "test").run(statement).rows
        }

        /// Ends all sessions of a sink, as a network does.
        func drop(_ id: String) throws {
            try query(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE 'thalweg-\(id)-%'")
        }
    }
#endif
