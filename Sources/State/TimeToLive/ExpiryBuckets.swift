// SPDX-License-Identifier: Apache-2.0
//  Which places to look at again, and when: a wheel of time buckets.

import ThalwegBase

/// Places (slots, map entries) in lists by the stretch of time in which something there expires.
///
/// A place is found within one stretch after its moment. It may stand in several lists; who put it there knows which
/// of them counts.
struct ExpiryBuckets {
    /// The length of a stretch in milliseconds.
    let width: Int64
    /// In ascending order. There are few: an eighth of a life each.
    private var buckets: [(number: Int64, places: [Int32])] = []

    /// - Parameter life: how long entries live, in milliseconds.
    init(life: Int64) { width = max(1, life / 8) }

    /// When the earliest stretch is over; `Int64.max` when nothing waits.
    var nextTime: Int64 { buckets.first.map { ($0.number + 1) * width - 1 } ?? .max }

    func number(of moment: Int64) -> Int64 { moment.flooredDivision(by: width).quotient }

    mutating func add(_ place: Int, to number: Int64) {
        // Most go to one of the latest stretches.
        var index = buckets.count
        while index > 0, buckets.count - index < 16, buckets[index - 1].number >= number { index -= 1 }
        if index > 0, buckets[index - 1].number >= number { index = firstIndex(from: number) }
        if index < buckets.count, buckets[index].number == number {
            buckets[index].places.append(Int32(truncatingIfNeeded: place))
        } else {
            buckets.insert((number, [Int32(truncatingIfNeeded: place)]), at: index)
        }
    }

    private func firstIndex(from number: Int64) -> Int {
        var (low, high) = (0, buckets.count)
        while low < high {
            let middle = (low + high) / 2
            if buckets[middle].number < number { low = middle + 1 } else { high = middle }
        }
        return low
    }

    /// Takes the earliest stretch, if it is over at `now`.
    mutating func popDue(_ now: Int64) -> (number: Int64, places: [Int32])? {
        guard nextTime <= now, !buckets.isEmpty else { return nil }
        return buckets.removeFirst()
    }
}
