// SPDX-License-Identifier: Apache-2.0
//  The tables a sink of PostgreSQL works with, and the statements on them.

#if Postgres
    import ThalwegBase
    import ThalwegData

    /// A table and the columns that the fields of a record go to.
    struct PostgresTable: Sendable {
        /// The longest identifier that a server keeps whole.
        static let nameBytesMax = 63

        let schema: String?
        let name: String
        let columns: [String]
        /// Columns whose fields are always there.
        let present: [String]

        init<Record>(_ type: RecordType<Record>, schema: String?, name: String) throws(ThalwegError) {
            (self.schema, self.name) = (schema, name)
            guard !name.isEmpty, name.utf8.count <= Self.nameBytesMax - 17 else {
                throw ThalwegError(
                    .job, "a table has a bad name", detail: "\"\(name)\"",
                    hint: "name a table by 1 to \(Self.nameBytesMax - 17) bytes, and its schema by `schema:`")
            }
            var columns: [(name: String, isOptional: Bool)] = []
            try Self.collect(type.schema.fields, below: "", of: "\(Record.self)", into: &columns)
            guard !columns.isEmpty else {
                throw ThalwegError(
                    .job, "a row needs a record with named fields",
                    detail: "\(Record.self): \(type.unprovenReason ?? "it has none")",
                    hint: "use a struct without init(from:) of its own")
            }
            self.columns = columns.map(\.name)
            present = columns.filter { !$0.isOptional }.map(\.name)
        }

        private static func collect(
            _ fields: [RecordSchema.Field], below path: String, of record: String,
            into columns: inout [(name: String, isOptional: Bool)]
        ) throws(ThalwegError) {
            for field in fields {
                let name = path + field.name
                switch field.type {
                case .scalar, .rawValue: columns.append((name, false))
                case .optional(.scalar), .optional(.rawValue): columns.append((name, true))
                case .record(let inner): try collect(inner, below: name + ".", of: record, into: &columns)
                case .optional, .array, .codable:
                    throw ThalwegError(
                        .job, "a field fits into no column", detail: "\(record).\(name) is \(field.type)",
                        hint: "use numbers, text, truth values, moments, enums with raw values, or optionals of them")
                }
            }
        }

        // MARK: Names

        static func quoted(_ name: String) -> String {
            "\"" + name.split(separator: "\"", omittingEmptySubsequences: false).joined(separator: "\"\"") + "\""
        }

        static func list(_ names: [String]) -> String { names.map(quoted).joined(separator: ", ") }

        func qualified(_ name: String) -> String {
            (schema.map { Self.quoted($0) + "." } ?? "") + Self.quoted(name)
        }

        var target: String { qualified(name) }
        var ledger: String { qualified("thalweg_commits") }

        /// Where rows wait for their checkpoint: one table for each list of columns, so that records may change.
        var stagingName: String {
            let text = Array(columns.joined(separator: "\n").utf8)
            let digits = String(text.withUnsafeBytes { StableHash.bytes($0) } >> 32, radix: 16)
            return "\(name)_thalweg_" + String(repeating: "0", count: 8 - digits.count) + digits
        }

        // MARK: Statements

        /// The text form has no separators that a value could contain unquoted; NULL is what only an optional can be.
        func copy(into table: String) -> String {
            let force = present.isEmpty ? "" : ", FORCE_NOT_NULL (\(Self.list(present)))"
            return "COPY \(table) (\(Self.list(columns))) FROM STDIN (FORMAT csv, NULL '\(Self.nullText)'\(force))"
        }

        static let nullText = "\\N"

        /// Moves the rows of batch `$1` from where they wait to the table; gives how many waited.
        func move(from staging: String, columns: [String], key: [String]) -> String {
            let names = Self.list(columns)
            let take =
                "WITH moved AS (DELETE FROM \(qualified(staging)) WHERE thalweg_batch = $1 "
                + "RETURNING \(names), thalweg_seq), put AS (INSERT INTO \(target) (\(names)) "
            let count = ") SELECT count(*) FROM moved"
            guard !key.isEmpty else { return take + "SELECT \(names) FROM moved ORDER BY thalweg_seq" + count }
            let keys = Self.list(key)
            let others = columns.filter { !key.contains($0) }.map { "\(Self.quoted($0)) = excluded.\(Self.quoted($0))" }
            let action = others.isEmpty ? "NOTHING" : "UPDATE SET " + others.joined(separator: ", ")
            return take + "SELECT DISTINCT ON (\(keys)) \(names) FROM moved ORDER BY \(keys), thalweg_seq DESC "
                + "ON CONFLICT (\(keys)) DO \(action)" + count
        }
    }
#endif
