// SPDX-License-Identifier: Apache-2.0
//  Values of a schema as JSON text.

import ThalwegBase

extension DynamicValue {
    /// The value as JSON in one line. Moments are ISO 8601 text, far ones
    /// milliseconds in text; what JSON has no number for is text: `"NaN"`.
    public var json: String {
        var text = ""
        appendJSON(to: &text)
        return text
    }

    /// Appends ``json``.
    public func appendJSON(to text: inout String) {
        switch self {
        case .null: text += "null"
        case .bool(let value): text += value ? "true" : "false"
        case .integer(let number): text += String(number)
        case .unsigned(let number): text += String(number)
        case .float(let number): Self.append(number.description, isFinite: number.isFinite, to: &text)
        case .double(let number): Self.append(number.description, isFinite: number.isFinite, to: &text)
        case .string(let string): Self.appendQuoted(string, to: &text)
        case .time(let time): Self.appendQuoted(Self.text(time), to: &text)
        case .array(let values):
            text += "["
            for (index, value) in values.enumerated() {
                if index > 0 { text += "," }
                value.appendJSON(to: &text)
            }
            text += "]"
        case .record(let fields):
            text += "{"
            for (index, field) in fields.enumerated() {
                if index > 0 { text += "," }
                Self.appendQuoted(field.name, to: &text)
                text += ":"
                field.value.appendJSON(to: &text)
            }
            text += "}"
        case .some(let value): value.appendJSON(to: &text)
        }
    }

    /// Moments in years that ISO 8601 has no four digits for are milliseconds.
    private static func text(_ time: EventTime) -> String {
        let isPlain = (-62_167_219_200_000...253_402_300_799_999).contains(time.milliseconds)
        return isPlain || time == .min || time == .max ? time.description : String(time.milliseconds)
    }

    private static func append(_ number: String, isFinite: Bool, to text: inout String) {
        if isFinite { text += number } else { appendQuoted(number, to: &text) }
    }

    /// Appends a text in quotes, with what JSON wants escaped.
    public static func appendQuoted(_ string: String, to text: inout String) {
        text += "\""
        for scalar in string.unicodeScalars {
            switch scalar {
            case "\"": text += "\\\""
            case "\\": text += "\\\\"
            case "\n": text += "\\n"
            case "\r": text += "\\r"
            case "\t": text += "\\t"
            case _ where scalar.value < 0x20 || scalar.value == 0x7F:
                let digits = String(scalar.value, radix: 16)
                text += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
            default: text.unicodeScalars.append(scalar)
            }
        }
        text += "\""
    }

    /// The value as the text of a cell: strings and moments as they are, nil as nothing, all else as JSON.
    public var cellText: String {
        switch self {
        case .null: ""
        case .string(let text): text
        case .time(let time): Self.text(time)
        case .float(let number): number.description
        case .double(let number): number.description
        case .some(let value): value.cellText
        default: json
        }
    }
}
