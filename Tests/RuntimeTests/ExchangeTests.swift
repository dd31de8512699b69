// SPDX-License-Identifier: Apache-2.0
//  Channels and exchange writers: every record once, to the right subtask, in order, signals in their place.

import Testing
import Thalweg
@testable import ThalwegRuntime

@Suite struct ExchangeTests {
    /// A channel end that keeps everything and gives batches back.
    private final class Lane: ExchangeChannel {
        var arrived: [(record: Int, time: Int64)] = []
        var events: [String] = []
        var sizes: [Int] = []
        var spare: [Batch<Int>] = []

        func send(_ packet: Packet) {
            switch packet {
            case .batch(let object):
                guard let batch = object as? Batch<Int> else { return }
                for index in 0..<batch.count {
                    arrived.append((batch.rows[index], batch.time(at: index)))
                    events.append("\(batch.rows[index])")
                }
                sizes.append(batch.count)
                batch.removeAll()
                spare.append(batch)
            case .signal(let signal): events.append("\(signal)")
            }
        }

        func takeRecycled() -> AnyObject? { spare.popLast() }
    }

    @Test(arguments: [Partitioning.forward, .hash, .rebalance, .rescale, .broadcast, .global], 1...5)
    func everyRecordArrivesOnceInOrder(_ partitioning: Partitioning, _ width: Int) throws {
        for seed in 0..<12 as Range<UInt64> {
            var random = SeededRandom(seed: seed)
            let capacity = [1, 2, 7, 64][Int(random.next() % 4)]
            let lanes = (0..<(partitioning == .forward || partitioning == .global ? 1 : width)).map { _ in Lane() }
            let writer = ExchangeWriter<Int>(
                partitioning, to: lanes, subtask: Int(random.next() % 5), maxParallelism: 128, capacity: capacity
            ) { batch, hashes in
                for index in 0..<batch.count { hashes[index] = StableHash.mix(UInt64(batch.rows[index] % 50)) }
            }
            let inlet = writer.inlet
            var (sent, lastSignalAt, time): ([Int], Int, Int64) = ([], 0, 0)
            for _ in 0..<120 {
                if random.next() % 6 == 0 {
                    time += 1
                    try inlet.signal(.watermark(Watermark(EventTime(milliseconds: time))))
                    for lane in lanes {
                        // A signal comes behind all records sent before it.
                        #expect(lane.events.last?.contains("watermark") == true)
                    }
                    let arrived = lanes.reduce(0) { $0 + $1.arrived.count }
                    #expect(arrived == sent.count * (partitioning == .broadcast ? lanes.count : 1))
                    lastSignalAt = sent.count
                }
                let batch = Batch<Int>(capacity: capacity)
                batch.isTimed = random.next() % 3 != 0
                for _ in 0..<Int.random(in: 0...capacity, using: &random) {
                    batch.append(sent.count, time: Int64(sent.count) * 10)
                    sent.append(batch.isTimed ? sent.count * 10 : .min)
                }
                try inlet.push(batch)
                batch.removeAll()
            }
            try inlet.signal(.splitFinished(3))
            try inlet.signal(.end)
            #expect(lastSignalAt <= sent.count)
            check(lanes, sent, partitioning, capacity, "\(partitioning) x \(width) seed \(seed)")
        }
    }

    private func check(
        _ lanes: [Lane], _ sent: [Int], _ partitioning: Partitioning, _ capacity: Int, _ label: Comment
    ) {
        for (number, lane) in lanes.enumerated() {
            let records = lane.arrived.map(\.record)
            #expect(records == records.sorted() && Set(records).count == records.count, label)
            #expect(lane.arrived.allSatisfy { Int($0.time) == sent[$0.record] }, label)
            #expect(lane.sizes.allSatisfy { (1...capacity).contains($0) }, label)
            #expect(lane.events.last == "end" && !lane.events.contains { $0.contains("split") }, label)
            #expect(lane.spare.allSatisfy { $0.capacity == capacity }, label)
            if partitioning == .broadcast { #expect(records == Array(sent.indices), label) }
            if partitioning == .hash {
                for record in records {
                    let group = KeyGroup.of(hash: StableHash.mix(UInt64(record % 50)), maxParallelism: 128)
                    #expect(KeyGroup.subtask(of: group, maxParallelism: 128, parallelism: lanes.count) == number)
                }
            }
        }
        if partitioning != .broadcast {
            #expect(lanes.flatMap { $0.arrived.map(\.record) }.sorted() == Array(sent.indices), label)
        }
    }

    @Test func rebalanceIsEven() throws {
        let lanes = (0..<4).map { _ in Lane() }
        let writer = ExchangeWriter<Int>(.rebalance, to: lanes, subtask: 1, maxParallelism: 128, capacity: 8, hash: nil)
        for start in 0..<400 {
            let batch = Batch<Int>(capacity: 8)
            for offset in 0..<8 { batch.append(start * 8 + offset, time: 0) }
            try writer.inlet.push(batch)
        }
        #expect(lanes.map(\.arrived.count) == [800, 800, 800, 800])
    }

    /// A batch of another size that came into circulation must not be filled beyond its end.
    @Test func recycledBatchesOfOtherSizesAreNotUsed() throws {
        let lane = Lane()
        lane.spare = [Batch(capacity: 1), Batch(capacity: 4), Batch(capacity: 4096)]
        let writer = ExchangeWriter<Int>(.global, to: [lane], subtask: 0, maxParallelism: 128, capacity: 64, hash: nil)
        for start in 0..<100 {
            let batch = Batch<Int>(capacity: 64)
            for offset in 0..<(start % 65) { batch.append(offset, time: 0) }
            try writer.inlet.push(batch)
            #expect(batch.capacity == 64)
        }
        try writer.inlet.signal(.flush)
        #expect(lane.arrived.count == (0..<100).reduce(0) { $0 + $1 % 65 })
    }

    @Test func fanOutCopiesKeepTheCapacityOfTheJob() throws {
        var seen: [[Int]] = [[], [], []]
        var capacities: Set<Int> = []
        let inlets = (0..<3).map { number in
            Inlet<Int>(
                push: { batch in
                    capacities.insert(batch.capacity)
                    seen[number] += UnsafeBufferPointer(start: batch.rows, count: batch.count)
                    for index in 0..<batch.count { batch.rows[index] = -1 }  // a consumer may do what it likes
                }, signal: { _ in })
        }
        let inlet = FanOut(inlets).inlet
        let batch = Batch<Int>(capacity: 3000)
        for number in 0..<1500 { batch.append(number, time: 0) }
        try inlet.push(batch)
        #expect(seen == Array(repeating: Array(0..<1500), count: 3) && capacities == [3000])
    }

    // MARK: Channel

    @Test func aChannelIsAQueueThatSaysWhenItIsFull() {
        nonisolated(unsafe) var (consumer, producer) = (0, 0)  // one thread
        let channel = Channel(wakeConsumer: { consumer += 1 }, wakeProducer: { producer += 1 })
        var random = SeededRandom(seed: 4)
        var twin: [Int32] = []
        var wasFull = false
        for step in 0..<5000 as Range<Int32> {
            if random.next() % 2 == 0 && !channel.isFull {
                let wakes = consumer
                channel.send(.signal(.splitFinished(step)))
                twin.append(step)
                #expect(consumer == wakes + (twin.count == 1 ? 1 : 0))
            } else {
                let wakes = producer
                let packet = channel.receive()
                if twin.isEmpty {
                    #expect(packet == nil)
                } else {
                    guard case .signal(.splitFinished(let number))? = packet else {
                        Issue.record("lost")
                        return
                    }
                    #expect(number == twin.removeFirst())
                }
                #expect(producer == wakes + (wasFull ? 1 : 0))
            }
            wasFull = twin.count >= ChannelLimits().packets
            #expect(channel.isFull == wasFull && twin.count <= ChannelLimits().packets)
        }
    }

    @Test func barriersOfNewerCheckpointsStayInLine() {
        let channel = Channel(wakeConsumer: {}, wakeProducer: {})
        func text(_ packet: Packet?) -> String {
            switch packet {
            case .signal(.barrier(let barrier)): "barrier \(barrier.checkpoint)"
            case .signal(.splitFinished(let number)): "\(number)"
            case .signal, .batch: "another"
            case nil: "none"
            }
        }
        for checkpoint in [4, 5, 6] as [Int64] {
            channel.send(.signal(.splitFinished(Int32(checkpoint))))
            channel.send(.signal(.barrier(CheckpointBarrier(checkpoint: checkpoint, time: 0))))
        }
        let taken = (0..<5).map { _ in text(channel.receive(barrierMax: 5)) }
        #expect(taken == ["4", "barrier 4", "5", "barrier 5", "6"])
        #expect(text(channel.receive(barrierMax: 5)) == "none" && channel.queuedBarrier(after: 5)?.checkpoint == 6)
        #expect(text(channel.receive()) == "barrier 6" && text(channel.receive()) == "none")
    }

    /// With several checkpoints under way each would give up the one before.
    @Test func anOvertakenCheckpointHoldsBackNewerBarriers() {
        func barrier(_ checkpoint: Int64) -> CheckpointBarrier {
            CheckpointBarrier(checkpoint: checkpoint, time: 0, alignmentTimeout: 0)
        }
        var aligner = BarrierAligner(inputs: 3)
        #expect(aligner.barrierMax(of: 0) == .max)
        #expect(aligner.overtake(barrier(4), foundIn: [0]) == [])
        #expect((0..<3).map(aligner.barrierMax) == [4, .max, .max])
        #expect(aligner.arrive(barrier(4), from: 2) == [] && aligner.barrierMax(of: 2) == 4)
        // An input that skips a checkpoint will never send its barrier.
        var skipping = aligner
        #expect(skipping.arrive(barrier(5), from: 1) == [.abandon(barrier(4))])
        #expect(aligner.arrive(barrier(4), from: 1) == [.recorded(barrier(4))])
        #expect((0..<3).map(aligner.barrierMax) == [.max, .max, .max])
    }

    @Test func aChannelKeepsFewEmptiedBatches() {
        let channel = Channel(wakeConsumer: {}, wakeProducer: {})
        for _ in 0..<100 { channel.recycle(Batch<Int>(capacity: 1)) }
        var count = 0
        while channel.takeRecycled() != nil { count += 1 }
        #expect(count == ChannelLimits().recycled)
    }
}
