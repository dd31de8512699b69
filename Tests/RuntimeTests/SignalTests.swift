// SPDX-License-Identifier: Apache-2.0
//  Merging of watermarks and statuses, over inputs and over splits, against naive twins.

import Testing
import Thalweg

@Suite struct SignalTests {
    private func mark(_ time: Int64) -> Signal { .watermark(Watermark(EventTime(milliseconds: time))) }

    /// Says the same as `SignalMerger` in the plainest way: everything is computed anew from the inputs' states.
    private struct Twin {
        var marks: [Int64]
        var statuses: [InputStatus]
        var merged = Int64.min
        var highest = Int64.min
        var wasIdle = false
        var wasFinished = false

        init(_ count: Int) {
            marks = Array(repeating: .min, count: count)
            statuses = Array(repeating: .active, count: count)
        }

        mutating func take(_ signal: Signal, from input: Int) -> [Signal] {
            switch signal {
            case .watermark(let watermark):
                guard watermark.time.milliseconds > marks[input] else { return [] }
                marks[input] = watermark.time.milliseconds
                if watermark != .end { highest = max(highest, marks[input]) }
                if statuses[input] == .idle { statuses[input] = .active }
            case .idle where statuses[input] == .active: statuses[input] = .idle
            case .active where statuses[input] == .idle: statuses[input] = .active
            case .end: statuses[input] = .finished
            default: break
            }
            if wasFinished { return [] }
            if !statuses.contains(where: { $0 != .finished }) {
                wasFinished = true
                defer { merged = .max }
                return (merged == .max ? [] : [.watermark(.end)]) + [.end]
            }
            let holding = statuses.indices.filter { statuses[$0] == .active && marks[$0] != .max }
            if holding.isEmpty && statuses.contains(.idle) {
                defer { (wasIdle, merged) = (true, wasIdle ? merged : max(merged, highest)) }
                let leap = highest > merged ? [Signal.watermark(Watermark(EventTime(milliseconds: highest)))] : []
                return wasIdle ? [] : leap + [.idle]
            }
            let low = holding.map { marks[$0] }.min() ?? .max
            let wake: [Signal] = wasIdle ? [.active] : []
            wasIdle = false
            defer { merged = max(merged, low) }
            return wake + (low > merged ? [.watermark(Watermark(EventTime(milliseconds: low)))] : [])
        }
    }

    @Test(arguments: 0..<40 as Range<UInt64>)
    func mergesAsItsTwin(_ seed: UInt64) {
        var random = SeededRandom(seed: seed)
        let count = Int.random(in: 1...4, using: &random)
        var (merger, twin) = (SignalMerger(inputs: count), Twin(count))
        var ended: Set<Int> = []
        var ends = 0
        for step in 0..<300 {
            let input = Int.random(in: 0..<count, using: &random)
            if ended.contains(input) { continue }
            var signal: Signal
            switch random.next() % 12 {
            case 0, 1: signal = .idle
            case 2: signal = .active
            case 3 where random.next() % 8 == 0: signal = .end
            case 4 where random.next() % 8 == 0: signal = .watermark(.end)
            default: signal = mark(.random(in: 0...Int64(step), using: &random))
            }
            if signal == .end { ended.insert(input) }
            let merged = merger.merge(signal, from: input)
            #expect(merged == twin.take(signal, from: input), "seed \(seed) step \(step) \(signal)")
            #expect(merger.watermark.time.milliseconds == twin.merged)
            ends += merged.count { $0 == .watermark(.end) }
        }
        #expect(ends <= 1)
    }

    /// 27.d4 ii: one input finished, the other idle: event time must not leap, and what comes later is not late.
    @Test func finishedAndIdleDoesNotLeap() {
        var merger = SignalMerger(inputs: 2)
        #expect(merger.merge(mark(10), from: 0) == [])
        #expect(merger.merge(mark(5), from: 1) == [mark(5)])
        #expect(merger.merge(.idle, from: 1) == [mark(10)])
        // A source ends with the end of time, then the end.
        #expect(merger.merge(.watermark(.end), from: 0) == [.idle])
        #expect(merger.merge(.end, from: 0) == [])
        #expect(merger.watermark == Watermark(EventTime(milliseconds: 10)))
        #expect(merger.merge(.active, from: 1) == [.active])
        #expect(merger.merge(mark(20), from: 1) == [mark(20)])
    }

    /// Subtasks that hear of the same inputs in different orders come equally far, or results of one are late behind
    /// both.
    @Test(arguments: [Signal.idle, .watermark(.end)])
    func theOrderOfFallingSilentDoesNotMatter(_ silence: Signal) {
        var (first, second) = (SignalMerger(inputs: 2), SignalMerger(inputs: 2))
        #expect(first.merge(.idle, from: 0) == [])
        #expect(first.merge(mark(10), from: 1) == [mark(10)])
        #expect(first.merge(silence, from: 1) == [.idle])
        #expect(second.merge(mark(10), from: 1) == [])
        #expect(second.merge(silence, from: 1) == [])
        #expect(second.merge(.idle, from: 0) == [mark(10), .idle])
    }

    /// 27.d4 iii: all finished: the end of time once, then the end once.
    @Test func allFinishedEndsOnce() {
        var merger = SignalMerger(inputs: 3)
        var signals: [Signal] = []
        for input in 0..<3 {
            signals += merger.merge(.watermark(.end), from: input)
            signals += merger.merge(.end, from: input)
            signals += merger.merge(.end, from: input)
        }
        #expect(signals == [.watermark(.end), .end])
    }

    @Test func anIdleInputThatFinishesDoesNotHoldBack() {
        var merger = SignalMerger(inputs: 2)
        #expect(merger.merge(.idle, from: 0) == [])
        #expect(merger.merge(.end, from: 0) == [])
        #expect(merger.merge(mark(7), from: 1) == [mark(7)])
        #expect(merger.merge(.flush, from: 1) == [.flush])
        #expect(merger.merge(.end, from: 1) == [.watermark(.end), .end])
    }

    // MARK: Splits

    @Test(arguments: 0..<40 as Range<UInt64>)
    func splitsMergeAsTheirTwin(_ seed: UInt64) {
        var random = SeededRandom(seed: seed)
        var watermarks = SplitWatermarks(delay: .milliseconds(3))
        var latest: [Int32: Int64] = [:]
        var idle: Set<Int32> = []
        var spoke: [Int32: Int64] = [:]
        var (merged, now, next, wasIdle) = (Int64.min, Int64(0), Int32(0), false)
        for step in 0..<400 {
            now += .random(in: 0...3, using: &random)
            let known = latest.keys.sorted()
            let split = known.isEmpty ? 0 : known[Int.random(in: 0..<known.count, using: &random)]
            switch random.next() % 10 {
            case 0 where known.count < 5:
                watermarks.start(split: next, now: now)
                (latest[next], spoke[next]) = (.min, now)
                next += 1
            case 1 where !known.isEmpty && random.next() % 3 == 0:
                watermarks.finish(split: split, now: now)
                latest[split] = nil
                idle.remove(split)
            case 2:
                let silent = watermarks.markIdle(timeout: 20, now: now) { _ in nil }
                let expected = known.filter { !idle.contains($0) && now - (spoke[$0] ?? now) >= 20 }
                #expect(silent.sorted() == expected)
                idle.formUnion(silent)
            default:
                guard !known.isEmpty else { continue }
                let time = Int64(step) + .random(in: -30...30, using: &random)
                let mark = watermarks.observe(latest: time, split: split, now: now)
                latest[split] = max(latest[split] ?? .min, time)
                #expect(mark.time.milliseconds == (latest[split] ?? 0) - 4)
                spoke[split] = now
                idle.remove(split)
            }
            let active = latest.filter { !idle.contains($0.key) }
            let low = active.values.map { $0 == .min ? .min : $0 - 4 }.min()
            var expected: [Signal] = []
            if let low {
                if wasIdle { expected.append(.active) }
                if low > merged {
                    merged = low
                    expected.append(mark(low))
                }
                wasIdle = false
            } else if next > 0 && !wasIdle {
                wasIdle = true
                expected.append(.idle)
            }
            #expect(watermarks.outcome() == expected, "seed \(seed) step \(step)")
        }
    }

    @Test func aHeldUpSplitIsNotIdle() {
        var watermarks = SplitWatermarks(delay: .zero)
        _ = watermarks.observe(latest: 1, split: 0, now: 0)
        _ = watermarks.observe(latest: 1, split: 1, now: 0)
        // Split 0 is paused all the time, split 1 silent of its own.
        for now in stride(from: 0, through: 10_000, by: 250) as StrideThrough<Int64> {
            let idle = watermarks.markIdle(timeout: 1000, now: now) { $0 == 0 ? now : nil }
            #expect(idle == (now == 1000 ? [1] : []))
        }
        // From the moment it is let go its clock runs.
        #expect(watermarks.markIdle(timeout: 1000, now: 10_900) { _ in nil } == [])
        #expect(watermarks.markIdle(timeout: 1000, now: 11_000) { _ in nil } == [0])
    }

    @Test func heldBackTimeStillShowsActivity() {
        var watermarks = SplitWatermarks(delay: .zero)
        watermarks.start(split: 0, now: 0)
        watermarks.finish(split: 0, now: 0)
        #expect(watermarks.outcome() == [.idle])
        watermarks.start(split: 1, now: 0)
        _ = watermarks.observe(latest: 100, split: 1, now: 0)
        #expect(watermarks.outcome(isHeldBack: true) == [.active])
        #expect(watermarks.outcome() == [mark(99)])
    }
}
