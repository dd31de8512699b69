// SPDX-License-Identifier: Apache-2.0
//  Why the cells of a record do not make a record.

/// A field that cannot take what the input has for it.
public struct CellError: Error, Sendable, Hashable, CustomStringConvertible {
    /// The path of the field, as in `bid.tags[2].name`; empty for the record itself.
    public var field: String
    /// What is wrong, as in `expected Int64, got string "abc"`.
    public var reason: String

    public init(field: String, reason: String) {
        self.field = field
        self.reason = reason
    }

    public var description: String { field.isEmpty ? reason : "field \(field): \(reason)" }

    /// The same error seen from one level further out.
    func under(_ outer: String) -> CellError {
        if field.isEmpty || field.hasPrefix("[") { return CellError(field: outer + field, reason: reason) }
        return CellError(field: "\(outer).\(field)", reason: reason)
    }
}

/// Decodes the fields that only plain `Codable` understands.
///
/// A format lends it to ``RecordLayout/assemble(cells:into:using:)``.
public protocol CellDecoder {
    /// Decodes a value from a cell of kind `.raw` (raw JSON) or, in CSV, `.text`.
    func decode<Value: Decodable>(_ type: Value.Type, from cell: Cell) throws -> Value
}
