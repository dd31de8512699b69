// SPDX-License-Identifier: Apache-2.0
//  The runs that together are the state of an operator's subtask, as far as it is not in memory.

/// Runs in order, newest first. A value: who keeps one keeps its files, whatever the subtask does meanwhile.
public struct RunSet: Sendable {
    public private(set) var runs: [Run]

    /// - Parameter runs: in any order; runs of one age must not have the same rows.
    public init(_ runs: [Run] = []) { self.runs = runs.sorted { $0.sequence > $1.sequence } }

    /// The bytes of all files.
    public var byteCount: Int64 { runs.reduce(0) { $0 &+ $1.byteCount } }

    /// The sequence of a run that lies over all of these.
    public var nextSequence: Int64 { (runs.first?.sequence ?? 0) + 1 }

    /// With a run that lies over all others.
    public mutating func add(_ run: Run) {
        precondition(runs.first.map { $0.sequence < run.sequence } ?? true, "a new run is the newest")
        runs.insert(run, at: 0)
    }

    /// With one run in place of some that lie side by side.
    ///
    /// - Parameters:
    ///   - merged: must all be here.
    ///   - run: what they were merged into; nil when nothing was left.
    public mutating func replace(_ merged: [Run], with run: Run?) {
        guard let first = merged.first, let start = runs.firstIndex(where: { $0 === first }) else {
            preconditionFailure("the runs that were merged are not here")
        }
        let range = start..<(start + merged.count)
        precondition(
            range.upperBound <= runs.count && zip(runs[range], merged).allSatisfy { $0 === $1 },
            "the runs that were merged lie side by side")
        runs.replaceSubrange(range, with: run.map { [$0] } ?? [])
    }

    /// Which runs are to be merged now: adjacent ones, newest first; nil when none are.
    ///
    /// - Parameter busy: runs that are being merged already; they and all older ones are left alone.
    public func merge(by policy: RunPolicy, except busy: [Run] = []) -> [Run]? {
        let idle = runs.prefix { run in !busy.contains { $0 === run } }
        return policy.merge(idle.map(\.byteCount)).map { Array(idle[$0]) }
    }

    /// Whether these are the oldest runs, so that nothing lies below them.
    public func isOldest(_ merged: [Run]) -> Bool { merged.last.map { $0 === runs.last } ?? false }
}
