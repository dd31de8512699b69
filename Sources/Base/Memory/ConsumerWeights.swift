// SPDX-License-Identifier: Apache-2.0
//  How managed memory is shared among those who can use it.

/// What managed memory is used for, by the names that FLIP-49 gives.
public enum MemoryConsumer: String, Sendable, Hashable, CaseIterable {
    /// Sorts, caches and hash tables of operators.
    case `operator` = "OPERATOR"
    /// Keyed state.
    case stateBackend = "STATE_BACKEND"
    /// Processes that host functions in another language.
    case python = "PYTHON"
}

/// The weights by which kinds of consumers share managed memory: a value.
///
/// Only kinds that are there count. One without a weight gets nothing.
public struct ConsumerWeights: Sendable, Hashable {
    /// The greatest weight.
    public static let weightMax = 1_000_000

    private let weights: [MemoryConsumer: Int]

    /// OPERATOR 70, STATE_BACKEND 70, PYTHON 30.
    public init() { weights = [.operator: 70, .stateBackend: 70, .python: 30] }

    /// Reads `OPERATOR:70,STATE_BACKEND:70,PYTHON:30`.
    ///
    /// - Throws: `ThalwegError(.job)` when a name is unknown or given twice, or a weight is no whole number.
    public init(text: String) throws(ThalwegError) {
        var weights: [MemoryConsumer: Int] = [:]
        for entry in text.split(separator: ",", omittingEmptySubsequences: false) {
            let parts = entry.split(separator: ":", omittingEmptySubsequences: false).map {
                String($0.drop { $0 == " " })
            }
            guard parts.count == 2, let consumer = MemoryConsumer(rawValue: parts[0]), weights[consumer] == nil,
                let weight = Int(parts[1]), (0...Self.weightMax).contains(weight)
            else {
                throw ThalwegError(
                    .job, "the weights of memory consumers cannot be read", detail: "'\(entry)' in '\(text)'",
                    hint: "write OPERATOR:70,STATE_BACKEND:70,PYTHON:30, each name once")
            }
            weights[consumer] = weight
        }
        self.weights = weights
    }

    /// The kinds among those present that get nothing: worth a warning.
    public func without(_ present: Set<MemoryConsumer>) -> [MemoryConsumer] {
        MemoryConsumer.allCases.filter { present.contains($0) && weights[$0, default: 0] == 0 }
    }

    /// The share of each kind present, in bytes, rounded down: the sum never exceeds the budget.
    public func shares(of budgetBytes: Int, among present: Set<MemoryConsumer>) -> [MemoryConsumer: Int] {
        let counted = present.filter { weights[$0, default: 0] > 0 }
        let sum = counted.reduce(0) { $0 + weights[$1, default: 0] }
        var shares: [MemoryConsumer: Int] = [:]
        for consumer in present { shares[consumer] = 0 }
        for consumer in counted {
            let product = budgetBytes.multipliedFullWidth(by: weights[consumer, default: 0])
            shares[consumer] = sum.dividingFullWidth(product).quotient
        }
        return shares
    }
}
