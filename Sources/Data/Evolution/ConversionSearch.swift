// SPDX-License-Identifier: Apache-2.0
//  Finds the way from a stored schema to a wanted one.

import ThalwegBase

/// Walks through both schemas, noting what changes and what cannot be done.
///
/// Nothing is guessed: values are never rounded or cut, and a field that has gone while one has come that could be it
/// has to be declared renamed or removed.
struct ConversionSearch {
    private let declared: DeclaredEvolution
    private(set) var steps: [SchemaStep] = []
    private(set) var obstacles: [SchemaObstacle] = []

    init(declared: DeclaredEvolution) { self.declared = declared }

    /// How values of one type become values of the other; nil, with obstacles, if they cannot.
    mutating func conversion(
        from stored: SchemaType, to wanted: SchemaType, at path: SchemaPath
    ) -> ConversionNode? {
        if stored == wanted { return .identity }
        let migrations = declared.rules[path]?.migrations ?? []
        if let exact = migrations.first(where: { $0.old.root == stored }) {
            note(.migrated, path, "by the function from \(exact.oldName)")
            return .typed(.identity, exact)
        }
        var attempt = self
        if let node = attempt.ruled(from: stored, to: wanted, at: path) {
            self = attempt
            return node
        }
        for migration in migrations {
            var earlier = ConversionSearch(declared: migration.declared)
            guard let node = earlier.conversion(from: stored, to: migration.old.root, at: []) else { continue }
            let prefix = path.text
            for step in earlier.steps {
                steps.append(
                    SchemaStep(kind: step.kind, path: step.path.isEmpty ? prefix : step.path, detail: step.detail))
            }
            note(.migrated, path, "by the function from \(migration.oldName)")
            return .typed(node, migration)
        }
        obstacles = attempt.obstacles
        return nil
    }

    private mutating func ruled(
        from stored: SchemaType, to wanted: SchemaType, at path: SchemaPath
    ) -> ConversionNode? {
        switch (stored, wanted) {
        case (.scalar(let old), .scalar(let new)): return number(old, new, path)
        case (.optional(let old), .optional(let new)):
            guard let node = conversion(from: old, to: new, at: path) else { return nil }
            return node.isIdentity
                ? node : .optional(node, wasNested: old.isOptional, isNested: new.isOptional)
        case (_, .optional(let new)):
            guard let node = conversion(from: stored, to: new, at: path) else { return nil }
            note(.optional, path, "\(stored) became optional")
            return .wrap(node, isNested: new.isOptional)
        case (.array(let old), .array(let new)):
            guard let node = conversion(from: old, to: new, at: path + [SchemaPath.element]) else { return nil }
            return node.isIdentity ? node : .array(node)
        case (.record(let old), .record(let new)): return record(old, new, path)
        case (.rawValue(let old, let oldCases), .rawValue(let new, let newCases)):
            return cases(old, oldCases, new, newCases, path)
        case (.rawValue(let old, _), .scalar(let new)) where old == new || Self.isWider(new, than: old):
            note(.rawValue, path, "the enum became its raw value, \(new)")
            return old == new ? .number(new).forText(new) : .number(new)
        default: return block(path, "was \(stored), is \(wanted)")
        }
    }

    // MARK: Numbers and enums

    private mutating func number(_ old: ScalarKind, _ new: ScalarKind, _ path: SchemaPath) -> ConversionNode? {
        guard Self.isWider(new, than: old) else {
            let isNumber = old.numberRank != nil && new.numberRank != nil
            return block(path, "was \(old.rawValue), is \(new.rawValue)" + (isNumber ? ", which holds less" : ""))
        }
        note(.widened, path, "\(old.rawValue) widened to \(new.rawValue)")
        return .number(new)
    }

    /// Whether every value of `old` is one of `new`.
    static func isWider(_ new: ScalarKind, than old: ScalarKind) -> Bool {
        switch (old, new) {
        case (.float, .double): return true
        case (_, .double), (_, .float):
            // The bits of a whole number that fit.
            guard old.integers != nil else { return false }
            return old.size <= (new == .double ? 4 : 2)
        case (_, .uint64):
            guard let range = old.integers else { return false }
            return range.lowerBound == 0
        default:
            guard let range = old.integers, let wider = new.integers else { return false }
            return wider.contains(range.lowerBound) && wider.contains(range.upperBound) && range != wider
        }
    }

    private mutating func cases(
        _ old: ScalarKind, _ oldCases: [String], _ new: ScalarKind, _ newCases: [String], _ path: SchemaPath
    ) -> ConversionNode? {
        guard old == new || Self.isWider(new, than: old) else {
            return block(path, "the raw values were \(old.rawValue), are \(new.rawValue)")
        }
        let gone = oldCases.filter { !newCases.contains($0) }
        if !gone.isEmpty && !newCases.isEmpty {
            obstacles.append(
                SchemaObstacle(
                    path: path.text, reason: "the enum no longer has the case \(gone.joined(separator: ", "))",
                    fix: "keep the case, or map it: declare migrated(from:) with the old enum"))
            return nil
        }
        if old != new { note(.widened, path, "the raw values \(old.rawValue) widened to \(new.rawValue)") }
        let added = oldCases.isEmpty ? [] : newCases.filter { !oldCases.contains($0) }
        if !added.isEmpty { note(.casesAdded, path, "the enum has the new case \(added.joined(separator: ", "))") }
        return old == new ? .identity : .number(new)
    }

    // MARK: Records

    private mutating func record(
        _ old: [RecordSchema.Field], _ new: [RecordSchema.Field], _ path: SchemaPath
    ) -> ConversionNode? {
        let rules = declared.rules[path] ?? EvolutionRules()
        let places = Dictionary(old.enumerated().map { ($0.element.name, $0.offset) }) { first, _ in first }
        var taken: [Int] = []
        var fields: [(name: String, origin: ConversionNode.Origin?)] = []
        var missing: [RecordSchema.Field] = []
        for field in new {
            let inner = path + [field.name]
            let renamedFrom = rules.oldNames[field.name]?.first { places[$0] != nil }
            guard let place = places[renamedFrom ?? field.name], !taken.contains(place) else {
                missing.append(field)
                fields.append((field.name, nil))
                continue
            }
            taken.append(place)
            if let renamedFrom { note(.renamed, inner, "was \(renamedFrom)") }
            let node = conversion(from: old[place].type, to: field, standIn: rules.defaults[field.name], at: inner)
            fields.append((field.name, node.map { .stored(place, $0) }))
        }
        let gone = old.indices.filter { !taken.contains($0) }.map { old[$0] }
        for field in missing {
            guard let value = added(field, gone, rules, path),
                let index = fields.firstIndex(where: { $0.name == field.name })
            else { continue }
            fields[index].origin = .constant(value)
        }
        for field in gone { note(.removed, path + [field.name], "removed: its stored values are left out") }
        if taken != taken.sorted() { note(.reordered, path, "the fields stand in another order") }
        var whole: [(name: String, origin: ConversionNode.Origin)] = []
        for field in fields {
            guard let origin = field.origin else { return nil }
            whole.append((field.name, origin))
        }
        return .record(whole).simplified(old.count)
    }

    /// How a stored field becomes one of the wanted record, where nil may have a stand-in.
    private mutating func conversion(
        from stored: SchemaType, to field: RecordSchema.Field, standIn: DynamicValue?, at path: SchemaPath
    ) -> ConversionNode? {
        guard case .optional(let old) = stored, !field.type.isOptional,
            declared.rules[path]?.migrations.contains(where: { $0.old.root == stored }) != true
        else { return conversion(from: stored, to: field.type, at: path) }
        guard let standIn else {
            obstacles.append(
                SchemaObstacle(
                    path: path.text, reason: "was \(stored), is \(field.type): nil has no value",
                    fix: "say what stands for nil: Evolution().defaulting(\\.\(field.name), to: …)"))
            return nil
        }
        guard let node = conversion(from: old, to: field.type, at: path) else { return nil }
        note(.required, path, "no longer optional, \(standIn.json) for nil")
        return .unwrap(node, wasNested: old.isOptional, standIn)
    }

    /// What stands in a field that stored records do not have; nil, with an obstacle, if nothing does.
    private mutating func added(
        _ field: RecordSchema.Field, _ gone: [RecordSchema.Field], _ rules: EvolutionRules, _ path: SchemaPath
    ) -> DynamicValue? {
        let inner = path + [field.name]
        let candidates = gone.filter { old in
            guard !rules.removed.contains(old.name) else { return false }
            var attempt = ConversionSearch(declared: DeclaredEvolution())
            return attempt.conversion(from: old.type, to: field.type, at: []) != nil
        }
        if let likely = candidates.first {
            obstacles.append(
                SchemaObstacle(
                    path: inner.text,
                    reason: "is new while \(likely.name) is gone: it may be the same under another name",
                    fix: "declare renamed(\"\(likely.name)\", to: \\.\(field.name)), or removed(\"\(likely.name)\")"))
            return nil
        }
        if let value = rules.defaults[field.name] {
            note(.added, inner, "added, \(value.json) for stored values")
            return value
        }
        if field.type.isOptional {
            note(.added, inner, "added, nil for stored values")
            return .null
        }
        obstacles.append(
            SchemaObstacle(
                path: inner.text, reason: "is new, and stored values have nothing for it",
                fix: "make it optional, or declare defaulting(\\.\(field.name), to: …)"))
        return nil
    }

    // MARK: Notes

    private mutating func note(_ kind: SchemaStep.Kind, _ path: SchemaPath, _ detail: String) {
        steps.append(SchemaStep(kind: kind, path: path.text, detail: detail))
    }

    private mutating func block(_ path: SchemaPath, _ reason: String) -> ConversionNode? {
        obstacles.append(
            SchemaObstacle(
                path: path.text, reason: reason,
                fix: "keep the type, or declare how values are converted: Evolution().migrated(from: …) { … }"))
        return nil
    }
}

extension SchemaType {
    var isOptional: Bool {
        if case .optional = self { true } else { false }
    }
}

extension ScalarKind {
    /// Of numbers: not nil.
    fileprivate var numberRank: Int? {
        switch self {
        case .bool, .string, .time: nil
        default: size
        }
    }
}

extension ConversionNode {
    /// A record whose fields all stay where they are is what it was.
    fileprivate func simplified(_ storedCount: Int) -> ConversionNode {
        guard case .record(let fields) = self, fields.count == storedCount else { return self }
        for (index, field) in fields.enumerated() {
            guard case .stored(index, .identity) = field.origin else { return self }
        }
        return .identity
    }

    /// Texts are no numbers: they stay.
    fileprivate func forText(_ kind: ScalarKind) -> ConversionNode { kind == .string ? .identity : self }
}
