// SPDX-License-Identifier: Apache-2.0
//  An input, taken piece by piece.

/// What libFuzzer gives, from its beginning: choices first, contents behind them. Beyond the end there are zeros.
struct FuzzInput {
    private(set) var rest: ArraySlice<UInt8>

    init(_ bytes: [UInt8]) { rest = bytes[...] }

    var isEmpty: Bool { rest.isEmpty }

    mutating func byte() -> UInt8 { rest.popFirst() ?? 0 }

    mutating func choice(of count: Int) -> Int { Int(byte()) % count }

    mutating func number16() -> Int { Int(byte()) | Int(byte()) << 8 }

    /// The next bytes, or as many as there are.
    mutating func take(_ count: Int) -> [UInt8] {
        defer { rest = rest.dropFirst(count) }
        return Array(rest.prefix(count))
    }

    mutating func takeAll() -> [UInt8] { take(rest.count) }

    mutating func text(_ count: Int) -> String { String(decoding: take(count), as: UTF8.self) }
}
