// SPDX-License-Identifier: Apache-2.0
//  What a text format hands over for one field: the contract between parsers and learned records.

/// One parsed field value, 16 bytes, pointing into the parser's buffers (valid until the next line is parsed).
///
/// A parser fills one cell per node of a `CellTree`; a learned record type turns the cells of a record into memory.
@frozen
public struct Cell {
    /// What `bits` and `length` mean.
    @frozen
    public enum Kind: UInt8, Sendable {
        /// The field is absent.
        case missing
        /// The field is there and null.
        case null
        /// `bits` is 0 or 1.
        case bool
        /// `bits` is an Int64.
        case int
        /// `bits` is a UInt64 beyond Int64.max.
        case unsigned
        /// `bits` is the bit pattern of a Double.
        case double
        /// `bits` is the address of `length` bytes of UTF-8, unescaped and valid: a value that is text.
        case string
        /// `bits` is the address of `length` bytes as in a CSV field: to be read as whatever the field's type is.
        case text
        /// A nested record is present; its fields follow in the cells of its subtree.
        case record
        /// `bits` is the address of a block of cells, `length` elements, each as wide as the element's subtree.
        case array
        /// `bits` is the address of `length` bytes of raw JSON: for fields that only plain `Codable` can decode.
        case raw
    }

    public var bits: UInt64
    public var length: UInt32
    public var kind: Kind

    @inlinable
    public init(_ kind: Kind, bits: UInt64 = 0, length: UInt32 = 0) {
        self.kind = kind
        self.bits = bits
        self.length = length
    }
}
