// SPDX-License-Identifier: Apache-2.0
//  What a cell is worth as a value of a field's type.

import ThalwegBase

extension Cell {
    /// True if an optional takes this as nil: absent, null, or an empty text field.
    @inline(__always)
    var isAbsent: Bool {
        switch kind {
        case .missing, .null: true
        case .text: length == 0
        default: false
        }
    }

    /// The bytes of a string, text or raw cell.
    @inline(__always)
    var bytes: UnsafeBufferPointer<UInt8> {
        UnsafeBufferPointer(start: UnsafePointer(bitPattern: UInt(bits)), count: bits == 0 ? 0 : Int(length))
    }

    /// The error for a cell that cannot be `expected`.
    @inline(never)
    func mismatch(_ expected: String) -> CellError {
        CellError(field: "", reason: kind == .missing ? "missing" : "expected \(expected), got \(shown)")
    }

    @inline(never)
    private func outOfRange(_ kind: ScalarKind) -> CellError {
        CellError(field: "", reason: "\(shown) is out of range for \(kind.displayName)")
    }

    /// The cell for an error message.
    private var shown: String {
        switch kind {
        case .missing: "nothing"
        case .null: "null"
        case .bool: bits == 0 ? "false" : "true"
        case .int: "number \(Int64(bitPattern: bits))"
        case .unsigned: "number \(bits)"
        case .double: "number \(Double(bitPattern: bits))"
        case .string: "string \(quoted)"
        case .text: "text \(quoted)"
        case .record: "a record"
        case .array: "an array"
        case .raw: "raw \(quoted)"
        }
    }

    /// The first bytes of the text in quotes.
    private var quoted: String {
        let shownBytesMax = 64
        let text = String(decoding: bytes.prefix(shownBytesMax), as: UTF8.self).debugDescription
        return bytes.count > shownBytesMax ? text + "..." : text
    }

    @inline(__always)
    func string() throws(CellError) -> String {
        guard kind == .string || kind == .text else { throw mismatch("String") }
        return String(decoding: bytes, as: UTF8.self)
    }

    @inline(never)
    func bool() throws(CellError) -> Bool {
        switch kind {
        case .bool: return bits != 0
        case .text:
            switch String(decoding: bytes.prefix(8), as: UTF8.self) {
            case "true", "TRUE", "True", "1", "t", "T": return true
            case "false", "FALSE", "False", "0", "f", "F": return false
            default: break
            }
        default: break
        }
        throw mismatch("Bool")
    }

    /// A whole number that fits Int64; `kind` is for the error.
    @inline(never)
    func signed(_ target: ScalarKind) throws(CellError) -> Int64 {
        switch kind {
        case .int: return Int64(bitPattern: bits)
        case .unsigned: throw outOfRange(target)
        case .double:
            let value = Double(bitPattern: bits)
            if let whole = Int64(exactly: value) { return whole }
            if value == value.rounded(), value.isFinite { throw outOfRange(target) }
        case .text:
            switch NumberText.integer(bytes) {
            case .some(let value): return value
            case .none: if NumberText.isInteger(bytes) { throw outOfRange(target) }
            }
        default: break
        }
        throw mismatch(target.displayName)
    }

    @inline(never)
    func unsigned() throws(CellError) -> UInt64 {
        switch kind {
        case .unsigned: return bits
        case .double:
            let value = Double(bitPattern: bits)
            if let whole = UInt64(exactly: value) { return whole }
            if value == value.rounded(), value.isFinite { throw outOfRange(.uint64) }
            throw mismatch(ScalarKind.uint64.displayName)
        case .text:
            if let value = NumberText.unsigned(bytes) { return value }
        default: break
        }
        let value = try signed(.uint64)
        guard value >= 0 else { throw outOfRange(.uint64) }
        return UInt64(value)
    }

    /// A whole number that fits the type.
    @inline(__always)
    func narrow<Value: FixedWidthInteger>(_: Value.Type, _ target: ScalarKind) throws(CellError) -> Value {
        let wide = kind == .int ? Int64(bitPattern: bits) : try signed(target)
        guard let value = Value(exactly: wide) else { throw outOfRange(target) }
        return value
    }

    @inline(never)
    func double() throws(CellError) -> Double {
        switch kind {
        case .double: return Double(bitPattern: bits)
        case .int: return Double(Int64(bitPattern: bits))
        case .unsigned: return Double(bits)
        case .text: if let value = NumberText.double(bytes) { return value }
        default: break
        }
        throw mismatch("Double")
    }

    func float() throws(CellError) -> Float {
        guard kind == .double || kind == .int || kind == .unsigned || kind == .text else { throw mismatch("Float") }
        let wide = try double()
        let value = Float(wide)
        guard value.isFinite || !wide.isFinite else { throw outOfRange(.float) }
        return value
    }

    /// Milliseconds since 1970: a number, or a moment in ISO 8601.
    @inline(never)
    func time() throws(CellError) -> Int64 {
        switch kind {
        case .string, .text:
            if let time = EventTime(iso8601: bytes) { return time.milliseconds }
            if kind == .text, let milliseconds = NumberText.integer(bytes) { return milliseconds }
            throw mismatch("EventTime")
        case .int, .double, .unsigned: return try signed(.time)
        default: throw mismatch("EventTime")
        }
    }

    /// The case of an enum by its raw value.
    func tag(in table: RawValueTable) throws(CellError) -> UInt8 {
        let tag: UInt8?
        if table.kind == .string {
            guard kind == .string || kind == .text else { throw mismatch("String") }
            tag = table.tag(of: UnsafeRawBufferPointer(bytes))
        } else if table.kind == .uint64 {
            tag = table.tag(of: Int64(bitPattern: try kind == .int ? narrowUnsigned() : unsigned()))
        } else {
            tag = table.tag(of: try signed(table.kind))
        }
        guard let tag else { throw CellError(field: "", reason: "no case has the raw value \(shown)") }
        return tag
    }

    private func narrowUnsigned() throws(CellError) -> UInt64 { try narrow(UInt64.self, .uint64) }
}

extension ScalarKind {
    /// The name as Swift has it.
    var displayName: String {
        switch self {
        case .bool: "Bool"
        case .int8: "Int8"
        case .int16: "Int16"
        case .int32: "Int32"
        case .int64: "Int64"
        case .uint8: "UInt8"
        case .uint16: "UInt16"
        case .uint32: "UInt32"
        case .uint64: "UInt64"
        case .float: "Float"
        case .double: "Double"
        case .string: "String"
        case .time: "EventTime"
        }
    }
}

/// Numbers written in decimal.
enum NumberText {
    /// A whole number with an optional sign; nil if it is none or does not fit.
    static func integer(_ text: UnsafeBufferPointer<UInt8>) -> Int64? {
        guard let first = text.first else { return nil }
        let isNegative = first == UInt8(ascii: "-")
        let start = isNegative || first == UInt8(ascii: "+") ? 1 : 0
        guard text.count > start else { return nil }
        if text.count - start <= 18 {
            var value: Int64 = 0
            for index in start..<text.count {
                let digit = text[index] &- UInt8(ascii: "0")
                guard digit <= 9 else { return nil }
                value = value &* 10 &+ Int64(digit)
            }
            return isNegative ? -value : value
        }
        return Int64(String(decoding: text, as: UTF8.self))
    }

    static func unsigned(_ text: UnsafeBufferPointer<UInt8>) -> UInt64? {
        UInt64(String(decoding: text, as: UTF8.self))
    }

    /// True for a sign and digits, however many.
    static func isInteger(_ text: UnsafeBufferPointer<UInt8>) -> Bool {
        let digits = text.first == UInt8(ascii: "-") || text.first == UInt8(ascii: "+") ? text.dropFirst() : text[...]
        return !digits.isEmpty && digits.allSatisfy { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }
    }

    /// Powers of ten that a Double holds exactly.
    private static let powers: [Double] = [
        1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19,
        1e20,
        1e21, 1e22,
    ]

    /// A decimal number. Up to 15 digits without exponent are exact by one division; the rest is left to the library.
    static func double(_ text: UnsafeBufferPointer<UInt8>) -> Double? {
        let digitsMax = 15
        var mantissa: Int64 = 0
        var digits = 0
        var decimals = -1
        var index = 0
        let isNegative = text.first == UInt8(ascii: "-")
        if isNegative { index = 1 }
        while index < text.count {
            let byte = text[index]
            let digit = byte &- UInt8(ascii: "0")
            if digit <= 9 {
                mantissa = mantissa &* 10 &+ Int64(digit)
                digits += 1
                if decimals >= 0 { decimals += 1 }
            } else if byte == UInt8(ascii: "."), decimals < 0 {
                decimals = 0
            } else {
                return slowDouble(text)
            }
            if digits > digitsMax { return slowDouble(text) }
            index += 1
        }
        guard digits > 0 else { return nil }
        let value = decimals > 0 ? Double(mantissa) / powers[decimals] : Double(mantissa)
        return isNegative ? -value : value
    }

    private static func slowDouble(_ text: UnsafeBufferPointer<UInt8>) -> Double? {
        Double(String(decoding: text, as: UTF8.self))
    }
}
