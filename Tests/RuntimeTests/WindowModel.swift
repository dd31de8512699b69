// SPDX-License-Identifier: Apache-2.0
//  Windows as they are defined: the naive twin of the window operators.

import Thalweg

/// A window that fired: its key, its bounds and the numbers of the records in it.
struct Firing: Hashable, Comparable, Codable, Sendable {
    var key: Int64
    var start: Int64
    var end: Int64
    var numbers: [Int64]

    static func < (left: Firing, right: Firing) -> Bool {
        if (left.end, left.start, left.key) != (right.end, right.start, right.key) {
            return (left.end, left.start, left.key) < (right.end, right.start, right.key)
        }
        return left.numbers.count != right.numbers.count
            ? left.numbers.count < right.numbers.count : left.numbers.lexicographicallyPrecedes(right.numbers)
    }
}

/// What a run gave.
struct WindowOutcome: Equatable {
    var firings: [Firing] = []
    var late: [Int64] = []
    /// Windows that accepted records came too late for.
    var partial = 0
    /// Records between windows.
    var outside = 0

    func sorted() -> WindowOutcome {
        var outcome = self
        outcome.firings.sort()
        outcome.late.sort()
        return outcome
    }
}

/// One cell per key and window, looked at record by record.
struct WindowModel {
    enum Shape {
        case grid(size: Int64, slide: Int64, offset: Int64)
        case session(gap: Int64)

        var assigner: WindowAssigner {
            switch self {
            case .grid(let size, let slide, let offset) where size == slide:
                .tumbling(size: .milliseconds(size), offset: .milliseconds(offset))
            case .grid(let size, let slide, let offset):
                .sliding(size: .milliseconds(size), slide: .milliseconds(slide), offset: .milliseconds(offset))
            case .session(let gap): .session(gap: .milliseconds(gap))
            }
        }
    }

    struct Cell {
        var key: Int64
        var start: Int64
        var end: Int64
        var numbers: [Int64] = []
        var hasFired = false
        var count = 0
    }

    let shape: Shape
    let lateness: Int64
    /// Fires with every so many records in place of the window's end.
    var every: Int?
    private var cells: [Cell] = []
    private var outcome = WindowOutcome()
    private var watermark = Int64.min

    init(_ shape: Shape, lateness: Int64, every: Int? = nil) {
        self.shape = shape
        self.lateness = lateness
        self.every = every
    }

    static func run(
        _ samples: [Sample], _ shape: Shape, lateness: Int64, job: SampleJob, every: Int? = nil
    ) -> WindowOutcome {
        var model = WindowModel(shape, lateness: lateness, every: every)
        var time = WatermarkModel(capacity: job.capacity, delay: job.delay)
        for sample in samples {
            model.add(sample)
            if let watermark = time.pass(sample.time) { model.advance(to: watermark) }
        }
        model.advance(to: .max)
        return model.outcome.sorted()
    }

    private func isOver(_ end: Int64) -> Bool { watermark != .min && end - 1 <= watermark }
    private func isLate(_ end: Int64) -> Bool { watermark != .min && end - 1 + lateness <= watermark }

    private mutating func add(_ sample: Sample) {
        switch shape {
        case .grid(let size, let slide, let offset): add(sample, size, slide, offset)
        case .session(let gap): add(sample, gap: gap)
        }
    }

    private mutating func add(_ sample: Sample, _ size: Int64, _ slide: Int64, _ offset: Int64) {
        var (added, missed) = (0, 0)
        let first = (sample.time - offset - size).flooredDivision(by: slide).quotient
        let last = (sample.time - offset).flooredDivision(by: slide).quotient
        for number in first...last {
            let start = offset + number * slide
            guard start <= sample.time, sample.time < start + size else { continue }
            if isLate(start + size) {
                missed += 1
                continue
            }
            added += 1
            let known = cells.firstIndex { $0.key == sample.key && $0.start == start }
            if known == nil { cells.append(Cell(key: sample.key, start: start, end: start + size)) }
            fill(known ?? cells.count - 1, sample.number)
        }
        if added > 0 { outcome.partial += missed }
        guard added == 0 else { return }
        if missed > 0 || isLate(sample.time + 1) { outcome.late.append(sample.number) } else { outcome.outside += 1 }
    }

    private mutating func add(_ sample: Sample, gap: Int64) {
        var merged = Cell(key: sample.key, start: sample.time, end: sample.time + gap)
        let joined = cells.filter { $0.key == sample.key && $0.start < merged.end && merged.start < $0.end }
        for cell in joined {
            merged.start = min(merged.start, cell.start)
            merged.end = max(merged.end, cell.end)
            merged.numbers += cell.numbers
            merged.count += cell.count
        }
        if isLate(merged.end) {
            outcome.late.append(sample.number)
            return
        }
        cells.removeAll { cell in joined.contains { $0.key == cell.key && $0.start == cell.start } }
        cells.append(merged)
        fill(cells.count - 1, sample.number)
    }

    private mutating func fill(_ index: Int, _ number: Int64) {
        cells[index].numbers.append(number)
        if let every {
            cells[index].count += 1
            if cells[index].count >= every {
                cells[index].count = 0
                fire(index)
            }
        } else if isOver(cells[index].end) {
            fire(index)
        }
    }

    private mutating func fire(_ index: Int) {
        let cell = cells[index]
        cells[index].hasFired = true
        outcome.firings.append(
            Firing(key: cell.key, start: cell.start, end: cell.end, numbers: cell.numbers.sorted()))
    }

    private mutating func advance(to watermark: Int64) {
        self.watermark = watermark
        if every == nil {
            for index in cells.indices where !cells[index].hasFired && isOver(cells[index].end) { fire(index) }
        }
        cells.removeAll { $0.end - 1 + lateness <= watermark }
    }
}
