// SPDX-License-Identifier: Apache-2.0
//  The proven memory layout of a record type.

import ThalwegBase

/// Where a record's fields lie. Only made by ``RecordType/learn(_:)``, and only after proof.
public struct RecordLayout: Sendable {
    /// An integer-like field of a record that has nothing else.
    public struct Word: Sendable, Hashable {
        public var offset: Int
        public var kind: ScalarKind
    }

    public let size: Int
    public let stride: Int
    public let alignment: Int
    /// The type of the whole record; mostly `.record`.
    public let root: FieldType
    /// The fields in the order of memory. A record that is a single value has one field without a name.
    public let fields: [FieldLayout]
    /// True if copying the bytes copies the record.
    public let isBitwiseCopyable: Bool
    /// The record's integers, nested ones included, if they fill all of its bytes: equal records have equal bytes.
    public let words: [Word]?
    /// The names and cells that a text parser fills for ``assemble(cells:into:using:)``.
    public var cellTree: CellTree { program.tree }

    let program: Program

    init(root: FieldType, size: Int, stride: Int, alignment: Int) {
        self.root = root
        self.size = size
        self.stride = stride
        self.alignment = alignment
        if case .record(let shape) = root {
            fields = shape.fields
        } else {
            fields = [FieldLayout(name: "", type: root, offset: 0)]
        }
        isBitwiseCopyable = root.isBitwiseCopyable
        var words: [Word] = []
        let isWords = Self.collectWords(root, offset: 0, into: &words)
        let covered = words.reduce(0) { $0 + $1.kind.size }
        self.words = isWords && covered == size && size > 0 ? words : nil
        program = ProgramBuilder.build(root)
    }

    /// True if there are only integer-like fields.
    private static func collectWords(_ type: FieldType, offset: Int, into words: inout [Word]) -> Bool {
        switch type {
        case .scalar(let kind) where kind.isIntegerLike:
            words.append(Word(offset: offset, kind: kind))
            return true
        case .record(let shape):
            return shape.fields.allSatisfy { collectWords($0.type, offset: offset + $0.offset, into: &words) }
        default: return false
        }
    }
}
