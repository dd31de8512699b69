// SPDX-License-Identifier: Apache-2.0
//  In which order the results of asynchronous calls leave, and how many calls may be under way.

import ThalwegBase

/// The order in which results of asynchronous calls leave (FLIP-12).
///
/// The capacity bounds what a subtask holds: calls under way, results that wait for their turn, and watermarks between
/// them. When it is reached, the subtask takes no input until a result has left.
public struct AsyncOrder: Sendable, Hashable {
    @usableFromInline enum Kind: String, Sendable, Hashable {
        case ordered, unordered
    }
    @usableFromInline let kind: Kind
    /// The most elements held at a time in each subtask.
    public let capacity: Int

    /// Results leave in the order of the input; a slow call holds back the results behind it.
    public static func ordered(capacity: Int = 100) -> AsyncOrder { AsyncOrder(kind: .ordered, capacity: capacity) }

    /// Results leave as they are ready. They never overtake a watermark, nor does a watermark overtake them.
    public static func unordered(capacity: Int = 100) -> AsyncOrder {
        AsyncOrder(kind: .unordered, capacity: capacity)
    }

    /// The place in the order of results: by lane.
    var lanes: AsyncLanes { kind == .ordered ? .one : .none }
}

/// The order in which results of asynchronous calls leave a keyed stream (FLIP-12).
public struct KeyedAsyncOrder: Sendable, Hashable {
    /// The most elements held at a time in each subtask.
    public let capacity: Int

    /// Results of one key leave in the order of its records, those of different keys as they are ready. Calls of one
    /// key may overlap: only their results are put in order. The order is kept over a change of parallelism.
    public static func keyOrdered(capacity: Int = 100) -> KeyedAsyncOrder { KeyedAsyncOrder(capacity: capacity) }
}

/// Which elements wait for each other: those of one lane leave in the order in which they came.
public enum AsyncLanes: String, Sendable, Hashable {
    /// Everything is one lane.
    case one
    /// There are no lanes.
    case none
    /// A lane for each hash of a key.
    case keys
}
