// SPDX-License-Identifier: Apache-2.0
//  Functions that fold numbers into state of any type, and the same folds without an engine.

import Thalweg

/// A fold of a key's numbers into a value.
struct Fold<Value: Codable & Sendable>: Sendable {
    var step: @Sendable (Value?, Int64) -> Value
    var show: @Sendable (Value) -> String

    init(
        _ step: @escaping @Sendable (Value?, Int64) -> Value, show: @escaping @Sendable (Value) -> String = { "\($0)" }
    ) {
        self.step = step
        self.show = show
    }

    /// What each key's fold is after some numbers.
    func values(_ numbers: Range<Int64>) -> [Int64: Value] {
        numbers.reduce(into: [:]) { $0[$1 % Trial.keys] = step($0[$1 % Trial.keys], $1) }
    }

    /// The rows of the second half, which begins with these values.
    func rows(from values: [Int64: Value]) -> [String] {
        var values = values
        return (Trial.half..<Trial.all).map { number in
            let value = step(values[number % Trial.keys], number)
            values[number % Trial.keys] = value
            return "\(number % Trial.keys) \(show(value))"
        }
    }
}

/// The function that keeps a fold in state and emits it for each number.
struct Folding<Key: Hashable & Codable & Sendable, Value: Codable & Sendable>: KeyedProcessFunction {
    @State var fold: ValueState<Value>
    let by: Fold<Value>

    init(
        _ by: Fold<Value>, name: String? = nil, formerly: String? = nil, ttl: StateTTL? = nil,
        evolution: Evolution<Value>? = nil
    ) {
        self.by = by
        let handle = ValueState<Value>(ttl: ttl)
        if let evolution {
            _fold = State(wrappedValue: handle, name, formerly: formerly, evolution: evolution)
        } else {
            _fold = State(wrappedValue: handle, name, formerly: formerly)
        }
    }

    mutating func process(_ number: Int64, _ context: KeyedContext<Key>, _ out: Collector<String>) {
        let value = by.step(fold.value, number)
        fold.value = value
        out.emit("\(number % Trial.keys) \(by.show(value))")
    }
}

extension Bench {
    /// A job of one fold.
    func fold<Value: Codable & Sendable>(
        _ fold: Fold<Value>, step: String = "fold", formerStep: String? = nil, name: String? = nil,
        formerly: String? = nil, ttl: StateTTL? = nil, evolution: Evolution<Value>? = nil
    ) throws {
        let ttl = ttl
        write(
            try numbers.keyed { $0 % Trial.keys }.process(
                Folding<Int64, Value>(fold, name: name, formerly: formerly, ttl: ttl, evolution: evolution)
            ).named(step, formerly: formerStep))
    }
}

extension Edit {
    /// The type of a fold's value changes.
    ///
    /// - Parameter convert: what a stored value is worth now, as a person would say; nil where the job must not start.
    static func value<Old: Codable & Sendable, New: Codable & Sendable>(
        _ name: String, _ outcome: String, _ old: Fold<Old>, _ new: Fold<New>, evolution: Evolution<New>? = nil,
        fix: String? = nil, convert: (@Sendable (Old) -> New)? = nil
    ) -> Edit {
        let rows = convert.map { new.rows(from: old.values(0..<Trial.half).mapValues($0)) } ?? []
        return Edit(
            name, ["fold/fold: \(outcome)"], .rows(rows), fix: fix, old: { try $0.fold(old) },
            new: { try $0.fold(new, evolution: evolution) })
    }
}
