// SPDX-License-Identifier: Apache-2.0
//  Operator state after a change of parallelism: nothing lost, nothing twice, evenly shared.

import Testing
import ThalwegBase
import ThalwegState

/// The elements that runs stand for, as pairs of old subtask and place.
private func elements(_ runs: [ElementRun]) -> [[Int]] {
    runs.flatMap { run in run.range.map { [run.subtask, $0] } }
}

private func elements(_ counts: [Int]) -> [[Int]] {
    counts.enumerated().flatMap { subtask, count in (0..<count).map { [subtask, $0] } }
}

@Test(arguments: 0..<500 as Range<UInt64>) func splitKeepsEveryElementOnce(seed: UInt64) {
    var random = SeededRandom(seed: seed)
    let old = Int.random(in: 1...64, using: &random)
    let new = Int.random(in: 1...64, using: &random)
    let longest = [0, 3, 40, 1_000].randomElement(using: &random) ?? 3
    let lists = (0..<Int.random(in: 1...5, using: &random)).map { _ in
        (0..<Int.random(in: 0...old, using: &random)).map { _ in Int.random(in: 0...longest, using: &random) }
    }
    let rebalance = Bool.random(using: &random)
    let result = OperatorRedistribution.split(
        lists: lists, oldParallelism: old, newParallelism: new, rebalance: rebalance)
    #expect(result.count == lists.count)
    var sums = [Int](repeating: 0, count: new)
    for (counts, runs) in zip(lists, result) {
        #expect(runs.count == new)
        // One after another they are the old lists: nothing lost, nothing twice, the order kept.
        #expect(elements(Array(runs.joined())) == elements(counts))
        let sizes = runs.map { $0.map(\.range.count).reduce(0, +) }
        if old != new || rebalance { #expect((sizes.max() ?? 0) - (sizes.min() ?? 0) <= 1) }
        if old == new, !rebalance { #expect(sizes == counts + [Int](repeating: 0, count: new - counts.count)) }
        sums = zip(sums, sizes).map(+)
    }
    if old != new || rebalance { #expect((sums.max() ?? 0) - (sums.min() ?? 0) <= 1) }
}

@Test func largerSharesGoRound() {
    let result = OperatorRedistribution.split(lists: [[4], [4], [4]], oldParallelism: 1, newParallelism: 3)
    let sizes = result.map { $0.map { $0.map(\.range.count).reduce(0, +) } }
    #expect(sizes == [[2, 1, 1], [1, 2, 1], [1, 1, 2]])
}

@Test func unionAndBroadcast() {
    #expect(
        OperatorRedistribution.union(list: [2, 0, 1])
            == [ElementRun(subtask: 0, range: 0..<2), ElementRun(subtask: 2, range: 0..<1)])
    let copies = { (old: Int, new: Int, reported: [Int]) in
        (0..<new).map { OperatorRedistribution.broadcast(subtask: $0, oldParallelism: old, reported: reported) }
    }
    #expect(copies(4, 7, [0, 1, 2, 3]) == [0, 1, 2, 3, 0, 1, 2])
    #expect(copies(7, 2, Array(0..<7)) == [0, 1])
    #expect(copies(3, 3, [0, 2]) == [0, 2, 2])
    #expect(copies(3, 2, []) == [nil, nil])
}

@Test func keyedElementsFollowTheirIds() {
    for id in 0..<1_000 as Range<UInt64> {
        let group = OperatorRedistribution.keyGroup(of: id, maxParallelism: 128)
        for parallelism in [1, 3, 7, 128] {
            let subtask = OperatorRedistribution.keyedList(id: id, maxParallelism: 128, parallelism: parallelism)
            #expect(
                KeyGroup.range(subtask: subtask, maxParallelism: 128, parallelism: parallelism).contains(group))
        }
    }
}
