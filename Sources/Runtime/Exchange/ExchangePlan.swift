// SPDX-License-Identifier: Apache-2.0
//  How much the channels of a job may hold, so that together they keep within a size.

import Synchronization
import ThalwegBase
import ThalwegControl
import ThalwegGraph

/// How much one channel may hold.
struct ChannelLimits: Sendable, Hashable {
    /// The number of packets at which the producer pauses.
    var packets = 8
    /// The number of emptied batches kept for the producer.
    var recycled = 4

    /// The batches of a channel that lie at neither: the one being filled, and the one being read.
    static let inHand = 2

    /// All batches of one channel.
    var batches: Int { packets + recycled + Self.inHand }
}

/// The channels of one edge of a graph.
struct ExchangeEdge: Sendable, Hashable {
    var channels: Int
    /// What a record takes in a batch.
    var rowBytes: Int
}

/// The limits by which the channels of a job keep within the network part of its memory (FLIP-49): a value.
///
/// - Guarantees: with batches of ``batchCapacity`` records, the batches of all channels take at most ``boundBytes``.
/// - Not promised: what records refer to (long strings) is not counted, nor what one poll of a producer sends beyond
///   the place there is, as a window that fires does.
struct ExchangePlan: Sendable, Hashable {
    /// Smaller batches cost more than they save.
    static let batchCapacityMin = 32

    var limits = ChannelLimits()
    var batchCapacity: Int
    var boundBytes: Int

    /// - Throws: `ThalwegError(.job)` with the size that would do, when even small batches take more.
    init(_ edges: [ExchangeEdge], _ batchCapacity: Int, _ memory: MemoryPlan) throws(ThalwegError) {
        let budget = memory.bytes(of: .network)
        let rowBytes = edges.reduce(0) { $0 + $1.channels * $1.rowBytes }
        self.batchCapacity = batchCapacity
        let least = 1 + ChannelLimits.inHand
        while self.batchCapacity > Self.batchCapacityMin, self.batchCapacity * rowBytes * least > budget {
            self.batchCapacity = max(Self.batchCapacityMin, self.batchCapacity / 2)
        }
        let batchBytes = self.batchCapacity * rowBytes
        guard batchBytes * least <= budget else {
            let needed = MemorySize(bytes: batchBytes * least)
            throw ThalwegError(
                .job, "the exchanges do not fit into their part of the memory",
                detail: "\(edges.reduce(0) { $0 + $1.channels }) channels need \(needed) with batches of "
                    + "\(self.batchCapacity) records, network is \(MemorySize(bytes: budget))",
                hint: "set \(MemoryOption.networkMin.rawValue) to \(needed.text) or raise the memory of the process, "
                    + "or lower the parallelism")
        }
        if batchBytes > 0 {
            let room = min(budget / batchBytes, ChannelLimits().batches) - ChannelLimits.inHand
            limits.packets = min(limits.packets, max(1, room * 2 / 3))
            limits.recycled = min(limits.recycled, room - limits.packets)
        }
        boundBytes = batchBytes * limits.batches
    }
}

/// What lies in the channels of a job. Any thread.
public final class ExchangeMemory: Sendable {
    private let queued = Atomic<Int>(0)
    private let peak = Atomic<Int>(0)
    private let bound = Atomic<Int>(0)

    /// The batches in line, in bytes.
    public var queuedBytes: Int { queued.load(ordering: .relaxed) }
    /// The most that was in line at a time, in bytes.
    public var peakBytes: Int { peak.load(ordering: .relaxed) }
    /// What all channels together may hold, in bytes; 0 when no memory was given.
    public var boundBytes: Int { bound.load(ordering: .relaxed) }

    func plan(_ bytes: Int) { bound.store(bytes, ordering: .relaxed) }

    func add(_ bytes: Int) {
        let now = queued.add(bytes, ordering: .relaxed).newValue
        // Read first: a peak is rare, and writing would take the line from other threads each time.
        if now > peak.load(ordering: .relaxed) { _ = peak.max(now, ordering: .relaxed) }
    }

    func subtract(_ bytes: Int) { queued.subtract(bytes, ordering: .relaxed) }
}
