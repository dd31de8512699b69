// SPDX-License-Identifier: Apache-2.0
//  Which elements of operator state go to which subtask when parallelism changes (FLIP-8).

import ThalwegBase

/// Neighbouring elements of the list that one old subtask left.
public struct ElementRun: Hashable, Sendable {
    /// The subtask that wrote them.
    public var subtask: Int
    /// Their places in its list; never empty.
    public var range: Range<Int>

    public init(subtask: Int, range: Range<Int>) {
        self.subtask = subtask
        self.range = range
    }
}

/// Decides by counts alone: no element is read.
public enum OperatorRedistribution {
    /// Divides lists evenly, keeping their order.
    ///
    /// - Parameters:
    ///   - lists: for each state of the operator, how many elements each old subtask left; subtasks beyond the end left
    ///     none.
    ///   - rebalance: divides anew even if the parallelism stays; without it every subtask then keeps its own list.
    /// - Returns: for each state, for each new subtask, the runs it gets. Within a state, subtasks differ by one
    ///   element at most when divided, and so do the sums over all states, because the larger shares go round.
    public static func split(
        lists: [[Int]], oldParallelism: Int, newParallelism: Int, rebalance: Bool = false
    ) -> [[[ElementRun]]] {
        precondition(newParallelism > 0, "a subtask must take the state")
        if oldParallelism == newParallelism, !rebalance {
            return lists.map { counts in
                (0..<newParallelism).map { subtask in
                    guard subtask < counts.count, counts[subtask] > 0 else { return [] }
                    return [ElementRun(subtask: subtask, range: 0..<counts[subtask])]
                }
            }
        }
        var firstLarger = 0
        return lists.map { counts in
            let total = counts.reduce(0, +)
            let larger = total % newParallelism
            let runs = divide(counts, into: newParallelism, firstLarger: firstLarger)
            firstLarger = (firstLarger + larger) % newParallelism
            return runs
        }
    }

    private static func divide(_ counts: [Int], into parallelism: Int, firstLarger: Int) -> [[ElementRun]] {
        let (share, larger) = counts.reduce(0, +).quotientAndRemainder(dividingBy: parallelism)
        var old = 0
        var offset = 0
        return (0..<parallelism).map { subtask in
            let turn = (subtask + parallelism - firstLarger) % parallelism
            var wanted = share + (turn < larger ? 1 : 0)
            var runs: [ElementRun] = []
            while wanted > 0 {
                let end = min(counts[old], offset + wanted)
                if end > offset { runs.append(ElementRun(subtask: old, range: offset..<end)) }
                wanted -= end - offset
                offset = end
                if offset == counts[old] { (old, offset) = (old + 1, 0) }
            }
            return runs
        }
    }

    /// What every new subtask gets of a state in union mode: all elements of all old subtasks, in order.
    public static func union(list: [Int]) -> [ElementRun] {
        list.enumerated().filter { $0.element > 0 }.map { ElementRun(subtask: $0.offset, range: 0..<$0.element) }
    }

    /// The old subtask whose copy of a broadcast state new subtask `subtask` takes.
    ///
    /// - Parameter reported: the old subtasks that left a copy, ascending; one that had finished left none.
    /// - Returns: its own copy if there is one, else one in turn; nil when nobody left a copy.
    public static func broadcast(subtask: Int, oldParallelism: Int, reported: [Int]) -> Int? {
        guard !reported.isEmpty, oldParallelism > 0 else { return nil }
        let wanted = subtask % oldParallelism
        return reported.contains(wanted) ? wanted : reported[subtask % reported.count]
    }

    /// The key group of an element with an identity: a function of the id alone, whatever the parallelism.
    public static func keyGroup(of id: UInt64, maxParallelism: Int) -> Int {
        KeyGroup.of(hash: StableHash.mix(id), maxParallelism: maxParallelism)
    }

    /// The subtask that owns an element with an identity.
    public static func keyedList(id: UInt64, maxParallelism: Int, parallelism: Int) -> Int {
        KeyGroup.subtask(
            of: keyGroup(of: id, maxParallelism: maxParallelism), maxParallelism: maxParallelism,
            parallelism: parallelism)
    }
}
