// SPDX-License-Identifier: Apache-2.0
//  Sends the records of one subtask to the subtasks of the next vertex.

import ThalwegBase
import ThalwegData

/// Gathers records per channel and sends full batches. A signal first sends what was gathered, then goes to every
/// channel, so that it keeps its place.
public final class ExchangeWriter<Element> {
    @usableFromInline let channels: [any ExchangeChannel]
    @usableFromInline let partitioning: Partitioning
    @usableFromInline let capacity: Int
    @usableFromInline let maxParallelism: Int
    @usableFromInline let hash: ((Batch<Element>, UnsafeMutablePointer<UInt64>) throws -> Void)?
    @usableFromInline let hashes: UnsafeMutablePointer<UInt64>
    @usableFromInline let lanes: UnsafeMutablePointer<Batch<Element>>
    // Used by one task alone.
    @exclusivity(unchecked) @usableFromInline var next: Int

    @inlinable
    public init(
        _ partitioning: Partitioning, to channels: [any ExchangeChannel], subtask: Int, maxParallelism: Int,
        capacity: Int, hash: ((Batch<Element>, UnsafeMutablePointer<UInt64>) throws -> Void)?
    ) {
        self.channels = channels
        self.partitioning = partitioning
        self.capacity = capacity
        self.maxParallelism = maxParallelism
        self.hash = hash
        next = channels.isEmpty ? 0 : subtask % channels.count
        hashes = .allocate(capacity: capacity)
        lanes = .allocate(capacity: channels.count)
        for lane in 0..<channels.count { (lanes + lane).initialize(to: Batch(capacity: capacity)) }
    }

    deinit {
        hashes.deallocate()
        lanes.deinitialize(count: channels.count)
        lanes.deallocate()
    }

    /// The door for the operator upstream.
    @inlinable
    public var inlet: Inlet<Element> {
        Inlet(push: { try self.write($0) }, signal: { try self.send($0) })
    }

    @inlinable
    func write(_ batch: Batch<Element>) throws {
        switch partitioning {
        case .hash:
            if channels.count == 1 { sendWhole(batch, to: 0) } else { try scatter(batch) }
        case .forward, .global:
            sendWhole(batch, to: 0)
        case .rebalance, .rescale:
            sendWhole(batch, to: next)
            next = next &+ 1 == channels.count ? 0 : next &+ 1
        case .broadcast:
            for lane in 0..<channels.count - 1 {
                let copy = freshBatch(lane)
                copy.copy(from: batch)
                sendWhole(copy, to: lane)
            }
            sendWhole(batch, to: channels.count - 1)
        }
    }

    /// Hands a batch over as it is when it is well filled, else adds its records to what is gathered.
    @inlinable
    func sendWhole(_ batch: Batch<Element>, to lane: Int) {
        let gathered = lanes[lane]
        if gathered.count > 0 && gathered.count + batch.count > capacity || gathered.isTimed != batch.isTimed {
            flush(lane)
        }
        if lanes[lane].isEmpty && batch.count * 2 >= capacity {
            let carrier = freshBatch(lane)
            carrier.swapContents(with: batch)
            carrier.split = -1
            channels[lane].send(.batch(carrier))
            return
        }
        let target = lanes[lane]
        (target.rows + target.count).moveInitialize(from: batch.rows, count: batch.count)
        if batch.isTimed { (target.times + target.count).update(from: batch.times, count: batch.count) }
        target.isTimed = batch.isTimed
        target.count += batch.count
        batch.count = 0
        if target.count == capacity { flush(lane) }
    }

    @inlinable
    func scatter(_ batch: Batch<Element>) throws {
        // A graph with a hash edge always carries the key's hash.
        guard let hash else { return }
        try hash(batch, hashes)
        let (rows, times, count, isTimed) = (batch.rows, batch.times, batch.count, batch.isTimed)
        let (hashes, lanes, width, maxParallelism) = (self.hashes, self.lanes, channels.count, self.maxParallelism)
        if lanes[0].isTimed != isTimed {
            for lane in 0..<width {
                flush(lane)
                lanes[lane].isTimed = isTimed
            }
        }
        for index in 0..<count {
            let group = KeyGroup.of(hash: hashes[index], maxParallelism: maxParallelism)
            let lane = KeyGroup.subtask(of: group, maxParallelism: maxParallelism, parallelism: width)
            let target = lanes[lane]
            let end = target.count
            (target.rows + end).moveInitialize(from: rows + index, count: 1)
            if isTimed { (target.times + end).pointee = times[index] }
            target.count = end &+ 1
            if end &+ 1 == capacity { flush(lane) }
        }
        batch.count = 0
    }

    @inlinable
    func freshBatch(_ lane: Int) -> Batch<Element> {
        // A batch that another operator exchanged for one of another size would overflow here or there.
        if let batch = channels[lane].takeRecycled() as? Batch<Element>, batch.capacity == capacity { return batch }
        return Batch(capacity: capacity)
    }

    @inlinable
    func flush(_ lane: Int) {
        let full = lanes[lane]
        if full.isEmpty { return }
        let isTimed = full.isTimed
        lanes[lane] = freshBatch(lane)
        lanes[lane].isTimed = isTimed
        channels[lane].send(.batch(full))
    }

    @inlinable
    func send(_ signal: Signal) throws {
        switch signal {
        case .splitStarted, .splitFinished: return
        default: break
        }
        for lane in 0..<channels.count {
            flush(lane)
            channels[lane].send(.signal(signal))
        }
    }
}
