// SPDX-License-Identifier: Apache-2.0
//  Sizes and fractions as settings have them, in whole numbers: the same result everywhere.

import ThalwegBase

/// A number of bytes, read and written as `64m`, `256MiB`, `1 gb`. Units are powers of 1,024.
public struct MemorySize: Sendable, Hashable, Comparable, Codable, CustomStringConvertible {
    /// The greatest size that is understood: 1 PiB, so that no sum of parts overflows.
    public static let bytesMax = 1 << 50

    public var bytes: Int

    public init(bytes: Int) { self.bytes = bytes }

    /// Reads a whole number with a unit (`b`, `k`, `m`, `g`, `t`, also `kb`, `KiB`, `mebibytes`); without one, bytes.
    /// Nil when it is anything else, negative, or above ``bytesMax``.
    public init?(text: String) {
        let digits = text.prefix { $0.isASCII && $0.isNumber }
        let unit = text.dropFirst(digits.count).drop { $0 == " " }.lowercased()
        guard let count = Int(digits), let shift = Self.units.first(where: { $0.names.contains(unit) })?.shift else {
            return nil
        }
        let (bytes, overflows) = count.multipliedReportingOverflow(by: 1 << shift)
        guard !overflows, bytes <= Self.bytesMax else { return nil }
        self.bytes = bytes
    }

    private static let units: [(names: Set<String>, shift: Int)] = [
        (["", "b", "bytes"], 0), (["k", "kb", "kib", "kibibytes"], 10), (["m", "mb", "mib", "mebibytes"], 20),
        (["g", "gb", "gib", "gibibytes"], 30), (["t", "tb", "tib", "tebibytes"], 40),
    ]

    public static func < (left: MemorySize, right: MemorySize) -> Bool { left.bytes < right.bytes }

    /// For people: mebibytes with at most two decimals; below 1 MiB in bytes.
    public var description: String {
        let size = bytes.magnitude
        if size < 1 << 20 && size != 0 { return "\(bytes) B" }
        let hundredths = (size * 100 + 1 << 19) >> 20
        var text = (bytes < 0 ? "-" : "") + "\(hundredths / 100)"
        let decimals = hundredths % 100
        if decimals > 0 { text += "." + (decimals < 10 ? "0" : "") + "\(decimals)" }
        if text.contains("."), text.last == "0" { text.removeLast() }
        return text + " MiB"
    }

    /// The shortest text that reads back as the same size.
    public var text: String {
        for (unit, shift) in [("t", 40), ("g", 30), ("m", 20), ("k", 10)]
        where bytes != 0 && bytes & (1 << shift - 1) == 0 { return "\(bytes >> shift)\(unit)" }
        return "\(bytes)b"
    }
}

/// A share of a size, from 0 up to but not including 1, in billionths: sums stay exact.
public struct MemoryFraction: Sendable, Hashable, Comparable, CustomStringConvertible {
    private static let one = 1_000_000_000

    private let billionths: Int

    /// Reads a decimal number such as `0.4`; further decimals than nine are cut off. Nil when it is none, or not in 0
    /// up to but not including 1.
    public init?(text: String) {
        let parts = text.split(separator: ".", maxSplits: 1, omittingEmptySubsequences: false)
        guard !text.isEmpty, parts.allSatisfy({ $0.allSatisfy { $0.isASCII && $0.isNumber } }) else { return nil }
        guard parts[0].allSatisfy({ $0 == "0" }), parts[0].count + (parts.count > 1 ? parts[1].count : 0) > 0 else {
            return nil
        }
        var decimals = parts.count > 1 ? String(parts[1].prefix(9)) : ""
        decimals += String(repeating: "0", count: 9 - decimals.count)
        billionths = Int(decimals) ?? 0
    }

    /// - Precondition: from 0 up to 999.
    public init(thousandths: Int) {
        precondition((0..<1000).contains(thousandths), "a fraction is at least 0 and below 1")
        billionths = thousandths * 1_000_000
    }

    public static func < (left: MemoryFraction, right: MemoryFraction) -> Bool { left.billionths < right.billionths }

    /// The share of a whole, rounded down.
    func share(of whole: Int) -> Int { Self.scale(whole, by: billionths, over: Self.one) }

    /// The share of a whole of which the rest is known, rounded down.
    func share(besides rest: Int) -> Int { Self.scale(rest, by: billionths, over: Self.one - billionths) }

    private static func scale(_ size: Int, by factor: Int, over divisor: Int) -> Int {
        let product = max(size, 0).multipliedFullWidth(by: factor)
        // Beyond any size there is: the ranges that shares are kept in have their limits below.
        if product.high >= divisor { return MemorySize.bytesMax }
        return min(divisor.dividingFullWidth(product).quotient, MemorySize.bytesMax)
    }

    public var description: String {
        var text = String(billionths + Self.one).dropFirst()
        while text.last == "0" { text = text.dropLast() }
        return text.isEmpty ? "0" : "0." + text
    }
}
