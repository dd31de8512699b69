// SPDX-License-Identifier: Apache-2.0
//  Which column of a CSV file belongs to which field.

import ThalwegBase
import ThalwegData

/// The columns that a record type has: its fields, those of nested records with dots in their names.
struct CSVColumns: Sendable {
    struct Column: Sendable {
        var name: String
        /// The place of the field's cell.
        var cell: Int
        var isOptional: Bool
        var isString: Bool
    }

    private(set) var columns: [Column] = []
    /// Cells of nested records, which are always there.
    private(set) var recordCells: [Int] = []

    /// Lists the columns of a type; an error when a row cannot hold it.
    init(_ layout: RecordLayout, of type: Any.Type) throws(ThalwegError) {
        let tree = layout.cellTree
        guard tree.nodes[0].kind == .record else {
            throw ThalwegError(
                .job, "CSV needs a record with named fields", detail: "\(type) has none",
                hint: "read it with .lines or .json, or wrap it into a struct")
        }
        for (index, node) in tree.nodes.enumerated() {
            let path = tree.fieldPath(to: index)
            switch node.kind {
            case .record:
                guard !node.isOptional else {
                    throw Self.refusal(type, path, "is an optional record", "make the fields of the record optional")
                }
                recordCells.append(Int(node.cell))
            case .array:
                throw Self.refusal(type, path, "is an array", "use .json, or flatten the record before it is written")
            case .raw:
                throw Self.refusal(
                    type, path, "is understood by its own Codable conformance only", "use .json, or a simpler type")
            case .bool, .integer, .number, .string, .time:
                columns.append(
                    Column(
                        name: path, cell: Int(node.cell), isOptional: node.isOptional, isString: node.kind == .string))
            }
        }
    }

    static func refusal(_ type: Any.Type, _ path: String, _ reason: String, _ hint: String) -> ThalwegError {
        ThalwegError(.job, "type does not fit into CSV", detail: "\(type): field \(path) \(reason)", hint: hint)
    }

    static func unproven(_ type: Any.Type, _ reason: String?) -> ThalwegError {
        ThalwegError(
            .job, "type does not fit into CSV", detail: "\(type) could not be learned: \(reason ?? "reason unknown")",
            hint: "use a struct without init(from:) of its own, or .json")
    }

    /// For each column of a file with this header the place in `columns`, or -1 for columns that no field asks for.
    func match(header: [String], source: String) throws(ThalwegError) -> [Int] {
        var found = [Int](repeating: -1, count: header.count)
        for (index, column) in columns.enumerated() {
            guard let place = header.firstIndex(of: column.name) else {
                if column.isOptional { continue }
                throw ThalwegError(
                    .input, "column is missing",
                    detail: "\(source), line 1: no column `\(column.name)` among "
                        + header.prefix(50).map { "`\($0)`" }.joined(separator: ", "),
                    hint: "name it by a CodingKey, make the field optional, or read with header: false")
            }
            guard header.lastIndex(of: column.name) == place else {
                throw ThalwegError(
                    .input, "column is there twice", detail: "\(source), line 1: `\(column.name)`",
                    hint: "rename one of them, or read with header: false")
            }
            found[place] = index
        }
        return found
    }
}
