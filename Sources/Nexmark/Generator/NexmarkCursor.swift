// SPDX-License-Identifier: Apache-2.0
//  A walk through the event stream that counts instead of dividing.

/// A place in the event stream that moves forward by a fixed stride.
///
/// Subtask `i` of `p` walks with `generator.cursor(at: i, stride: p)`. The number of the next event is all there is to
/// remember in a snapshot.
@frozen
public struct NexmarkCursor: Sendable {
    /// The next event.
    @inlinable public var position: NexmarkPosition { current }
    @usableFromInline var current: NexmarkPosition
    @usableFromInline let epochStep: UInt64
    @usableFromInline let offsetStep: UInt64
    @usableFromInline let wordStep: UInt64

    /// A walk from event `n`. `stride` is 1 or above.
    @inlinable
    public init(_ generator: NexmarkGenerator, at n: Int64 = 0, stride: Int64 = 1) {
        precondition(n >= 0 && stride >= 1, "an event number is 0 or above, a stride 1 or above")
        let step = UInt64(truncatingIfNeeded: stride)
        current = generator.position(n)
        epochStep = step / 50
        offsetStep = step % 50
        wordStep = step &* NexmarkPosition.eventStep
    }

    /// Moves to the next event of the walk.
    @inlinable @inline(__always)
    public mutating func advance() {
        var epoch = current.epoch &+ epochStep
        var offset = current.offset &+ offsetStep
        if offset >= 50 {
            offset &-= 50
            epoch &+= 1
        }
        current = NexmarkPosition(epoch: epoch, offset: offset, word: current.word &+ wordStep)
    }

    /// Walks over the next `count` events.
    ///
    /// The body is inlined where it stands, so fields that it does not ask for are never computed, and what depends on
    /// the epoch alone is computed once per epoch.
    @inlinable @inline(__always)
    public mutating func forEach(next count: Int, _ body: (NexmarkPosition) throws -> Void) rethrows {
        var epoch = current.epoch
        var offset = current.offset
        var word = current.word
        defer { current = NexmarkPosition(epoch: epoch, offset: offset, word: word) }
        let staysInEpoch = epochStep == 0
        var rest = count
        while rest > 0 {
            repeat {
                let position = NexmarkPosition(epoch: epoch, offset: offset, word: word)
                offset &+= offsetStep
                word &+= wordStep
                rest &-= 1
                try body(position)
            } while staysInEpoch && offset < 50 && rest > 0
            epoch &+= epochStep
            if offset >= 50 {
                offset &-= 50
                epoch &+= 1
            }
        }
    }

    /// Walks over the next `count` events and hands over those of one kind.
    @inlinable @inline(__always)
    public mutating func forEach(
        _ kind: NexmarkKind, next count: Int, _ body: (NexmarkPosition) throws -> Void
    ) rethrows {
        let first: UInt64 = kind == .person ? 0 : kind == .auction ? 1 : 4
        let span: UInt64 = kind == .person ? 1 : kind == .auction ? 3 : 46
        try forEach(next: count) { position in
            if position.offset &- first < span { try body(position) }
        }
    }
}
