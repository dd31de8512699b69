// SPDX-License-Identifier: Apache-2.0
//  The fields a JSON parser looks for.

import CSimdjson
import ThalwegBase

/// A flattened tree of fields in pre-order: node 0 is the record itself.
struct JSONTree: Sendable {
    enum Kind: UInt32, Sendable {
        case scalar = 0
        case record = 1
        case array = 2
        case raw = 3
    }

    struct Node: Sendable {
        var name: String
        var parent: Int?
        var kind: Kind
        /// Where its cell lies in its frame: the record's cells, or one element's cells of an array.
        var cell: Int
        /// How many cells it takes in that frame, those of nested fields included.
        var width: Int
        var firstChild: Int?
        var nextSibling: Int?
    }

    private(set) var nodes: [Node] = []

    /// Adds a node behind the nodes there are; parents come before their children.
    mutating func add(_ name: String, kind: Kind, under parent: Int?, cell: Int, width: Int) {
        let index = nodes.count
        assert((parent == nil) == (index == 0))
        nodes.append(Node(name: name, parent: parent, kind: kind, cell: cell, width: width))
        guard let parent else { return }
        guard var last = nodes[parent].firstChild else {
            nodes[parent].firstChild = index
            return
        }
        while let next = nodes[last].nextSibling { last = next }
        nodes[last].nextSibling = index
    }

    /// How errors name a node, as in `bid.price` or `items[].name`.
    func path(of node: Int) -> String {
        var path = ""
        var at = node
        while let parent = nodes[at].parent {
            let isElement = nodes[parent].kind == .array
            let step = isElement ? "[]" : nodes[at].name
            path = path.isEmpty || path.hasPrefix("[") ? step + path : "\(step).\(path)"
            at = parent
        }
        return path
    }

    /// Calls `body` with the nodes in C form; the names are valid for the time of the call.
    func withCNodes<Result>(_ body: (UnsafeBufferPointer<thalweg_json_node>) -> Result) -> Result {
        let names = nodes.flatMap { Array($0.name.utf8) }
        return names.withUnsafeBufferPointer { names in
            var offset = 0
            let none = UInt32.max
            let forC = nodes.map { node in
                defer { offset += node.name.utf8.count }
                return thalweg_json_node(
                    name: names.baseAddress.map { $0 + offset }, name_length: UInt32(node.name.utf8.count),
                    first_child: node.firstChild.map { UInt32($0) } ?? none,
                    next_sibling: node.nextSibling.map { UInt32($0) } ?? none,
                    cell: UInt32(node.cell), width: UInt32(node.width), kind: node.kind.rawValue)
            }
            return forC.withUnsafeBufferPointer(body)
        }
    }
}
