// SPDX-License-Identifier: Apache-2.0
//  Event time as text against Foundation's calendar.

import Foundation
import Testing
import ThalwegBase

@Suite struct EventTimeTests {
    private static let formatter: DateFormatter = {
        let formatter = DateFormatter()
        formatter.calendar = Calendar(identifier: .gregorian)
        formatter.locale = Locale(identifier: "en_US_POSIX")
        formatter.timeZone = TimeZone(secondsFromGMT: 0)
        formatter.dateFormat = "yyyy-MM-dd'T'HH:mm:ss.SSS"
        return formatter
    }()

    @Test func textAgreesWithFoundationOverRandomMoments() {
        var random = SeededRandom(seed: 1)
        // 1583 (the first whole Gregorian year) to 9999: Foundation's calendar is Julian before that.
        for _ in 0..<2000 {
            let time = EventTime(milliseconds: .random(in: -12_212_553_600_000...253_402_300_799_999, using: &random))
            let date = Date(timeIntervalSince1970: Double(time.milliseconds / 1000))
            let whole = time.milliseconds - time.milliseconds % 1000
            let expected = Self.formatter.string(from: date)
            #expect(EventTime(milliseconds: whole).description == expected)
            #expect(EventTime(iso8601: time.description) == time)
            #expect(EventTime(iso8601: time.description + "Z") == time)
        }
    }

    @Test func everyDayOf800YearsRoundTrips() {
        var previous: (year: Int64, month: Int, day: Int)?
        for day in Int64(-146_097)...146_097 {
            let date = CivilDate.fromDays(day)
            #expect(CivilDate.toDays(year: date.year, month: date.month, day: date.day) == day)
            if let previous {
                let isNext = date.day == previous.day + 1 || date.day == 1
                #expect(isNext && date.day <= CivilDate.daysIn(month: date.month, year: Int(date.year)))
            }
            previous = date
        }
    }

    @Test(arguments: [
        ("1970-01-01", 0), ("1970-01-01T00:00", 0), ("1970-01-01 00:00:01", 1000), ("1969-12-31T23:59:59.999", -1),
        ("1970-01-01T01:00:00+01:00", 0), ("1970-01-01T01:00:00+0100", 0), ("1970-01-01 01:00:00+01", 0),
        ("1969-12-31T14:00-10:00", 0),
        ("1970-01-01T00:00:00.1", 100), ("1970-01-01T00:00:00.123456789", 123), ("2000-02-29", 951_782_400_000),
        ("0000-01-01", -62_167_219_200_000),
    ])
    func readsWhatISOAllows(_ text: String, _ milliseconds: Int) {
        #expect(EventTime(iso8601: text)?.milliseconds == Int64(milliseconds))
    }

    @Test(arguments: [
        "", "1970", "1970-1-1", "1970-13-01", "1970-00-01", "1970-02-29", "1900-02-29", "1970-01-32", "1970-01-00",
        "1970-01-01T", "1970-01-01T24:00", "1970-01-01T00:60", "1970-01-01T00:00:60", "1970-01-01T00:00:00.",
        "1970-01-01T00:00:00.1234567890", "1970-01-01T00:00+19:00", "1970-01-01T00:00+01:60", "1970-01-01T00:00Zx",
        "1970-01-01X00:00", " 1970-01-01", "+1970-01-01", "1970-01-01T00:00:00+1", "min", "１９７０-01-01",
    ])
    func refusesEverythingElse(_ text: String) { #expect(EventTime(iso8601: text) == nil) }

    @Test func randomDamageNeverTraps() {
        var random = SeededRandom(seed: 2)
        let alphabet = Array("0123456789-:T.Z+ x".utf8)
        for _ in 0..<20_000 {
            var text = Array("2015-07-15T00:00:02.000+01:00".utf8.prefix(.random(in: 0...29, using: &random)))
            for _ in 0..<Int.random(in: 0...3, using: &random) where !text.isEmpty {
                text[.random(in: 0..<text.count, using: &random)] = alphabet.randomElement(using: &random) ?? 0
            }
            guard let time = text.withUnsafeBufferPointer({ EventTime(iso8601: $0) }) else { continue }
            #expect(EventTime(iso8601: time.description) == time || time.milliseconds < -62_167_219_200_000)
        }
    }

    @Test func extremesHaveTextAndArithmeticClamps() {
        #expect(EventTime.min.description == "min" && EventTime.max.description == "max")
        #expect(EventTime(milliseconds: .max - 1).description.hasPrefix("+292278994-08-17T07:12:55"))
        #expect(EventTime(milliseconds: .min + 1).description.hasPrefix("-292275055-05-16T16:47:04"))
        #expect(EventTime.max + .seconds(1) == .max && EventTime.min - .seconds(1) == .min)
        #expect(EventTime(milliseconds: 0) + .seconds(Int64.max) == .max)
        #expect(EventTime(milliseconds: 0) - .seconds(Int64.max) == EventTime(milliseconds: -.max))
        #expect(EventTime(milliseconds: -5) + .milliseconds(3) == EventTime(milliseconds: -2))
    }
}
