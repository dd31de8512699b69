// SPDX-License-Identifier: Apache-2.0
//  One place in the event stream: the hash every field is drawn from, and the shape of the stream around it.

public import ThalwegBase

/// Event number `n` of a seed, before any of its fields is computed.
///
/// Every field is a property here and costs only itself: a job that needs the auction and the price of a bid pays for
/// two draws, not for strings. Properties of the wrong kind (`bidPrice` of a person) give numbers without meaning.
/// All arithmetic is that of the specification: 64-bit, wrapping.
@frozen
public struct NexmarkPosition: Sendable {
    /// `n / 50`: one person, three auctions and 46 bids make an epoch.
    public let epoch: UInt64
    /// `n % 50`: 0 is the person, 1...3 the auctions, the rest bids.
    public let offset: UInt64
    /// `(seed + 1) * G + n * C2`: what all draws of this event start from.
    @usableFromInline let word: UInt64

    @inlinable @inline(__always)
    init(epoch: UInt64, offset: UInt64, word: UInt64) {
        self.epoch = epoch
        self.offset = offset
        self.word = word
    }

    @usableFromInline static var eventStep: UInt64 { @inlinable get { 0xD1B5_4A32_D192_ED03 } }
    @usableFromInline static var drawStep: UInt64 { @inlinable get { 0xA24B_AED4_963E_E407 } }
    @usableFromInline static var baseMilliseconds: UInt64 { @inlinable get { 1_436_918_400_000 } }

    // MARK: Draws

    /// The draw `r(n, k)`.
    @inlinable @inline(__always)
    func draw(_ k: UInt64) -> UInt64 {
        var z = word &+ k &* Self.drawStep
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }

    /// `pick(n, k, m)`: a number below `modulus`. With a literal modulus the division becomes a multiplication.
    @inlinable @inline(__always)
    func pick(_ k: UInt64, _ modulus: UInt64) -> UInt64 { (draw(k) >> 1) % modulus }

    /// A price: three digits, then up to five zeros.
    @inlinable @inline(__always)
    func price(_ k: UInt64) -> UInt64 {
        let scale: UInt64 =
            switch pick(k &+ 1, 6) {
            case 0: 1
            case 1: 10
            case 2: 100
            case 3: 1000
            case 4: 10_000
            default: 100_000
            }
        return (100 &+ pick(k, 900)) &* scale
    }

    /// `hot` or `cold` without a branch: the choice is random, so a branch would be mispredicted.
    @inlinable @inline(__always)
    func choose(_ isHot: Bool, _ hot: UInt64, _ cold: UInt64) -> UInt64 {
        let mask: UInt64 = 0 &- (isHot ? 1 : 0)
        return cold ^ ((cold ^ hot) & mask)
    }

    // MARK: Stream

    /// The event's number.
    @inlinable public var number: Int64 { Int64(truncatingIfNeeded: epoch &* 50 &+ offset) }

    /// What the event carries.
    @inlinable public var kind: NexmarkKind { offset < 1 ? .person : offset < 4 ? .auction : .bid }

    /// The event's time in milliseconds since 1970 UTC.
    @inlinable public var milliseconds: Int64 {
        // `offset` is below 50, so the product fits 32 bits and the remainder is a short multiplication.
        let step = UInt64(UInt32(truncatingIfNeeded: offset) &* 37 % 50)
        return Int64(truncatingIfNeeded: Self.baseMilliseconds &+ epoch &* 50 &+ step)
    }

    /// The event's time.
    @inlinable public var dateTime: EventTime { EventTime(milliseconds: milliseconds) }

    /// The newest person so far, counted from 0.
    @inlinable var lastPerson: UInt64 { epoch }

    /// The newest auction at a bid, counted from 0.
    @inlinable var lastAuctionAtBid: UInt64 { epoch &* 3 &+ 2 }

    /// Any of the newest thousand persons, or one of the ten that come next.
    @inlinable @inline(__always)
    func coldPerson(_ k: UInt64) -> UInt64 {
        if epoch >= 1000 { return epoch &- 1000 &+ pick(k, 1010) }
        return pick(k, epoch &+ 10)
    }
}
