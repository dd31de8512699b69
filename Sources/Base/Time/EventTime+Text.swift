// SPDX-License-Identifier: Apache-2.0
//  Event time as ISO 8601 text, without Foundation.

extension EventTime: CustomStringConvertible {
    /// `2015-07-15T00:00:02.000` (UTC), or `min` / `max`.
    public var description: String {
        if self == .min { return "min" }
        if self == .max { return "max" }
        var text: [UInt8] = []
        appendISO8601(to: &text)
        return String(decoding: text, as: UTF8.self)
    }

    /// Appends `yyyy-MM-ddTHH:mm:ss.SSS` (UTC; years outside 0...9999 carry a sign).
    public func appendISO8601(to text: inout [UInt8], milliseconds withMilliseconds: Bool = true) {
        let (date, time) = milliseconds.flooredDivision(by: 86_400_000)
        let (year, month, day) = CivilDate.fromDays(date)
        if year < 0 || year > 9999 { text.append(UInt8(ascii: year < 0 ? "-" : "+")) }
        text.appendDecimal(year.magnitude, width: 4)
        text.append(UInt8(ascii: "-"))
        text.appendDecimal(UInt64(month), width: 2)
        text.append(UInt8(ascii: "-"))
        text.appendDecimal(UInt64(day), width: 2)
        text.append(UInt8(ascii: "T"))
        text.appendDecimal(UInt64(time / 3_600_000), width: 2)
        text.append(UInt8(ascii: ":"))
        text.appendDecimal(UInt64(time / 60_000 % 60), width: 2)
        text.append(UInt8(ascii: ":"))
        text.appendDecimal(UInt64(time / 1000 % 60), width: 2)
        if withMilliseconds {
            text.append(UInt8(ascii: "."))
            text.appendDecimal(UInt64(time % 1000), width: 3)
        }
    }

    /// Reads ISO 8601: `yyyy-MM-dd`, then optionally `T` or a space, `HH:mm[:ss[.fraction]]`, and `Z` or `±HH[[:]mm]`.
    /// Returns nil when the text is anything else. No offset means UTC.
    public init?(iso8601 text: UnsafeBufferPointer<UInt8>) {
        var reader = ISO8601Reader(text: text)
        guard let time = reader.read() else { return nil }
        self = time
    }

    /// Reads ISO 8601 text; see ``init(iso8601:)-(UnsafeBufferPointer<UInt8>)``.
    public init?(iso8601 text: String) {
        var text = text
        guard let time = text.withUTF8({ EventTime(iso8601: $0) }) else { return nil }
        self = time
    }
}

private struct ISO8601Reader {
    let text: UnsafeBufferPointer<UInt8>
    var position = 0

    init(text: UnsafeBufferPointer<UInt8>) { self.text = text }

    mutating func read() -> EventTime? {
        guard let year = digits(4), take("-"), let month = digits(2), take("-"), let day = digits(2),
            (1...12).contains(month), day >= 1, day <= CivilDate.daysIn(month: month, year: year)
        else { return nil }
        var total = CivilDate.toDays(year: Int64(year), month: month, day: day) * 86_400_000
        if position == text.count { return EventTime(milliseconds: total) }
        guard take("T") || take(" "), let hour = digits(2), hour < 24, take(":"), let minute = digits(2), minute < 60
        else { return nil }
        total += Int64(hour) * 3_600_000 + Int64(minute) * 60_000
        if take(":") {
            guard let second = digits(2), second < 60 else { return nil }
            total += Int64(second) * 1000
            if take(".") {
                guard let milliseconds = fraction() else { return nil }
                total += milliseconds
            }
        }
        guard let offset = zone(), position == text.count else { return nil }
        return EventTime(milliseconds: total - offset)
    }

    private mutating func take(_ character: Unicode.Scalar) -> Bool {
        guard position < text.count, text[position] == UInt8(ascii: character) else { return false }
        position += 1
        return true
    }

    private mutating func digits(_ count: Int) -> Int? {
        guard position + count <= text.count else { return nil }
        var value = 0
        for _ in 0..<count {
            let digit = text[position] &- UInt8(ascii: "0")
            guard digit <= 9 else { return nil }
            value = value * 10 + Int(digit)
            position += 1
        }
        return value
    }

    /// One to nine digits after the point; what is finer than a millisecond is cut.
    private mutating func fraction() -> Int64? {
        var value: Int64 = 0
        var count = 0
        while position < text.count, text[position] &- UInt8(ascii: "0") <= 9 {
            if count < 3 { value = value * 10 + Int64(text[position] &- UInt8(ascii: "0")) }
            count += 1
            position += 1
        }
        guard count >= 1, count <= 9 else { return nil }
        for _ in min(count, 3)..<3 { value *= 10 }
        return value
    }

    /// The zone offset in milliseconds; 0 when there is none.
    private mutating func zone() -> Int64? {
        if position == text.count || take("Z") { return 0 }
        let sign: Int64
        if take("+") { sign = 1 } else if take("-") { sign = -1 } else { return nil }
        guard let hours = digits(2), hours <= 18 else { return nil }
        if position == text.count { return sign * Int64(hours) * 3_600_000 }
        _ = take(":")
        guard let minutes = digits(2), minutes < 60 else { return nil }
        return sign * (Int64(hours) * 3_600_000 + Int64(minutes) * 60_000)
    }
}

/// The proleptic Gregorian calendar as pure arithmetic.
public enum CivilDate {
    /// Days since 1970-01-01.
    public static func toDays(year: Int64, month: Int, day: Int) -> Int64 {
        let y = month <= 2 ? year - 1 : year
        let (era, yearOfEra) = y.flooredDivision(by: 400)
        let monthFromMarch = Int64((month + 9) % 12)
        let dayOfYear = (153 * monthFromMarch + 2) / 5 + Int64(day) - 1
        let dayOfEra = yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear
        return era * 146_097 + dayOfEra - 719_468
    }

    /// The date of a day counted from 1970-01-01.
    public static func fromDays(_ days: Int64) -> (year: Int64, month: Int, day: Int) {
        let (era, dayOfEra) = (days + 719_468).flooredDivision(by: 146_097)
        let yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let monthFromMarch = (5 * dayOfYear + 2) / 153
        let day = Int(dayOfYear - (153 * monthFromMarch + 2) / 5 + 1)
        let month = Int(monthFromMarch < 10 ? monthFromMarch + 3 : monthFromMarch - 9)
        return (yearOfEra + era * 400 + (month <= 2 ? 1 : 0), month, day)
    }

    public static func daysIn(month: Int, year: Int) -> Int {
        switch month {
        case 2: (year % 4 == 0 && year % 100 != 0) || year % 400 == 0 ? 29 : 28
        case 4, 6, 9, 11: 30
        default: 31
        }
    }
}

extension Int64 {
    /// Quotient and remainder with the remainder never negative.
    @inlinable
    public func flooredDivision(by divisor: Int64) -> (quotient: Int64, remainder: Int64) {
        var (quotient, remainder) = quotientAndRemainder(dividingBy: divisor)
        if remainder < 0 {
            quotient -= 1
            remainder += divisor
        }
        return (quotient, remainder)
    }
}

extension [UInt8] {
    /// Appends `value` in decimal, padded with zeros to `width`.
    public mutating func appendDecimal(_ value: some BinaryInteger, width: Int = 1) {
        var rest = UInt64(value)
        let start = count
        repeat {
            append(UInt8(ascii: "0") + UInt8(rest % 10))
            rest /= 10
        } while rest > 0 || count - start < width
        self[start...].reverse()
    }
}
