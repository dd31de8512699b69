// SPDX-License-Identifier: Apache-2.0
//  The schema of a record as data.

import ThalwegBase

/// What a record is made of: names, types and optionality, without any Swift type.
///
/// Two types with equal schemas have equal encodings. Fields stand in the order of their declaration.
public struct RecordSchema: Codable, Hashable, Sendable {
    /// One field of a record.
    public struct Field: Codable, Hashable, Sendable {
        public var name: String
        public var type: SchemaType

        public init(name: String, type: SchemaType) {
            self.name = name
            self.type = type
        }
    }

    /// The type of the whole record: mostly `.record`, but any value can be a record.
    public var root: SchemaType

    public init(root: SchemaType) { self.root = root }

    /// The fields, when the record has named fields.
    public var fields: [Field] {
        if case .record(let fields) = root { fields } else { [] }
    }

    /// A hash of the schema that is the same on every machine and in every release: it versions stored bytes.
    public var fingerprint: UInt64 {
        var text = Array("thalweg-schema-1 ".utf8)
        text.append(contentsOf: root.description.utf8)
        return text.withUnsafeBytes { StableHash.bytes($0) }
    }
}

/// The type of a field in a schema.
public indirect enum SchemaType: Codable, Hashable, Sendable {
    case scalar(ScalarKind)
    case optional(SchemaType)
    case array(SchemaType)
    case record([RecordSchema.Field])
    /// An enum stored as its raw value, with the raw values of its cases, sorted; none when they are not known.
    case rawValue(ScalarKind, cases: [String] = [])
    /// A value that only its own `Codable` conformance understands, with the name of its Swift type.
    case codable(String)
}

extension SchemaType: CustomStringConvertible {
    /// `{auction: int64, tags: [string], note: string?}`
    public var description: String {
        switch self {
        case .scalar(let kind): kind.rawValue
        case .optional(let wrapped): "\(wrapped)?"
        case .array(let element): "[\(element)]"
        case .record(let fields):
            "{" + fields.map { "\(SchemaType.quoted($0.name)): \($0.type)" }.joined(separator: ", ") + "}"
        case .rawValue(let kind, let cases):
            "enum(\(kind.rawValue)"
                + (cases.isEmpty ? "" : ": " + cases.map(SchemaType.quoted).joined(separator: ", ")) + ")"
        case .codable(let name): "codable(\(SchemaType.quoted(name)))"
        }
    }

    /// The name as it stands if it is a plain identifier, else in quotes: descriptions of different schemas differ.
    private static func quoted(_ name: String) -> String {
        let isPlain =
            !name.isEmpty
            && name.utf8.allSatisfy { byte in
                switch byte {
                case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                    UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "_"):
                    true
                default: false
                }
            }
        return isPlain ? name : name.debugDescription
    }
}

extension RecordSchema: CustomStringConvertible {
    public var description: String { root.description }
}
