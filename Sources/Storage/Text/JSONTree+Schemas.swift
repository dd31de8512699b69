// SPDX-License-Identifier: Apache-2.0
//  States and schemas as JSON, as docs/segment-format.md describes them.

import ThalwegBase
import ThalwegData

extension StateDescriptor {
    var tree: JSONTree {
        var members: [String: JSONTree] = [
            "operator": .string(operatorName), "name": .string(name), "kind": .string(kind.rawValue),
        ]
        if let key { members["key"] = key.root.tree }
        if let userKey { members["userKey"] = userKey.root.tree }
        if let value { members["value"] = value.root.tree }
        if !properties.isEmpty { members["properties"] = .strings(properties) }
        return .object(members)
    }

    init(_ tree: JSONTree) throws {
        let text = try tree.string("kind")
        guard let kind = StateKind(rawValue: text) else {
            throw JSONTree.Mismatch(reason: "a state of unknown kind '\(text)'")
        }
        func schema(_ name: String) throws -> RecordSchema? {
            tree[name] == .null ? nil : RecordSchema(root: try SchemaType(tree[name]))
        }
        self.init(
            operatorName: try tree.string("operator"), name: try tree.string("name"), kind: kind,
            key: try schema("key"), userKey: try schema("userKey"), value: try schema("value"),
            properties: tree["properties"] == .null ? [:] : try tree.texts("properties"))
    }
}

extension SchemaType {
    var tree: JSONTree {
        switch self {
        case .scalar(let kind): .string(kind.rawValue)
        case .optional(let wrapped): .object(["optional": wrapped.tree])
        case .array(let element): .object(["array": element.tree])
        case .record(let fields):
            .object([
                "record": .array(fields.map { .object(["name": .string($0.name), "type": $0.type.tree]) })
            ])
        case .rawValue(let kind, let cases):
            .object(
                ["rawValue": .string(kind.rawValue)].merging(cases.isEmpty ? [:] : ["cases": .strings(cases)]) { $1 })
        case .codable(let name): .object(["codable": .string(name)])
        }
    }

    init(_ tree: JSONTree) throws {
        func scalar(_ name: String) throws -> ScalarKind {
            guard let kind = ScalarKind(rawValue: name) else {
                throw JSONTree.Mismatch(reason: "a schema with the unknown type '\(name)'")
            }
            return kind
        }
        switch tree {
        case .string(let name): self = .scalar(try scalar(name))
        case .object(let members) where members.count == 2 && members["rawValue"] != nil:
            self = .rawValue(try scalar(try tree.string("rawValue")), cases: try tree.strings("cases"))
        case .object(let members) where members.count == 1:
            if let wrapped = members["optional"] {
                self = .optional(try SchemaType(wrapped))
            } else if let element = members["array"] {
                self = .array(try SchemaType(element))
            } else if members["record"] != nil {
                self = .record(
                    try tree.array("record").map {
                        RecordSchema.Field(name: try $0.string("name"), type: try SchemaType($0["type"]))
                    })
            } else if members["rawValue"] != nil {
                self = .rawValue(try scalar(try tree.string("rawValue")))
            } else {
                self = .codable(try tree.string("codable"))
            }
        default: throw JSONTree.Mismatch(reason: "a schema of unknown shape")
        }
    }
}
