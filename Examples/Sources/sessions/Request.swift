// SPDX-License-Identifier: Apache-2.0
//  One line of an access log.

import Thalweg

/// A request, as far as the job needs it.
struct Request: Codable, Sendable {
    var address: String
    var time: EventTime
    /// The size of the response; 0 when the log has `-`.
    var bytes: Int64
}

extension Request {
    /// Reads a line of the combined format:
    /// `192.0.2.7 - - [17/May/2015:10:05:03 +0000] "GET / HTTP/1.1" 200 512 "http://example.org/" "Mozilla/5.0"`
    init(parsing line: String) throws(ThalwegError) {
        var fields = LogFields(rest: line.utf8[...])
        guard let address = fields.next(), !address.isEmpty, fields.next() != nil, fields.next() != nil else {
            throw Self.failure("it does not begin with an address and two names")
        }
        guard let moment = fields.next(from: "[", to: "]"), let time = Self.time(moment) else {
            throw Self.failure("the time is not like [17/May/2015:10:05:03 +0000]")
        }
        guard fields.next(from: "\"", to: "\"") != nil else { throw Self.failure("the request is not in quotation marks") }
        guard let status = fields.next(), status.count == 3, Int(status) != nil else {
            throw Self.failure("the status is not a number of three digits")
        }
        guard let size = fields.next(), let bytes = size == "-" ? 0 : Int64(size), bytes >= 0 else {
            throw Self.failure("the size is neither a number nor -")
        }
        self.init(address: String(address), time: time, bytes: bytes)
    }

    private static func failure(_ reason: String) -> ThalwegError {
        ThalwegError(.input, "not a line of the combined log format", detail: reason)
    }

    private static let months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]

    /// `17/May/2015:10:05:03 +0000`
    private static func time(_ text: Substring) -> EventTime? {
        let words = text.split(separator: " ")
        let parts = words.first?.split(separator: ":", maxSplits: 1) ?? []
        let date = parts.first?.split(separator: "/") ?? []
        guard words.count == 2, parts.count == 2, date.count == 3, let month = months.firstIndex(of: String(date[1]))
        else { return nil }
        return EventTime(iso8601: "\(date[2])-\(month < 9 ? "0" : "")\(month + 1)-\(date[0])T\(parts[1])\(words[1])")
    }
}

/// Takes the fields of a line one by one. A field ends at a space, or at its closing mark.
private struct LogFields {
    var rest: Substring.UTF8View

    /// The next field; nil at the end of the line.
    mutating func next() -> Substring? {
        guard !rest.isEmpty else { return nil }
        let field = rest.prefix { $0 != UInt8(ascii: " ") }
        rest = rest.dropFirst(field.count + 1)
        return Substring(field)
    }

    /// The next field without its marks; nil when it does not stand between these. A backslash takes the meaning from
    /// the character behind it.
    mutating func next(from open: Unicode.Scalar, to close: Unicode.Scalar) -> Substring? {
        guard rest.first == UInt8(ascii: open) else { return nil }
        var end = rest.index(after: rest.startIndex)
        while end < rest.endIndex, rest[end] != UInt8(ascii: close) {
            if rest[end] == UInt8(ascii: "\\") { rest.formIndex(after: &end) }
            if end < rest.endIndex { rest.formIndex(after: &end) }
        }
        guard end < rest.endIndex else { return nil }
        let field = rest[..<end].dropFirst()
        rest = rest[end...].dropFirst(2)
        return Substring(field)
    }
}
