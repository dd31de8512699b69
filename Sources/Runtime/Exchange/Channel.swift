// SPDX-License-Identifier: Apache-2.0
//  A bounded queue from one subtask to another in the same process.

import Synchronization
import ThalwegBase
import ThalwegOperator

/// One direction between two subtasks. Batches pass as they are; emptied ones travel back to be filled again.
///
/// Sending never blocks: the runtime does not poll a producer whose channels are full, so a channel holds at most
/// `limits.packets` packets plus what one poll of the producer makes.
final class Channel: ExchangeChannel, Sendable {
    private struct Contents {
        var packets: [Packet] = []
        var head = 0
        var recycled: [Packet] = []

        var count: Int { packets.count - head }
    }

    /// The number of packets at which the producer pauses, and of emptied batches kept for it.
    let limits: ChannelLimits
    /// What one batch occupies.
    private let batchBytes: Int
    private let memory: ExchangeMemory?
    private let contents = Guarded(Contents())
    private let full = Atomic<Bool>(false)
    /// The barriers in line.
    private let barriers = Atomic<Int>(0)
    private let wakeConsumer: @Sendable () -> Void
    private let wakeProducer: @Sendable () -> Void

    /// - Parameters:
    ///   - batchBytes: what one batch occupies.
    ///   - memory: told what lies in the channel.
    init(
        limits: ChannelLimits = ChannelLimits(), batchBytes: Int = 0, memory: ExchangeMemory? = nil,
        wakeConsumer: @escaping @Sendable () -> Void, wakeProducer: @escaping @Sendable () -> Void
    ) {
        self.limits = limits
        self.batchBytes = batchBytes
        self.memory = memory
        self.wakeConsumer = wakeConsumer
        self.wakeProducer = wakeProducer
    }

    deinit {
        guard let memory else { return }
        contents.withLock { contents in
            for packet in contents.packets[contents.head...] {
                if case .batch = packet { memory.subtract(batchBytes) }
            }
        }
    }

    /// Whether the producer should wait.
    var isFull: Bool { full.load(ordering: .acquiring) }

    func send(_ packet: Packet) {
        var isBarrier = false
        if case .signal(.barrier) = packet { isBarrier = true }
        // Counted first: whoever receives it takes it off the count.
        if isBarrier { barriers.add(1, ordering: .releasing) }
        if let memory, case .batch = packet { memory.add(batchBytes) }
        let wasEmpty = contents.withLock { contents in
            contents.packets.append(packet)
            if contents.count >= limits.packets { full.store(true, ordering: .releasing) }
            return contents.count == 1
        }
        // A barrier may have to go ahead of what lies before it.
        if wasEmpty || isBarrier { wakeConsumer() }
    }

    // MARK: Barriers

    /// The first barrier in line of a checkpoint after this one, if there is one.
    func queuedBarrier(after latest: Int64) -> CheckpointBarrier? {
        if barriers.load(ordering: .acquiring) == 0 { return nil }
        return contents.withLock { contents in
            for packet in contents.packets[contents.head...] {
                if case .signal(.barrier(let barrier)) = packet, barrier.checkpoint > latest { return barrier }
            }
            return nil
        }
    }

    /// Takes the barrier of a checkpoint out of the line.
    ///
    /// - Returns: the packets before it, which stay in line; nil when the barrier is not there.
    func takeBarrier(of checkpoint: Int64) -> [Packet]? {
        if barriers.load(ordering: .acquiring) == 0 { return nil }
        let (before, wasFull) = contents.withLock { contents -> ([Packet]?, Bool) in
            for (index, packet) in contents.packets.enumerated() where index >= contents.head {
                guard case .signal(.barrier(let barrier)) = packet, barrier.checkpoint == checkpoint else { continue }
                contents.packets.remove(at: index)
                return (Array(contents.packets[contents.head..<index]), makesRoom(contents))
            }
            return (nil, false)
        }
        if before != nil { barriers.subtract(1, ordering: .releasing) }
        if wasFull { wakeProducer() }
        return before
    }

    /// - Parameter barrierMax: barriers of newer checkpoints stay in line, and what lies behind them.
    func receive(barrierMax: Int64 = .max) -> Packet? {
        let (packet, wasFull) = contents.withLock { contents -> (Packet?, Bool) in
            guard contents.head < contents.packets.count else { return (nil, false) }
            let packet = contents.packets[contents.head]
            if case .signal(.barrier(let barrier)) = packet, barrier.checkpoint > barrierMax { return (nil, false) }
            contents.packets[contents.head] = .signal(.flush)  // lets go of the batch
            contents.head += 1
            if contents.head == contents.packets.count {
                contents.packets.removeAll(keepingCapacity: true)
                contents.head = 0
            } else if contents.head >= 64 && contents.head * 2 >= contents.packets.count {
                // A channel that is never quite empty must not keep what has passed.
                contents.packets.removeFirst(contents.head)
                contents.head = 0
            }
            let wasFull = makesRoom(contents)
            return (packet, wasFull)
        }
        if case .signal(.barrier)? = packet { barriers.subtract(1, ordering: .releasing) }
        if let memory, case .batch? = packet { memory.subtract(batchBytes) }
        if wasFull { wakeProducer() }
        return packet
    }

    /// Notes that a packet has left; whether the producer may go on because of that.
    private func makesRoom(_ contents: borrowing Contents) -> Bool {
        guard contents.count < limits.packets, full.load(ordering: .relaxed) else { return false }
        full.store(false, ordering: .releasing)
        return true
    }

    /// Gives an emptied batch back to the producer.
    func recycle(_ batch: AnyObject) {
        let packet = Packet.batch(batch)
        contents.withLock { contents in
            if contents.recycled.count < limits.recycled { contents.recycled.append(packet) }
        }
    }

    func takeRecycled() -> AnyObject? {
        guard case .batch(let batch)? = contents.withLock({ $0.recycled.popLast() }) else { return nil }
        return batch
    }
}
