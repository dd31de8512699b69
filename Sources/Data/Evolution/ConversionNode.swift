// SPDX-License-Identifier: Apache-2.0
//  A conversion between schemas as a tree that values walk through.

import ThalwegBase

/// What happens at one place of a value.
indirect enum ConversionNode: Sendable {
    /// Where a field of the new record comes from.
    enum Origin: Sendable {
        /// The place of the field in the stored record.
        case stored(Int, ConversionNode)
        case constant(DynamicValue)
    }

    case identity
    /// A number of another kind that holds it exactly.
    case number(ScalarKind)
    /// What was always there may be missing now; the flag: the new optional wraps another one.
    case wrap(ConversionNode, isNested: Bool)
    case optional(ConversionNode, wasNested: Bool, isNested: Bool)
    /// What could be missing is always there now; the value stands for nil.
    case unwrap(ConversionNode, wasNested: Bool, DynamicValue)
    case array(ConversionNode)
    case record([(name: String, origin: Origin)])
    case typed(ConversionNode, TypedMigration)

    /// Whether values are what they were, byte by byte.
    var isIdentity: Bool {
        if case .identity = self { true } else { false }
    }

    func convert(_ value: DynamicValue) throws(ThalwegError) -> DynamicValue {
        switch self {
        case .identity: return value
        case .number(let kind): return try Self.number(value, kind)
        case .wrap(let node, let isNested): return Self.wrap(try node.convert(value), isNested)
        case .optional(let node, let wasNested, let isNested):
            if case .null = value { return .null }
            return Self.wrap(try node.convert(Self.unwrap(value, wasNested)), isNested)
        case .unwrap(let node, let wasNested, let standIn):
            if case .null = value { return standIn }
            return try node.convert(Self.unwrap(value, wasNested))
        case .array(let node):
            guard case .array(let elements) = value else { throw Self.misfit(value) }
            var converted: [DynamicValue] = []
            converted.reserveCapacity(elements.count)
            for element in elements { converted.append(try node.convert(element)) }
            return .array(converted)
        case .record(let fields): return try Self.record(value, fields)
        case .typed(let node, let migration):
            let old = try node.convert(value)
            do { return try migration.convert(old) } catch {
                throw ThalwegError(
                    .job, "a migration of stored values fails", detail: "from \(migration.oldName): \(old.json)",
                    hint: "make the function that was given to migrated(from:) take every stored value", cause: error)
            }
        }
    }

    private static func record(
        _ value: DynamicValue, _ fields: [(name: String, origin: Origin)]
    ) throws(ThalwegError) -> DynamicValue {
        guard case .record(let stored) = value else { throw misfit(value) }
        var converted: [DynamicValue.Field] = []
        converted.reserveCapacity(fields.count)
        for (name, origin) in fields {
            switch origin {
            case .constant(let value): converted.append(DynamicValue.Field(name, value))
            case .stored(let index, let node):
                guard index < stored.count else { throw misfit(value) }
                converted.append(DynamicValue.Field(name, try node.convert(stored[index].value)))
            }
        }
        return .record(converted)
    }

    private static func wrap(_ value: DynamicValue, _ isNested: Bool) -> DynamicValue {
        isNested ? .some(value) : value
    }

    private static func unwrap(_ value: DynamicValue, _ wasNested: Bool) -> DynamicValue {
        if wasNested, case .some(let inner) = value { inner } else { value }
    }

    private static func number(_ value: DynamicValue, _ kind: ScalarKind) throws(ThalwegError) -> DynamicValue {
        switch (kind, value) {
        case (.double, .float(let number)): .double(Double(number))
        case (.double, .integer(let number)): .double(Double(number))
        case (.float, .integer(let number)): .float(Float(number))
        case (.uint64, .integer(let number)) where number >= 0: .unsigned(UInt64(number))
        case (.uint64, .unsigned): value
        case (_, .integer) where kind.integers != nil: value
        default: throw misfit(value)
        }
    }

    private static func misfit(_ value: DynamicValue) -> ThalwegError {
        ThalwegError(.corrupt, "a stored value is not of its schema", detail: value.json)
    }
}
