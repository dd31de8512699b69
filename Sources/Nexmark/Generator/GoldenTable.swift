// SPDX-License-Identifier: Apache-2.0
//  A result as the final table: a bag of rows, sorted by byte, with its digest.

public import ThalwegBase

/// The final table that a stream of row changes adds up to.
///
/// Rows are texts as in the golden files: fields joined by commas, NULL as `\N`, times as `yyyy-MM-ddTHH:mm:ss.SSS`
/// (see ``row(_:)``). Additions and retractions may come in any order; what counts is the sum.
public struct GoldenTable: Sendable {
    private var counts: [String: Int] = [:]

    public init() {}

    /// A table of rows, each counted once.
    public init(rows: some Sequence<String>) {
        for row in rows { add(row) }
    }

    /// Adds a row `multiplicity` times; -1 takes one back.
    public mutating func add(_ row: String, multiplicity: Int = 1) {
        let sum = counts[row, default: 0] + multiplicity
        counts[row] = sum == 0 ? nil : sum
    }

    /// Adds what another table holds: the tables of subtasks make one.
    public mutating func merge(_ other: GoldenTable) {
        for (row, count) in other.counts { add(row, multiplicity: count) }
    }

    /// All rows, sorted by byte.
    ///
    /// Throws when a row was retracted more often than added.
    public func sortedRows() throws(ThalwegError) -> [String] {
        if let (row, count) = counts.filter({ $0.value < 0 }).min(by: { $0.key.precedesByByte($1.key) }) {
            throw ThalwegError(
                .bug, "a row was retracted more often than added", detail: "multiplicity \(count): \(row)",
                hint: "look for a retraction that is not the row sent before")
        }
        return counts.sorted { $0.key.precedesByByte($1.key) }.flatMap { repeatElement($0.key, count: $0.value) }
    }

    /// The row count, and the SHA-256 of the sorted rows, one per line.
    public func digest() throws(ThalwegError) -> GoldenDigest { GoldenDigest(sortedRows: try sortedRows()) }

    // MARK: Rendering

    /// One field of a row.
    public enum Field: Sendable {
        case null
        case integer(Int64)
        case text(String)
        case time(EventTime)
        /// A number with a fixed count of decimals: `unscaled / 10^scale`.
        case decimal(unscaled: Int64, scale: Int)
    }

    /// The text of a row.
    public static func row(_ fields: [Field]) -> String {
        var text: [UInt8] = []
        for (index, field) in fields.enumerated() {
            if index > 0 { text.append(UInt8(ascii: ",")) }
            switch field {
            case .null: text += "\\N".utf8
            case .integer(let number): text += String(number).utf8
            case .text(let string): text += string.utf8
            case .time(let time): time.appendISO8601(to: &text)
            case .decimal(let unscaled, let scale):
                if unscaled < 0 { text.append(UInt8(ascii: "-")) }
                var power: UInt64 = 1
                for _ in 0..<scale { power *= 10 }
                text.appendDecimal(unscaled.magnitude / power)
                if scale > 0 {
                    text.append(UInt8(ascii: "."))
                    text.appendDecimal(unscaled.magnitude % power, width: scale)
                }
            }
        }
        return String(decoding: text, as: UTF8.self)
    }
}

/// The row count and the SHA-256 of a table.
public struct GoldenDigest: Hashable, Sendable, CustomStringConvertible {
    public var rows: Int
    public var sha256: String

    public init(rows: Int, sha256: String) {
        self.rows = rows
        self.sha256 = sha256
    }

    /// The digest of rows in their final order.
    public init(sortedRows: [String]) {
        var hash = SHA256()
        var chunk: [UInt8] = []
        for row in sortedRows {
            chunk += row.utf8
            chunk.append(UInt8(ascii: "\n"))
            if chunk.count > 1 << 16 {
                hash.update(chunk)
                chunk.removeAll(keepingCapacity: true)
            }
        }
        hash.update(chunk)
        self.init(rows: sortedRows.count, sha256: hash.hexadecimal())
    }

    public var description: String { "rows=\(rows) sha256=\(sha256)" }
}

extension String {
    /// The order of `LC_ALL=C sort`. Swift's own order of strings normalises; for ASCII both agree.
    func precedesByByte(_ other: String) -> Bool { utf8.lexicographicallyPrecedes(other.utf8) }
}
