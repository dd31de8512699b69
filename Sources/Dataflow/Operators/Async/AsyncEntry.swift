// SPDX-License-Identifier: Apache-2.0
//  One element that waits for its call, and one request that elements wait for.

import ThalwegBase

/// An element from its entry to the departure of its results. Belongs to one task.
@usableFromInline final class AsyncEntry<Input, Request, Output> {
    @usableFromInline let input: Input
    /// Milliseconds of event time; `Int64.min` when it has none.
    @usableFromInline let time: Int64
    @usableFromInline let split: Int32
    /// Where it stands among the elements of the subtask.
    @usableFromInline let sequence: Int
    /// When it is given up, in milliseconds of processing time.
    @usableFromInline let deadline: Int64
    /// The lane in which it keeps its place.
    @usableFromInline let lane: UInt64?
    /// What became of it; nil while it waits.
    @usableFromInline var outcome: Result<[Output], any Error>?
    /// The request that it waits for.
    @usableFromInline var fetch: Fetch<Input, Request, Output>?
    /// The next element of its lane.
    @usableFromInline var nextInLane: AsyncEntry?
    /// Whether no element of its lane stands before it.
    @usableFromInline var isFirstInLane = true
    @usableFromInline var segment: EmissionSegment<AsyncEntry>?
    /// Neighbours among the elements that wait, in order of their deadlines.
    @usableFromInline var later: AsyncEntry?
    @usableFromInline weak var earlier: AsyncEntry?

    @inlinable
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
@usableFromInline final class Fetch<Input, Request, Output> {
    @usableFromInline let request: Request
    /// Those without an outcome, in order of entry.
    @usableFromInline var waiters = Fifo<AsyncEntry<Input, Request, Output>>()
    /// The calls made so far.
    @usableFromInline var attempts = 0
    /// The call under way.
    @usableFromInline var call: Int?

    @inlinable
    init(_ request: Request, for entry: AsyncEntry<Input, Request, Output>) {
        self.request = request
        waiters.append(entry)
    }
}

/// The elements without an outcome, in order of entry, which is that of their deadlines: all have the same time-out.
@usableFromInline struct WaitingList<Input, Request, Output> {
    @usableFromInline typealias Entry = AsyncEntry<Input, Request, Output>
    @usableFromInline var first: Entry?
    @usableFromInline var last: Entry?

    @inlinable init() {}

    @inlinable
    mutating func append(_ entry: Entry) {
        entry.earlier = last
        if let last { last.later = entry } else { first = entry }
        last = entry
    }

    @inlinable
    mutating func remove(_ entry: Entry) {
        let (earlier, later) = (entry.earlier, entry.later)
        if let earlier { earlier.later = later } else { first = later }
        if let later { later.earlier = earlier } else { last = earlier }
        (entry.earlier, entry.later) = (nil, nil)
    }

    /// Forgets everything, one by one: a long list must not be destroyed recursively.
    @inlinable
    mutating func removeAll() {
        while let entry = first { remove(entry) }
    }
}
