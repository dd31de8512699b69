// SPDX-License-Identifier: Apache-2.0
//  Edits of the type of what is stored.

import Thalweg

private enum Before {
    struct Sum: Codable, Sendable { var count: Int32, total: Int64 }
    struct Named: Codable, Sendable { var count: Int64, last: String }
    struct Wide: Codable, Sendable { var id: Int64, note: String?, ratio: Float, tags: [Int32] }
    struct Nested: Codable, Sendable { var sum: Sum, parts: [Sum] }
    enum Side: String, Codable, Sendable { case even, odd }
    struct Sided: Codable, Sendable { var side: Side, count: Int64 }
    enum Level: Int32, Codable, Sendable { case low = 1, high = 2 }

    static let sum = Fold<Sum> { old, number in
        Sum(count: (old?.count ?? 0) + 1, total: (old?.total ?? 0) + number)
    }
    static let named = Fold<Named> { old, number in Named(count: (old?.count ?? 0) + 1, last: "n\(number)") }
    static let wide = Fold<Wide> { old, number in
        Wide(
            id: number, note: number % 3 == 0 ? nil : "note \(number)", ratio: Float(number) / 4,
            tags: (old?.tags ?? []).suffix(3) + [Int32(number)])
    }
    static let nested = Fold<Nested> { old, number in
        Nested(sum: sum.step(old?.sum, number), parts: (old?.parts ?? []).suffix(2) + [sum.step(nil, number)])
    }
    static let sided = Fold<Sided> { old, number in
        Sided(side: number % 2 == 0 ? .even : .odd, count: (old?.count ?? 0) + 1)
    }
    static let level = Fold<Level> { _, number in number % 2 == 0 ? .low : .high }
    static let total = Fold<Int64> { ($0 ?? 0) + $1 }
}

private enum After {
    struct Widened: Codable, Sendable { var count: Int64, total: Int64 }
    struct Reordered: Codable, Sendable { var total: Int64, count: Int32 }
    struct Longer: Codable, Sendable { var count: Int32, total: Int64, largest: Int64? }
    struct Demanding: Codable, Sendable { var count: Int32, total: Int64, largest: Int64 }
    struct Shorter: Codable, Sendable { var total: Int64 }
    struct Narrow: Codable, Sendable { var count: Int16, total: Int64 }
    struct Textual: Codable, Sendable { var count: Int32, total: String }
    struct Optional: Codable, Sendable { var count: Int32?, total: Int64 }
    struct Doubled: Codable, Sendable { var count: Double, total: Int64 }
    struct Renamed: Codable, Sendable { var number: Int32, total: Int64 }
    struct MaybeRenamed: Codable, Sendable { var number: Int32?, total: Int64 }
    struct WideRequired: Codable, Sendable { var id: Int64, note: String, ratio: Float, tags: [Int32] }
    struct WideDoubled: Codable, Sendable { var id: Int64, note: String?, ratio: Double, tags: [Int64] }
    struct Nested: Codable, Sendable { var sum: Widened, parts: [Longer] }
    struct NestedNarrow: Codable, Sendable { var sum: Before.Sum, parts: [Narrow] }
    struct Flat: Codable, Sendable { var count: Int64, total: Int64, parts: Int64 }
    enum Side: String, Codable, Sendable { case odd, even, zero }
    enum OneSide: String, Codable, Sendable { case even }
    struct Sided: Codable, Sendable { var side: Side, count: Int64 }
    struct OneSided: Codable, Sendable { var side: OneSide, count: Int64 }
    struct TextSided: Codable, Sendable { var side: String, count: Int64 }
    enum Level: Int64, Codable, Sendable { case low = 1, high = 2 }
    struct Declared: EvolvingRecord {
        var hits: Int64
        var total: Int64
        var currency: String
        static var evolution: Evolution<Declared> {
            Evolution().renamed("count", to: \.hits).defaulting(\.currency, to: "EUR")
        }
    }
    struct Holder: Codable, Sendable { var sum: Declared, parts: [Declared] }
}

extension Edit {
    static let values: [Edit] = [
        .value("nothing", "kept", Before.sum, Before.sum) { $0 },
        .value(
            "int32 to int64", "migrated", Before.sum,
            Fold { After.Widened(count: ($0?.count ?? 0) + 1, total: ($0?.total ?? 0) + $1) }
        ) { After.Widened(count: Int64($0.count), total: $0.total) },
        .value(
            "fields in another order", "migrated", Before.sum,
            Fold { After.Reordered(total: ($0?.total ?? 0) + $1, count: ($0?.count ?? 0) + 1) }
        ) { After.Reordered(total: $0.total, count: $0.count) },
        .value(
            "an optional field is added", "migrated", Before.sum,
            Fold { After.Longer(count: ($0?.count ?? 0) + 1, total: ($0?.total ?? 0) + $1, largest: $0?.largest) }
        ) { After.Longer(count: $0.count, total: $0.total, largest: nil) },
        .value(
            "a field is added without a default", "incompatible", Before.sum,
            Fold { After.Demanding(count: $0?.count ?? 0, total: $1, largest: $1) }, fix: "make it optional"),
        .value(
            "a field is added with a default", "migrated", Before.sum,
            Fold {
                After.Demanding(
                    count: ($0?.count ?? 0) + 1, total: ($0?.total ?? 0) + $1, largest: max($0?.largest ?? .min, 1))
            }, evolution: Evolution().defaulting(\.largest, to: 17)
        ) { After.Demanding(count: $0.count, total: $0.total, largest: 17) },
        .value(
            "a field is removed", "migrated", Before.sum, Fold { After.Shorter(total: ($0?.total ?? 0) + $1) }
        ) { After.Shorter(total: $0.total) },
        .value(
            "int32 to int16", "incompatible", Before.sum,
            Fold { After.Narrow(count: ($0?.count ?? 0) + 1, total: $1) }, fix: "declare how values are converted"),
        .value(
            "int64 to string", "incompatible", Before.sum,
            Fold { After.Textual(count: $0?.count ?? 0, total: "\($1)") }, fix: "migrated(from:"),
        .value(
            "int64 to string by a function", "migrated", Before.sum,
            Fold { After.Textual(count: ($0?.count ?? 0) + 1, total: ($0?.total ?? "") + "+\($1 % 10)") },
            evolution: Evolution().migrated(from: Before.Sum.self) {
                After.Textual(count: $0.count, total: "(\($0.total))")
            }
        ) { After.Textual(count: $0.count, total: "(\($0.total))") },
        .value(
            "a field becomes optional", "migrated", Before.sum,
            Fold { After.Optional(count: ($0?.count ?? 0) + 1, total: ($0?.total ?? 0) + $1) }
        ) { After.Optional(count: $0.count, total: $0.total) },
        .value(
            "int32 to double", "migrated", Before.sum,
            Fold { After.Doubled(count: ($0?.count ?? 0) + 0.5, total: ($0?.total ?? 0) + $1) }
        ) { After.Doubled(count: Double($0.count), total: $0.total) },
        .value(
            "a field is renamed without a word", "incompatible", Before.sum,
            Fold { After.Renamed(number: ($0?.number ?? 0) + 1, total: $1) }, fix: #"renamed("count", to: \.number)"#),
        .value(
            "a field is renamed to an optional one without a word", "incompatible", Before.sum,
            Fold { After.MaybeRenamed(number: ($0?.number ?? 0) + 1, total: $1) }, fix: #"removed("count")"#),
        .value(
            "a field is renamed, declared", "migrated", Before.sum,
            Fold { After.Renamed(number: ($0?.number ?? 0) + 1, total: ($0?.total ?? 0) + $1) },
            evolution: Evolution().renamed("count", to: \.number)
        ) { After.Renamed(number: $0.count, total: $0.total) },
        .value(
            "a field is removed and another added, declared", "migrated", Before.sum,
            Fold { After.MaybeRenamed(number: $0.map { $0.number.map { $0 + 1 } ?? 1 }, total: ($0?.total ?? 0) + $1) },
            evolution: Evolution().removed("count")
        ) { After.MaybeRenamed(number: nil, total: $0.total) },
        .value(
            "optional to required without a default", "incompatible", Before.wide,
            Fold { After.WideRequired(id: $1, note: $0?.note ?? "", ratio: 1, tags: []) },
            fix: #"defaulting(\.note, to: …)"#),
        .value(
            "optional to required with a default", "migrated", Before.wide,
            Fold {
                After.WideRequired(id: $1, note: "\($0?.note ?? "first")|", ratio: $0?.ratio ?? 0, tags: $0?.tags ?? [])
            }, evolution: Evolution().defaulting(\.note, to: "none")
        ) { After.WideRequired(id: $0.id, note: $0.note ?? "none", ratio: $0.ratio, tags: $0.tags) },
        .value(
            "float to double, elements of an array widened", "migrated", Before.wide,
            Fold { After.WideDoubled(id: $1, note: $0?.note, ratio: $0?.ratio ?? 0, tags: ($0?.tags ?? []) + [$1]) }
        ) { After.WideDoubled(id: $0.id, note: $0.note, ratio: Double($0.ratio), tags: $0.tags.map { Int64($0) }) },
        .value(
            "nested records grow", "migrated", Before.nested,
            Fold {
                After.Nested(
                    sum: After.Widened(count: ($0?.sum.count ?? 0) + 1, total: $1), parts: $0?.parts ?? [])
            }
        ) {
            After.Nested(
                sum: After.Widened(count: Int64($0.sum.count), total: $0.sum.total),
                parts: $0.parts.map { After.Longer(count: $0.count, total: $0.total, largest: nil) })
        },
        .value(
            "a nested number is narrowed", "incompatible", Before.nested,
            Fold { _, _ in After.NestedNarrow(sum: Before.Sum(count: 0, total: 0), parts: []) }),
        .value(
            "a nested type declares its past", "migrated", Before.nested,
            Fold { $0 ?? After.Holder(sum: After.Declared(hits: $1, total: 0, currency: ""), parts: []) }
        ) {
            func declared(_ sum: Before.Sum) -> After.Declared {
                After.Declared(hits: Int64(sum.count), total: sum.total, currency: "EUR")
            }
            return After.Holder(sum: declared($0.sum), parts: $0.parts.map(declared))
        },
        .value(
            "nested to flat by a function", "migrated", Before.nested,
            Fold { After.Flat(count: ($0?.count ?? 0) + 1, total: $1, parts: $0?.parts ?? 0) },
            evolution: Evolution().migrated(from: Before.Nested.self) {
                After.Flat(count: Int64($0.sum.count), total: $0.sum.total, parts: Int64($0.parts.count))
            }
        ) { After.Flat(count: Int64($0.sum.count), total: $0.sum.total, parts: Int64($0.parts.count)) },
        .value(
            "an enum gets a case", "migrated", Before.sided,
            Fold { old, number in
                After.Sided(side: old?.side ?? (number == 0 ? .zero : .odd), count: (old?.count ?? 0) + 1)
            }
        ) { After.Sided(side: $0.side == .even ? .even : .odd, count: $0.count) },
        .value(
            "an enum loses a case", "incompatible", Before.sided,
            Fold { After.OneSided(side: .even, count: ($0?.count ?? 0) + $1) }, fix: "keep the case"),
        .value(
            "an enum loses a case that is mapped", "migrated", Before.sided,
            Fold { old, _ in After.OneSided(side: .even, count: (old?.count ?? 0) + 1) },
            evolution: Evolution().migrated(from: Before.Sided.self) { After.OneSided(side: .even, count: $0.count) }
        ) { After.OneSided(side: .even, count: $0.count) },
        .value(
            "an enum becomes its raw value", "migrated", Before.sided,
            Fold { old, _ in After.TextSided(side: "\(old?.side ?? "none").", count: (old?.count ?? 0) + 1) }
        ) { After.TextSided(side: $0.side.rawValue, count: $0.count) },
        .value(
            "raw values are widened", "migrated", Before.level,
            Fold { old, _ in
                old ?? .high
            } show: {
                "\($0.rawValue)"
            }
        ) { After.Level(rawValue: Int64($0.rawValue)) ?? .low },
        .value(
            "a number becomes a record", "incompatible", Before.total,
            Fold { After.Shorter(total: ($0?.total ?? 0) + $1) }),
        .value(
            "a number becomes a record by a function", "migrated", Before.total,
            Fold { After.Shorter(total: ($0?.total ?? 0) + $1) },
            evolution: Evolution().migrated(from: Int64.self) { After.Shorter(total: $0) }
        ) { After.Shorter(total: $0) },
        .value("a number becomes optional", "migrated", Before.total, Fold<Int64?> { (($0 ?? 0) ?? 0) + $1 }) { $0 },
    ]
}
