// SPDX-License-Identifier: Apache-2.0
//  The tree of names that a text parser follows to fill the cells of a record.

/// Which cell belongs to which name: plain data, so that a parser in C can be given it.
///
/// A record's cells lie in one block, one cell per node in pre-order: a record's cell, then its children's. The cell of
/// an array points to a block of its own, with one stretch of cells per element, as wide as the element's subtree. A
/// parser starts with all cells `.missing`.
public struct CellTree: Sendable {
    /// What a parser finds at a node.
    @frozen
    public enum Kind: UInt8, Sendable {
        case bool, integer, number, string, time, record, array
        /// Only plain `Codable` reads it: hand over the raw text.
        case raw
    }

    /// One node. Indices are places in ``CellTree/nodes``, -1 for none.
    @frozen
    public struct Node: Sendable, BitwiseCopyable {
        /// Where the name stands in ``CellTree/names``.
        public var nameOffset: UInt32
        public var nameLength: UInt32
        public var parent: Int32
        /// The first field of a record, or the element of an array.
        public var firstChild: Int32
        public var nextSibling: Int32
        /// The place in the block of cells.
        public var cell: Int32
        /// The cells of the node and its subtree in this block. An array's element counts in its own block.
        public var width: Int32
        public var kind: Kind
        /// True if nil is allowed.
        public var isOptional: Bool
    }

    /// The nodes in pre-order; the first is the record itself.
    public internal(set) var nodes: [Node] = []
    /// The UTF-8 of all names.
    public internal(set) var names: [UInt8] = []

    /// The cells that one record takes.
    public var width: Int { Int(nodes[0].width) }

    public func name(of node: Int) -> String {
        let start = Int(nodes[node].nameOffset)
        return String(decoding: names[start..<start + Int(nodes[node].nameLength)], as: UTF8.self)
    }

    /// The names from the record (or the nearest array's element) down to `node`, with dots between.
    func path(to node: Int) -> String {
        var parts: [String] = []
        var place = node
        while place > 0, nodes[Int(nodes[place].parent)].kind != .array {
            parts.append(name(of: place))
            place = Int(nodes[place].parent)
        }
        return parts.reversed().joined(separator: ".")
    }

    mutating func add(_ name: String, parent: Int, cell: Int, kind: Kind, isOptional: Bool) -> Int {
        let index = nodes.count
        nodes.append(
            Node(
                nameOffset: UInt32(names.count), nameLength: UInt32(name.utf8.count), parent: Int32(parent),
                firstChild: -1, nextSibling: -1, cell: Int32(cell), width: 1, kind: kind, isOptional: isOptional))
        names.append(contentsOf: name.utf8)
        guard parent >= 0 else { return index }
        if nodes[parent].firstChild < 0 {
            nodes[parent].firstChild = Int32(index)
        } else {
            var sibling = Int(nodes[parent].firstChild)
            while nodes[sibling].nextSibling >= 0 { sibling = Int(nodes[sibling].nextSibling) }
            nodes[sibling].nextSibling = Int32(index)
        }
        return index
    }
}
