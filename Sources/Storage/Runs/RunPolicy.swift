// SPDX-License-Identifier: Apache-2.0
//  Which runs are merged into one, and when.

/// Decides from the sizes of the runs of a subtask, newest first, which of them are merged (FLIP-50 d3, d5).
///
/// Three rules, all about the newest runs, so that what is merged is always side by side:
/// 1. When there are ``fanIn`` and all others together are as large as the oldest run, all are merged: what is out of
///    date takes at most as much room again.
/// 2. A run is merged with all newer ones when they together are ``fanIn`` minus one times as large: of runs of one
///    size as many are gathered before they are made one.
/// 3. Are there more than ``runsMax``, as many of the newest are merged as cost the fewest bytes for the square of how
///    many runs that spares.
public struct RunPolicy: Hashable, Sendable {
    /// How many runs of one size are made one. More of them are written less often, and looked into more.
    public var fanIn = 8
    /// The most runs that are left alone: each is one more place to look for a row in.
    public var runsMax = 20

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
            let isOldest = index == byteCounts.count - 1 && index >= fanIn - 1
            if byteCounts[index] <= (isOldest ? sum : sum / Int64(fanIn - 1)) { end = index + 1 }
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
