// SPDX-License-Identifier: Apache-2.0
//  What a type says of its earlier forms, in which its values may be stored.

import ThalwegBase

/// A type whose stored values may be of an earlier form (D11): says what the engine cannot know from names and types.
///
///     extension Order: EvolvingRecord {
///         static var evolution: Evolution<Order> {
///             Evolution().renamed("customer", to: \.buyer).defaulting(\.currency, to: "EUR").removed("channel")
///         }
///     }
///
/// Nothing has to be declared for fields in another order, new optional fields, wider numbers, fields that have become
/// optional and new cases of enums. It holds wherever the type is stored: in state of all kinds, nested in other
/// records, in splits. A record that goes through plain `Codable` can declare only typed migrations.
public protocol EvolvingRecord: Codable, Sendable, SendableMetatype {
    static var evolution: Evolution<Self> { get }
}

/// Where a type stands in a record: names of fields, and ``SchemaPath/element`` for what an array holds.
typealias SchemaPath = [String]

extension SchemaPath {
    static let element = "[]"

    /// As in `orders[].price`; empty for the value itself.
    var text: String {
        reduce(into: "") { text, part in
            text += part == Self.element || text.isEmpty ? part : "." + part
        }
    }
}

/// What is declared for one type. A value that is built up, one call for each change.
public struct Evolution<Record: Codable & Sendable>: Sendable {
    var rules = EvolutionRules()
    /// The first declaration that cannot be.
    var failure: ThalwegError?

    public init() {}

    /// A field that had another name, or several over time.
    ///
    /// - Parameter old: the name as stored, after `CodingKeys`.
    public func renamed<Value: Codable & Sendable>(_ old: String, to field: KeyPath<Record, Value>) -> Evolution {
        changed { rules throws(ThalwegError) in
            rules.oldNames[try Self.name(of: field), default: []].append(old)
        }
    }

    /// What stands in a field where stored values do not have it: it is new, or it was optional and is nil.
    public func defaulting<Value: Codable & Sendable>(
        _ field: KeyPath<Record, Value>, to value: Value
    ) -> Evolution {
        changed { rules throws(ThalwegError) in
            let type = try RecordType<Value>.learn()
            let bytes = try RecordCodec(type).encode(value)
            let result = bytes.withUnsafeBytes { bytes in
                Result { () throws(ThalwegError) in try DynamicCodec(type.schema).decode(bytes) }
            }
            rules.defaults[try Self.name(of: field)] = try result.get()
        }
    }

    /// A field that is no more, and whose stored values may be lost. Only to be said where a new field could be it
    /// under another name.
    public func removed(_ old: String) -> Evolution {
        changed { rules throws(ThalwegError) in
            rules.removed.insert(old)
        }
    }

    /// How values of an earlier type become values of this one. Keep the old type beside the new one.
    ///
    ///     Evolution().migrated(from: OldOrder.self) { Order(id: String($0.id)) }
    ///
    /// Taken before any other rule when the stored schema is that of `Old`; also when it is an earlier form of `Old`
    /// that rules turn into it. A function that throws makes the restore fail.
    public func migrated<Old: Codable & Sendable>(
        from _: Old.Type, _ transform: @escaping @Sendable (Old) throws -> Record
    ) -> Evolution {
        changed { rules throws(ThalwegError) in
            rules.migrations.append(try TypedMigration(from: Old.self, transform))
        }
    }

    private func changed(_ body: (inout EvolutionRules) throws(ThalwegError) -> Void) -> Evolution {
        var evolution = self
        do throws(ThalwegError) { try body(&evolution.rules) } catch { evolution.failure = failure ?? error }
        return evolution
    }

    /// The stored name of a field.
    private static func name<Value: Codable & Sendable>(
        of field: KeyPath<Record, Value>
    ) throws(ThalwegError) -> String {
        func refusal(_ reason: String) -> ThalwegError {
            ThalwegError(
                .job, "an evolution names a field that cannot be found", detail: "\(Record.self): \(reason)",
                hint: "name a stored property of the type itself, or declare migrated(from:) with the old type")
        }
        guard case .record(let shape)? = try RecordType<Record>.learn().layout?.root else {
            throw refusal("its fields are not known, as it goes through plain Codable")
        }
        guard let offset = MemoryLayout<Record>.offset(of: field) else {
            throw refusal("a property that is not stored")
        }
        let schema = try RecordType<Value>.learn().schema.root
        let found = shape.fields.filter { $0.offset == offset && $0.type.schema == schema }
        guard found.count == 1 else { throw refusal("no field of type \(Value.self) lies there") }
        return found[0].name
    }
}

/// What is declared for one type, without the type.
struct EvolutionRules: Sendable {
    /// Earlier names by new ones.
    var oldNames: [String: [String]] = [:]
    var defaults: [String: DynamicValue] = [:]
    var removed: Set<String> = []
    var migrations: [TypedMigration] = []
}

/// From values of an old type to values of a new one, both seen through their schemas.
struct TypedMigration: Sendable {
    let old: RecordSchema
    let oldName: String
    let declared: DeclaredEvolution
    let convert: @Sendable (DynamicValue) throws -> DynamicValue

    init<Old: Codable & Sendable, New: Codable & Sendable>(
        from _: Old.Type, _ transform: @escaping @Sendable (Old) throws -> New
    ) throws(ThalwegError) {
        let (oldType, newType) = (try RecordType<Old>.learn(), try RecordType<New>.learn())
        let (oldCodec, newCodec) = (RecordCodec(oldType), RecordCodec(newType))
        let (oldValues, newValues) = (DynamicCodec(oldType.schema), DynamicCodec(newType.schema))
        old = oldType.schema
        oldName = "\(Old.self)"
        // The new type's own declaration is being made just now.
        declared = Old.self == New.self ? DeclaredEvolution() : try oldType.evolution
        convert = { value in
            let old = try oldValues.encode(value).withUnsafeBytes { try oldCodec.decode($0) }
            return try newCodec.encode(try transform(old)).withUnsafeBytes { try newValues.decode($0) }
        }
    }
}

/// All that is declared for a type and the types in it.
public struct DeclaredEvolution: Sendable {
    var rules: [SchemaPath: EvolutionRules] = [:]

    /// Nothing.
    public init() {}

    /// Whether nothing is declared.
    public var isEmpty: Bool { rules.isEmpty }

    /// With what is declared where a value is stored, for the value itself: it takes the place of what its type says.
    ///
    /// - Throws: kind `job` when the declaration cannot be.
    public func replacingRoot<Record>(with evolution: Evolution<Record>) throws(ThalwegError) -> DeclaredEvolution {
        if let failure = evolution.failure { throw failure }
        var declared = self
        declared.rules[[]] = evolution.rules
        return declared
    }
}

extension RecordType {
    /// What the type and those in it say of their earlier forms.
    ///
    /// - Throws: kind `job` when a declaration cannot be, as when it names no field.
    public var evolution: DeclaredEvolution {
        get throws(ThalwegError) {
            func rules<Evolving: EvolvingRecord>(_: Evolving.Type) throws(ThalwegError) -> EvolutionRules {
                let evolution = Evolving.evolution
                if let failure = evolution.failure { throw failure }
                return evolution.rules
            }
            var declared = DeclaredEvolution()
            for (path, type) in evolving { declared.rules[path] = try rules(type) }
            return declared
        }
    }
}

extension FieldType {
    /// The types in it that say something of their earlier forms.
    func evolvingTypes(under path: SchemaPath) -> [SchemaPath: any EvolvingRecord.Type] {
        func own(_ type: (any EvolvingRecord.Type)?) -> [SchemaPath: any EvolvingRecord.Type] {
            type.map { [path: $0] } ?? [:]
        }
        switch self {
        case .scalar: return [:]
        case .optional(let optional): return optional.wrapped.evolvingTypes(under: path)
        case .array(let array): return array.element.evolvingTypes(under: path + [SchemaPath.element])
        case .record(let shape):
            return shape.fields.reduce(into: own(shape.evolving)) { all, field in
                all.merge(field.type.evolvingTypes(under: path + [field.name])) { first, _ in first }
            }
        case .rawValue(let table): return own(table.evolving)
        case .codable(let witness): return own(witness.evolving)
        }
    }
}
