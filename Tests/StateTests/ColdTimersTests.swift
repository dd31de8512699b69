// SPDX-License-Identifier: Apache-2.0
//  When the timers of rows at rest are due, against a sorted list.

import Testing
import ThalwegBase
import ThalwegTesting

@testable import ThalwegState

@Suite struct ColdTimersTests {
    @Test(arguments: 0..<16 as Range<UInt64>)
    func theEarliestOfLayersThatAreThere(_ seed: UInt64) {
        var random = SeededRandom(seed: seed)
        var timers = ColdTimers()
        var layers: [RowLayer] = []
        var expected: [(time: Int64, layer: RowLayer)] = []
        var sequence: Int64 = 0
        for step in 0..<300 {
            switch random.next() % 4 {
            case 0..<2:
                sequence += 1
                let layer = RowLayer(sequence: sequence, rowCount: 1, states: [])
                layers.append(layer)
                timers.keep(layers)
                for _ in 0..<Int(random.next() % 40) {
                    let time = Int64(random.next() % 10_000)
                    timers.add(TimerStretch(earliest: time, state: "t", from: [UInt8(time & 255)], layer: layer))
                    expected.append((time, layer))
                }
            case 2 where !layers.isEmpty:
                let gone = layers.remove(at: Int(random.next() % UInt64(layers.count)))
                timers.keep(layers)
                expected.removeAll { $0.layer === gone }
            default:
                let limit = Int64(random.next() % 10_000)
                let due = expected.filter { $0.time <= limit }.map(\.time).sorted()
                var popped: [Int64] = []
                while popped.count < 30, let stretch = timers.popDue(limit) {
                    popped.append(stretch.earliest)
                    let place = expected.firstIndex { $0.time == stretch.earliest && $0.layer === stretch.layer }
                    if let place { expected.remove(at: place) }
                }
                #expect(popped == Array(due.prefix(30)), "seed \(seed) step \(step)")
            }
            #expect(timers.nextTime == expected.map(\.time).min() ?? .max, "seed \(seed) step \(step)")
        }
    }
}
