// SPDX-License-Identifier: Apache-2.0
//  A job as its own executable, in several versions: what the tool's tests ask and start.

import Thalweg

/// Sums of numbers by key; the state's name and the type of its values depend on the version.
private struct Sums<Value: Codable & Sendable>: KeyedProcessFunction {
    @State var sum: ValueState<Value>
    let next: @Sendable (Value?, Int64) -> Value

    init(_ state: State<ValueState<Value>>, next: @escaping @Sendable (Value?, Int64) -> Value) {
        _sum = state
        self.next = next
    }

    mutating func process(_ number: Int64, _ context: KeyedContext<Int64>, _ out: Collector<Int64>) {
        sum.value = next(sum.value, number)
        out.emit(number)
    }
}

@main struct ToolJob: StreamJob {
    enum Version: String, ExpressibleByArgument, CaseIterable { case narrow, wide, renamed, text }

    @Option(help: "What the state is.") var version = Version.narrow

    func build(_ env: StreamEnvironment) throws {
        let numbers = try env.read(GeneratedSource(0..<100) { $0 }, name: "numbers").keyed { $0 % 10 }
        let sums =
            switch version {
            case .narrow:
                numbers.process(
                    Sums(State(wrappedValue: ValueState<Int32>(), "sum")) { ($0 ?? 0) + Int32($1) }, name: "sums")
            case .wide:
                numbers.process(
                    Sums(State(wrappedValue: ValueState<Int64>(), "sum")) { ($0 ?? 0) + $1 }, name: "sums")
            case .renamed:
                numbers.process(
                    Sums(State(wrappedValue: ValueState<Int32>(), "total")) { ($0 ?? 0) + Int32($1) }, name: "sums")
            case .text:
                numbers.process(
                    Sums(State(wrappedValue: ValueState<String>(), "sum")) { ($0 ?? "") + "\($1)" }, name: "sums")
            }
        sums.write(to: BlackHoleSink(), name: "nothing")
    }
}
