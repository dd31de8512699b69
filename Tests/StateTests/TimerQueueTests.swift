// SPDX-License-Identifier: Apache-2.0
//  The timer queue against a sorted set.

import Testing
import ThalwegBase
import ThalwegState

@Suite struct TimerQueueTests {
    @Test(arguments: 0..<20 as Range<UInt64>)
    func behavesAsASortedSet(_ seed: UInt64) {
        var random = SeededRandom(seed: seed)
        let queue = TimerQueue()
        var twin: Set<TimerQueue.Timer> = []
        var now: Int64 = 0
        for step in 0..<3000 {
            let slot = Int.random(in: 0..<12, using: &random)
            let time = now + .random(in: -5...40, using: &random)
            let timer = TimerQueue.Timer(time: time, slot: Int32(slot))
            switch random.next() % 20 {
            case 0..<9:
                queue.register(time: time, slot: slot)
                twin.insert(timer)
            case 9..<13:
                queue.delete(time: time, slot: slot)
                twin.remove(timer)
            case 13:
                queue.deleteAll(of: slot)
                twin = twin.filter { $0.slot != Int32(slot) }
            default:
                now += .random(in: 0...6, using: &random)
                while let fired = queue.popDue(now) {
                    #expect(fired == twin.min(), "seed \(seed) step \(step)")
                    twin.remove(fired)
                }
                #expect(twin.allSatisfy { $0.time > now }, "seed \(seed) step \(step)")
            }
            #expect(queue.count == twin.count)
            #expect(queue.count(of: slot) == twin.count { $0.slot == Int32(slot) })
            // Never later than the first live timer; dead ones may make it earlier.
            #expect(queue.nextTime <= twin.min()?.time ?? .max)
        }
    }

    @Test func extremesFireInOrder() {
        let queue = TimerQueue()
        for time in [Int64.max, .min, 0, -1, 1] { queue.register(time: time, slot: 3) }
        #expect(queue.popDue(.max - 1)?.time == .min)
        #expect((0..<4).map { _ in queue.popDue(.max)?.time } == [-1, 0, 1, .max])
        #expect(queue.popDue(.max) == nil && queue.nextTime == .max && queue.count == 0)
    }

    @Test func deletingAndRegisteringForEverKeepsMemoryBounded() {
        let queue = TimerQueue()
        for round in 0..<200_000 as Range<Int64> {
            queue.register(time: 1_000_000 + round % 10, slot: 0)
            queue.delete(time: 1_000_000 + round % 10, slot: 0)
        }
        #expect(queue.count == 0)
        queue.register(time: 5, slot: 0)
        #expect(queue.popDue(10)?.time == 5 && queue.popDue(.max) == nil)
    }
}
