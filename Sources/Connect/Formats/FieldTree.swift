// SPDX-License-Identifier: Apache-2.0
//  The tree of fields as parsers and error texts see it.

import CSimdjson
import ThalwegBase
import ThalwegData

extension CellTree {
    /// How errors name a node, as in `bid.price` or `items[].name`; empty for the record itself.
    func fieldPath(to node: Int) -> String {
        var path = ""
        var at = node
        while at > 0 {
            let parent = Int(nodes[at].parent)
            let step = nodes[parent].kind == .array ? "[]" : name(of: at)
            path = path.isEmpty || path.hasPrefix("[") ? step + path : "\(step).\(path)"
            at = parent
        }
        return path
    }

    /// Calls `body` with the nodes in C form, valid for the time of the call.
    func withCNodes<Result>(_ body: (UnsafeBufferPointer<thalweg_json_node>) -> Result) -> Result {
        names.withUnsafeBufferPointer { names in
            let forC = nodes.map { node in
                let kind: Int =
                    switch node.kind {
                    case .record: THALWEG_NODE_RECORD
                    case .array: THALWEG_NODE_ARRAY
                    case .raw: THALWEG_NODE_RAW
                    case .bool, .integer, .number, .string, .time: THALWEG_NODE_SCALAR
                    }
                // "none" is -1 here and all ones there.
                return thalweg_json_node(
                    name: names.baseAddress.map { $0 + Int(node.nameOffset) }, name_length: node.nameLength,
                    first_child: UInt32(bitPattern: node.firstChild),
                    next_sibling: UInt32(bitPattern: node.nextSibling), cell: UInt32(bitPattern: node.cell),
                    width: UInt32(bitPattern: node.width), kind: UInt32(kind))
            }
            return forC.withUnsafeBufferPointer(body)
        }
    }
}
