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
    @usableFromInline let lanes: UnsafeMutablePointer<Lane>
    // Used by one task alone.
    @exclusivity(unchecked) @usableFromInline var next: Int

    /// What is gathered for one channel. Pointers and count lie beside the batch so that the scattering loop touches no
    /// reference count; the batch's own count is set when it is sent.
    @frozen
    @usableFromInline
    struct Lane {
        @usableFromInline var batch: Batch<Element>
        @usableFromInline var rows: UnsafeMutablePointer<Element>
        @usableFromInline var times: UnsafeMutablePointer<Int64>
        @usableFromInline var count = 0
        @usableFromInline var isTimed = false

        @inlinable
        init(_ batch: Batch<Element>) {
            self.batch = batch
            rows = batch.rows
            times = batch.times
        }
    }

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
        for lane in 0..<channels.count { (lanes + lane).initialize(to: Lane(Batch(capacity: capacity))) }
    }

    deinit {
        hashes.deallocate()
        for lane in 0..<channels.count { lanes[lane].batch.count = lanes[lane].count }
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
        if lanes[lane].count > 0 && lanes[lane].count + batch.count > capacity || lanes[lane].isTimed != batch.isTimed {
            flush(lane)
        }
        if lanes[lane].count == 0 && batch.count * 2 >= capacity {
            let carrier = freshBatch(lane)
            carrier.swapContents(with: batch)
            carrier.split = -1
            channels[lane].send(.batch(carrier))
            return
        }
        let (target, end, count) = (lanes + lane, lanes[lane].count, batch.count)
        (target.pointee.rows + end).moveInitialize(from: batch.rows, count: count)
        if batch.isTimed { (target.pointee.times + end).update(from: batch.times, count: count) }
        target.pointee.isTimed = batch.isTimed
        target.pointee.count = end + count
        batch.count = 0
        if end + count == capacity { flush(lane) }
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
        let capacity = self.capacity
        for index in 0..<count {
            let group = KeyGroup.of(hash: hashes[index], maxParallelism: maxParallelism)
            let lane = KeyGroup.subtask(of: group, maxParallelism: maxParallelism, parallelism: width)
            let target = lanes + lane
            let end = target.pointee.count
            (target.pointee.rows + end).moveInitialize(from: rows + index, count: 1)
            if isTimed { (target.pointee.times + end).pointee = times[index] }
            target.pointee.count = end &+ 1
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
        let isTimed = lanes[lane].isTimed
        if lanes[lane].count == 0 { return }
        let full = lanes[lane].batch
        full.count = lanes[lane].count
        full.isTimed = isTimed
        lanes[lane] = Lane(freshBatch(lane))
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
