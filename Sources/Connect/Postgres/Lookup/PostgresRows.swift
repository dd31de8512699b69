// SPDX-License-Identifier: Apache-2.0
//  From the columns of an answer to keys and records.

#if Postgres
    import CPostgres
    import ThalwegBase
    import ThalwegData

    /// The columns that the fields of a record are read from: those of nested records have a dot in their names.
    struct PostgresColumns<Row: Codable & Sendable>: Sendable {
        struct Column: Sendable {
            let name: String
            let cell: Int
            let isOptional: Bool
            let isText: Bool
        }

        let layout: RecordLayout
        private(set) var columns: [Column] = []
        /// Cells of nested records, which are always there.
        private(set) var recordCells: [Int] = []

        /// - Throws: `ThalwegError(.job)` for records that columns cannot hold.
        init() throws(ThalwegError) {
            let type = try RecordType<Row>.learn()
            guard let layout = type.layout, layout.cellTree.nodes[0].kind == .record else {
                throw ThalwegError(
                    .job, "a row needs a record with named fields",
                    detail: "\(Row.self): \(type.unprovenReason ?? "it has none")",
                    hint: "use a struct without init(from:) of its own")
            }
            self.layout = layout
            let tree = layout.cellTree
            for (index, node) in tree.nodes.enumerated() {
                let name = Self.path(to: index, in: tree)
                switch node.kind {
                case .record where !node.isOptional: recordCells.append(Int(node.cell))
                case .record, .array, .raw:
                    throw ThalwegError(
                        .job, "a field fits into no column", detail: "\(Row.self).\(name)",
                        hint: "use numbers, text, truth values, moments, enums with raw values, or optionals of them")
                case .bool, .integer, .number, .string, .time:
                    columns.append(
                        Column(
                            name: name, cell: Int(node.cell), isOptional: node.isOptional,
                            isText: node.kind == .string))
                }
            }
        }

        private static func path(to node: Int, in tree: CellTree) -> String {
            var parts: [String] = []
            var place = node
            while place > 0 {
                parts.append(tree.name(of: place))
                place = Int(tree.nodes[place].parent)
            }
            return parts.reversed().joined(separator: ".")
        }
    }

    /// Reads the rows of one answer. Used by one thread.
    final class PostgresRows<Key: PostgresKey, Row: Codable & Sendable> {
        private let columns: PostgresColumns<Row>
        private let keyNames: [String]
        /// Where the answer has each column of the record, -1 for an optional one that it does not have; and the key.
        private var places: [Int32] = []
        private var keyPlaces: [Int32] = []
        private let cells: UnsafeMutablePointer<Cell>
        private let record: UnsafeMutablePointer<Row>

        init(_ columns: PostgresColumns<Row>, key: [String]) {
            self.columns = columns
            keyNames = key
            let width = columns.layout.cellTree.width
            cells = .allocate(capacity: width)
            cells.initialize(repeating: Cell(.missing), count: width)
            for cell in columns.recordCells { cells[cell] = Cell(.record) }
            record = .allocate(capacity: 1)
        }

        deinit {
            cells.deallocate()
            record.deallocate()
        }

        /// The first row of a result with its key.
        ///
        /// - Throws: `ThalwegError(.job)` when columns are missing, `.input` for values that do not fit the fields.
        func read(_ result: OpaquePointer) throws(ThalwegError) -> (Key, Row) {
            if keyPlaces.isEmpty { try match(result) }
            var texts: [String] = []
            for place in keyPlaces {
                guard PQgetisnull(result, 0, place) == 0 else { throw strangeKey("NULL") }
                texts.append(String(cString: PQgetvalue(result, 0, place)))
            }
            guard let key = Key(postgresTexts: texts) else { throw strangeKey("\(texts)") }
            for (column, place) in zip(columns.columns, places) where place >= 0 {
                if PQgetisnull(result, 0, place) == 1 {
                    cells[column.cell] = Cell(.null)
                } else {
                    let length = UInt32(PQgetlength(result, 0, place))
                    let text = UInt64(UInt(bitPattern: PQgetvalue(result, 0, place)))
                    cells[column.cell] = Cell(column.isText ? .string : .text, bits: text, length: length)
                }
            }
            do throws(CellError) {
                try columns.layout.assemble(cells: cells, into: UnsafeMutableRawPointer(record))
            } catch {
                throw ThalwegError(
                    .input, "a row of PostgreSQL is not the record it is read as",
                    detail: "\(Row.self), key \(texts.joined(separator: ", ")): \(error)",
                    hint: "change the field's type, make it optional, or cast the column in the query")
            }
            return (key, record.move())
        }

        private func match(_ result: OpaquePointer) throws(ThalwegError) {
            var known: [String: Int32] = [:]
            for place in 0..<PQnfields(result) {
                let name = String(cString: PQfname(result, place))
                if known[name] == nil { known[name] = place }
            }
            func place(of name: String, isOptional: Bool) throws(ThalwegError) -> Int32 {
                if let place = known[name] { return place }
                guard !isOptional else { return -1 }
                throw ThalwegError(
                    .job, "a column is missing in an answer of PostgreSQL",
                    detail: "no column `\(name)` among "
                        + known.keys.sorted().map { "`\($0)`" }.joined(separator: ", "),
                    hint: "select it, name it with AS, or make the field optional; the key's columns are needed too")
            }
            var found: [Int32] = []
            for column in columns.columns { found.append(try place(of: column.name, isOptional: column.isOptional)) }
            places = found
            for name in keyNames { keyPlaces.append(try place(of: name, isOptional: false)) }
        }

        private func strangeKey(_ text: String) -> ThalwegError {
            ThalwegError(
                .input, "PostgreSQL gave a key that is none",
                detail: "\(text) in \(keyNames.joined(separator: ", ")) is no \(Key.self)",
                hint: "select the key as it was asked for, or cast the column")
        }
    }
#endif
