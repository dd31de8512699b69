// SPDX-License-Identifier: Apache-2.0
//  A folder of expected results, and the verdict on a table.

import Thalweg

/// Expected results: `DIGESTS.tsv` with one line `query rows=N sha256=H` per query, and per query the sorted rows in
/// `q5.csv.gz`, or of a large result every so-manyth row in `q0.sample.csv.gz`.
public struct GoldenFolder: Sendable {
    /// Where the folder is.
    public let path: String
    /// What each query should come to.
    public let digests: [String: GoldenDigest]

    /// Reads the digests of a folder.
    public init(path: String) throws(ThalwegError) {
        self.path = path
        var digests: [String: GoldenDigest] = [:]
        for line in try GzipText.lines(path + "/DIGESTS.tsv") {
            let fields = line.split(separator: "\t")
            guard fields.count == 3, fields[1].hasPrefix("rows="), fields[2].hasPrefix("sha256="),
                let rows = Int(fields[1].dropFirst(5))
            else {
                throw ThalwegError(
                    .input, "not a line of digests", detail: "\(path)/DIGESTS.tsv: \(line)",
                    hint: "a line is: query, tab, rows=N, tab, sha256=H")
            }
            digests[String(fields[0])] = GoldenDigest(rows: rows, sha256: String(fields[2].dropFirst(7)))
        }
        self.digests = digests
    }

    /// Compares a table with what the query should give.
    ///
    /// Throws when the folder has no result of that query.
    public func verdict(on table: GoldenTable, query: String) throws(ThalwegError) -> GoldenVerdict {
        guard let expected = digests[query] else {
            throw ThalwegError(
                .input, "no golden result", detail: "\(query) in \(path)/DIGESTS.tsv",
                hint: "there are results of: \(digests.keys.sorted().joined(separator: " "))")
        }
        let rows = try table.sortedRows()
        let actual = GoldenDigest(sortedRows: rows)
        let difference = expected == actual ? "" : difference(between: rows, and: query)
        return GoldenVerdict(query: query, expected: expected, actual: actual, difference: difference)
    }

    /// A short account of what differs: from the whole result when it is there, else from the sample.
    private func difference(between rows: [String], and query: String) -> String {
        if let expected = try? GzipText.lines("\(path)/\(query).csv.gz") {
            return Self.difference(expected: expected, actual: rows)
        }
        guard let sample = try? GzipText.lines("\(path)/\(query).sample.csv.gz") else {
            return "no rows to compare with in \(path)"
        }
        let present = Set(rows)
        let missing = sample.filter { !present.contains($0) }
        if missing.isEmpty { return "all \(sample.count) rows of the sample are there" }
        return Self.list("missing, of a sample of \(sample.count)", missing)
    }

    /// The rows that only one side has, counted, with a few examples.
    static func difference(expected: [String], actual: [String]) -> String {
        var counts: [String: Int] = [:]
        for row in expected { counts[row, default: 0] += 1 }
        for row in actual { counts[row, default: 0] -= 1 }
        let rows = { (sign: Int) in
            counts.flatMap { repeatElement($0.key, count: max(0, sign * $0.value)) }
                .sorted { $0.precedesByByte($1) }
        }
        let (missing, unexpected) = (rows(1), rows(-1))
        if missing.isEmpty && unexpected.isEmpty { return "the rows agree, the digest file does not" }
        return [("missing", missing), ("unexpected", unexpected)]
            .filter { !$0.1.isEmpty }.map(list).joined(separator: "\n")
    }

    private static func list(_ title: String, _ rows: [String]) -> String {
        ("\(title): \(rows.count) rows" + rows.prefix(5).map { "\n  \($0)" }.joined())
            + (rows.count > 5 ? "\n  ..." : "")
    }
}

/// Whether a query gave what it should.
public struct GoldenVerdict: Sendable, CustomStringConvertible {
    public var query: String
    public var expected: GoldenDigest
    public var actual: GoldenDigest
    /// Empty when the tables are equal.
    public var difference: String

    public var isEqual: Bool { expected == actual }

    public var description: String {
        isEqual
            ? "\(query): equal to the golden result, \(actual)"
            : "\(query): differs from the golden result\n  expected \(expected)\n  actual   \(actual)\n\(difference)"
    }
}

/// Lines of a text file, compressed or not.
enum GzipText {
    static func lines(_ path: String) throws(ThalwegError) -> [String] {
        let source = try decompressingIfNeeded(try FileByteSource(path: path))
        var text: [UInt8] = []
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 16, alignment: 1)
        defer { buffer.deallocate() }
        while true {
            let count = try source.read(at: UInt64(text.count), into: buffer)
            if count == 0 { break }
            text += buffer[..<count]
        }
        return text.split(separator: UInt8(ascii: "\n")).map { String(decoding: $0, as: UTF8.self) }
    }
}
