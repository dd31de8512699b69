// SPDX-License-Identifier: Apache-2.0
//  What writers of text formats may know about a field in memory.

import ThalwegBase

/// How to see that an optional is nil, at offsets from the optional's own address.
package enum OptionalSign: Sendable {
    /// The byte there is not 0.
    case tag(Int)
    /// The byte at offset 0 equals this.
    case byte(UInt8)
    /// The 8 bytes there are 0.
    case zeroWord(Int)
    /// Ask ``OptionalLayout/isNil(at:)``.
    case witness
}

extension OptionalLayout {
    package var sign: OptionalSign {
        switch test {
        case .tag(let offset): .tag(offset)
        case .byte(let byte): .byte(byte)
        case .zeroWord(let offset): .zeroWord(offset)
        case .witness: .witness
        }
    }

    package func isNil(at pointer: UnsafeRawPointer) -> Bool { isNil(pointer) }
}

extension ArrayLayout {
    /// The first element and their number; valid while the array lives.
    package func elements(at pointer: UnsafeRawPointer) -> (first: UnsafeRawPointer, count: Int) { elements(pointer) }
}

extension RawValueTable {
    /// The raw values in the order of the cases' tags: whole numbers, or none when they are strings.
    package var rawIntegers: [Int64] { integers }
    /// The raw values in the order of the cases' tags: UTF-8, or none when they are numbers.
    package var rawStrings: [[UInt8]] { strings }
    package func caseIndex(at pointer: UnsafeRawPointer) -> Int { tag(at: pointer) }
}
