// SPDX-License-Identifier: Apache-2.0
//  One direction between two subtasks, seen from the operators.

import ThalwegBase

/// What lies in a channel. Batches are erased: both ends know the type from the graph.
@frozen
public enum Packet: @unchecked Sendable {
    // Unchecked: a batch in a channel belongs to nobody else; see `Batch`.
    case batch(AnyObject)
    case signal(Signal)
}

/// The sending end of a channel to another subtask.
public protocol ExchangeChannel: AnyObject {
    /// Puts a packet in line. Never blocks: the runtime does not poll a task whose channels are full.
    func send(_ packet: Packet)
    /// An emptied batch that came back, if any.
    func takeRecycled() -> AnyObject?
}

/// How records find their subtask.
@frozen
public enum Partitioning: String, Codable, Sendable, Hashable {
    /// To the subtask of the same number.
    case forward
    /// By the key group of the record's key.
    case hash
    /// To each subtask in turn.
    case rebalance
    /// In turn among the nearest subtasks.
    case rescale
    /// To every subtask.
    case broadcast
    /// To subtask 0.
    case global
}
