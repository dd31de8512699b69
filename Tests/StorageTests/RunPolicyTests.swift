// SPDX-License-Identifier: Apache-2.0
//  How often bytes are written again, and how many runs there are (FLIP-50 d3, d5).

import Testing
import ThalwegStorage

@Suite struct RunPolicyTests {
    /// Flushes of one size into a state of so many flushes, written over at random; the bytes written for each byte
    /// flushed, the most runs, and the most room that is taken for a byte that counts.
    private func simulate(flushes: Int, state: Double?) -> (written: Double, runsMax: Int, spaceMax: Double) {
        let policy = RunPolicy()
        let unit = 1000.0
        var runs: [Double] = []
        var written = 0.0
        var runsMax = 0
        var spaceMax = 0.0
        for flush in 0..<flushes {
            runs.insert(1, at: 0)
            written += 1
            while let range = policy.merge(runs.map { Int64($0 * unit) }) {
                let parts = runs[range]
                var size = parts.reduce(0, +)
                if let state { size = state * (1 - parts.reduce(1) { $0 * (1 - min(1, $1 / state)) }) }
                runs.replaceSubrange(range, with: [size])
                written += size
            }
            runsMax = max(runsMax, runs.count)
            if let state, flush > flushes / 2 { spaceMax = max(spaceMax, runs.reduce(0, +) / state) }
        }
        return (written / Double(flushes), runsMax, spaceMax)
    }

    @Test func tenThousandFlushes() {
        let growing = simulate(flushes: 10_000, state: nil)
        #expect(growing.written < 6 && growing.runsMax <= 24, "\(growing)")
        for (state, limit) in [(20.0, 4.0), (200, 6), (2000, 8)] {
            let steady = simulate(flushes: 10_000, state: state)
            print(steady)
            #expect(steady.written < limit && steady.runsMax <= 24 && steady.spaceMax <= 2.01, "\(state): \(steady)")
        }
    }

    @Test func onlyTheNewestAreMerged() {
        let policy = RunPolicy()
        #expect(policy.merge([]) == nil && policy.merge([5]) == nil)
        let equal = Array(repeating: Int64(5), count: 8)
        #expect(policy.merge(Array(equal.prefix(7))) == nil)
        #expect(policy.merge(equal) == 0..<8)
        #expect(policy.merge(equal + [100]) == 0..<8)
        // All others together are larger than the oldest.
        #expect(policy.merge(equal + [30]) == 0..<9)
        #expect(policy.merge([5, 11, 30]) == nil)
        let growing = (0...policy.runsMax).map { Int64(3) << Int64($0 * 2) }
        #expect(policy.merge(Array(growing.prefix(policy.runsMax))) == nil)
        #expect(policy.merge(growing)?.lowerBound == 0)
        #expect(policy.merge([0, 0, 0]) == 0..<3)
    }
}
