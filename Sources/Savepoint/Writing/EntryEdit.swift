// SPDX-License-Identifier: Apache-2.0
//  A change of all entries of a state, as texts.

import ThalwegBase
import ThalwegData
import ThalwegStorage

/// What becomes of the entries of a state (FLIP-43 d6): new values by expressions, and entries that go.
///
///     var edit = EntryEdit()
///     edit.assignments = ["price = string(price)", "note = 'from ' + string(key)"]
///     edit.deletion = "price < 0"
///     try writer.transform("offers", in: "auctions", edit)
///
/// All expressions see the entry as it was. The type of the new values follows from the expressions; a job that
/// declares the state with that type starts from the result. See ``StateExpression`` for what can be written.
public struct EntryEdit: Sendable, Hashable {
    /// `FIELD = EXPRESSION` gives a field of the value another value, or appends a field; an expression alone takes the
    /// place of the whole value.
    public var assignments: [String] = []
    /// Fields of the value that go, such as `note` or `address.city`.
    public var dropped: [String] = []
    /// Only entries for which this holds get new values. Then the type of the values cannot change.
    public var condition: String?
    /// Entries for which this holds go; of a list, elements.
    public var deletion: String?

    public init() {}

    public var isEmpty: Bool { assignments.isEmpty && dropped.isEmpty && deletion == nil }
}

/// Where the parts of a new value come from.
private indirect enum ValueShape: Sendable {
    /// A part of the old one: its type, and the places of the fields on the way to it.
    case old(SchemaType, [Int])
    case computed(StateExpression)
    case record([(name: String, shape: ValueShape)])

    var type: SchemaType {
        switch self {
        case .old(let type, _): type
        case .computed(let expression): expression.type
        case .record(let fields): .record(fields.map { RecordSchema.Field(name: $0.name, type: $0.shape.type) })
        }
    }

    /// - Parameter row: the values of the expressions' names; the last one is the old value.
    func value(_ row: [DynamicValue], _ old: DynamicValue) throws -> DynamicValue {
        switch self {
        case .old(_, let path):
            var value = old
            for place in path {
                guard case .record(let fields) = value, fields.indices.contains(place) else {
                    throw ThalwegError(.corrupt, "a value is not one of its schema", detail: value.json)
                }
                value = fields[place].value
            }
            return value
        case .computed(let expression): return try expression.value(of: row)
        case .record(let fields):
            return .record(try fields.map { DynamicValue.Field($0.name, try $0.shape.value(row, old)) })
        }
    }

    /// A record by its fields; nil when it is none.
    var fields: [(name: String, shape: ValueShape)]? {
        switch self {
        case .record(let fields): fields
        case .old(.record(let fields), let path):
            fields.enumerated().map { ($0.element.name, .old($0.element.type, path + [$0.offset])) }
        default: nil
        }
    }

    /// The part at a path; nil when there is none.
    func part(at path: ArraySlice<String>) -> ValueShape? {
        guard let name = path.first else { return self }
        return fields?.first { $0.name == name }?.shape.part(at: path.dropFirst())
    }

    /// Puts another part at a path, at the end when there is none; nil takes it away.
    mutating func replace(at path: ArraySlice<String>, with part: ValueShape?) -> Bool {
        guard let name = path.first else {
            guard let part else { return false }
            self = part
            return true
        }
        guard var fields else { return false }
        if let index = fields.firstIndex(where: { $0.name == name }) {
            if let part {
                guard fields[index].shape.replace(at: path.dropFirst(), with: part) else { return false }
            } else if path.count == 1 {
                fields.remove(at: index)
            } else {
                guard fields[index].shape.replace(at: path.dropFirst(), with: nil) else { return false }
            }
        } else {
            guard path.count == 1, let part else { return false }
            fields.append((name, part))
        }
        self = .record(fields)
        return true
    }
}

extension EntryEdit {
    /// Checks the expressions against the schema of a state.
    ///
    /// - Throws: kind `input`, with the expression and the place in it.
    func rewrite(_ layout: EntryLayout) throws -> EntryRewrite {
        let names = layout.expressionNames
        let deletion = try deletion.map { try StateExpression($0, over: names, as: .scalar(.bool)) }
        let condition = try condition.map { try StateExpression($0, over: names, as: .scalar(.bool)) }
        guard let old = layout.value else {
            guard assignments.isEmpty, dropped.isEmpty else {
                throw ThalwegError(.input, "timers have no value", hint: "they can only be deleted")
            }
            return EntryRewrite(descriptor: layout.descriptor, needsPlace: true) { place, _, _ in
                try deletion?.value(of: place) != .bool(true)
            }
        }
        let shape = try shape(old.schema.root, names, isConditional: condition != nil)
        let schema = RecordSchema(root: shape.type)
        guard condition == nil || schema == old.schema else {
            throw ThalwegError(
                .input, "only some entries would get another type",
                detail: "\(old.schema) would be \(schema) where \(self.condition ?? "") holds",
                hint: "leave the condition out, and decide in the expression: if … then … else …")
        }
        var descriptor = layout.descriptor
        descriptor.value = schema
        let new = DynamicCodec(schema)
        return EntryRewrite(descriptor: descriptor, needsPlace: true) { place, reader, writer in
            let value = try old.decode(&reader)
            let row = place + [value]
            if let deletion, try deletion.value(of: row) == .bool(true) { return false }
            let isChanged = try condition.map { try $0.value(of: row) == .bool(true) } ?? true
            try new.encode(isChanged ? try shape.value(row, value) : value, into: &writer)
            return true
        }
    }

    private func shape(
        _ type: SchemaType, _ names: [RecordSchema.Field], isConditional: Bool
    ) throws -> ValueShape {
        var shape = ValueShape.old(type, [])
        for text in assignments {
            let (path, part) = try assignment(text, of: type, names, isConditional: isConditional)
            guard shape.replace(at: path[...], with: .computed(part)) else {
                throw Self.noField(path, text, type)
            }
        }
        for text in dropped {
            var path = text.split(separator: ".").map(String.init)
            if path.first == "value" { path.removeFirst() }
            guard !path.isEmpty, shape.replace(at: path[...], with: nil) else { throw Self.noField(path, text, type) }
        }
        if case .record(let fields) = shape, fields.isEmpty {
            throw ThalwegError(.input, "no field of the value would be left", hint: "delete the entries instead")
        }
        return shape
    }

    private func assignment(
        _ text: String, of type: SchemaType, _ names: [RecordSchema.Field], isConditional: Bool
    ) throws(ThalwegError) -> (path: [String], part: StateExpression) {
        do throws(ExpressionFault) {
            var path: [String] = []
            let syntax: ExpressionSyntax
            if let assigned = try ExpressionParser.parseAssignment(text) {
                (path, syntax) = (assigned.path.map(\.name), assigned.value)
                if path.first == "value" {
                    path.removeFirst()
                } else if let first = path.first, names.dropLast().contains(where: { $0.name == first }) {
                    throw ExpressionFault(
                        position: 0, reason: "'\(first)' says where an entry stands; only its value can change")
                }
            } else {
                syntax = try ExpressionParser.parse(text)
            }
            let before = ValueShape.old(type, []).part(at: path[...])?.type
            // A number or null in the text takes the type of the field; so does all when some entries stay as they are.
            let hinted = try ExpressionChecker(names).node(syntax, hint: before)
            let takesType = isConditional || hinted.type == nil || hinted.digits != nil
            return (path, try StateExpression(text, syntax, names, hint: before, takesType ? before : nil))
        } catch {
            throw StateExpression.refusal(text, error)
        }
    }

    private static func noField(_ path: [String], _ text: String, _ type: SchemaType) -> ThalwegError {
        ThalwegError(
            .input, "the value has no such field", detail: "\(path.joined(separator: ".")) in \(text.debugDescription)",
            hint: "the value is \(type); a part of an optional record is set by setting the record")
    }
}
