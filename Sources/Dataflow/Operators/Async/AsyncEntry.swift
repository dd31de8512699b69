// SPDX-License-Identifier: Apache-2.0
//  One element that waits for its call, and one request that elements wait for.

import ThalwegBase

/// An element from its entry to the departure of its results. Belongs to one task.
final class AsyncEntry<Input, Request, Output> {
    let input: Input
    /// Milliseconds of event time; `Int64.min` when it has none.
    let time: Int64
    let split: Int32
    /// Where it stands among the elements of the subtask.
    let sequence: Int
    /// When it is given up, in milliseconds of processing time.
    let deadline: Int64
    /// The lane in which it keeps its place.
    let lane: UInt64?
    /// What became of it; nil while it waits.
    var outcome: Result<[Output], any Error>?
    /// The request that it waits for.
    var fetch: Fetch<Input, Request, Output>?
    /// The next element of its lane.
    var nextInLane: AsyncEntry?
    /// Whether no element of its lane stands before it.
    var isFirstInLane = true
    var segment: EmissionSegment<AsyncEntry>?
    /// Neighbours among the elements that wait, in order of their deadlines.
    fileprivate(set) var later: AsyncEntry?
    fileprivate(set) weak var earlier: AsyncEntry?

    init(
        _ input: Input, time: Int64, split: Int32, sequence: Int, deadline: Int64, lane: UInt64?
    ) {
        self.input = input
        self.time = time
        self.split = split
        self.sequence = sequence
        self.deadline = deadline
        self.lane = lane
    }
}

/// A request and the elements that wait for its response.
final class Fetch<Input, Request, Output> {
    let request: Request
    /// Those without an outcome, in order of entry.
    var waiters = Fifo<AsyncEntry<Input, Request, Output>>()
    /// The calls made so far.
    var attempts = 0
    /// The call under way.
    var call: Int?

    init(_ request: Request, for entry: AsyncEntry<Input, Request, Output>) {
        self.request = request
        waiters.append(entry)
    }
}

/// The elements without an outcome, in order of entry, which is that of their deadlines: all have the same time-out.
struct WaitingList<Input, Request, Output> {
    typealias Entry = AsyncEntry<Input, Request, Output>
    private(set) var first: Entry?
    private var last: Entry?

    mutating func append(_ entry: Entry) {
        entry.earlier = last
        if let last { last.later = entry } else { first = entry }
        last = entry
    }

    mutating func remove(_ entry: Entry) {
        let (earlier, later) = (entry.earlier, entry.later)
        if let earlier { earlier.later = later } else { first = later }
        if let later { later.earlier = earlier } else { last = earlier }
        (entry.earlier, entry.later) = (nil, nil)
    }

    /// Forgets everything, one by one: a long list must not be destroyed recursively.
    mutating func removeAll() {
        while let entry = first { remove(entry) }
    }
}
