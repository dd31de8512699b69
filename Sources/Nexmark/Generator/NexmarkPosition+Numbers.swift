// SPDX-License-Identifier: Apache-2.0
//  The number fields of each kind of event.

public import ThalwegBase

extension NexmarkPosition {
    // MARK: Person

    @inlinable @inline(__always) public var personID: Int64 { Int64(truncatingIfNeeded: 1000 &+ lastPerson) }

    // MARK: Auction

    @inlinable @inline(__always) public var auctionID: Int64 { Int64(truncatingIfNeeded: 999 &+ epoch &* 3 &+ offset) }

    @inlinable @inline(__always) public var auctionInitialBid: Int64 { Int64(truncatingIfNeeded: price(1)) }

    @inlinable @inline(__always) public var auctionReserve: Int64 { Int64(truncatingIfNeeded: price(1) &+ price(3)) }

    @inlinable @inline(__always) public var auctionExpires: EventTime {
        EventTime(milliseconds: milliseconds &+ 1 &+ Int64(truncatingIfNeeded: pick(5, 3332)))
    }

    @inlinable @inline(__always) public var auctionSeller: Int64 {
        let hot = lastPerson / 100 &* 100
        return Int64(truncatingIfNeeded: 1000 &+ choose(pick(6, 4) > 0, hot, coldPerson(7)))
    }

    @inlinable @inline(__always) public var auctionCategory: Int64 { Int64(truncatingIfNeeded: 10 &+ pick(8, 5)) }

    // MARK: Bid

    @inlinable @inline(__always) public var bidAuction: Int64 {
        let last = lastAuctionAtBid
        let hot = last / 100 &* 100
        let cold = last >= 100 ? last &- 100 &+ pick(2, 111) : pick(2, last &+ 11)
        return Int64(truncatingIfNeeded: 1000 &+ choose(pick(1, 2) > 0, hot, cold))
    }

    @inlinable @inline(__always) public var bidBidder: Int64 {
        let hot = lastPerson / 100 &* 100 &+ 1
        return Int64(truncatingIfNeeded: 1000 &+ choose(pick(3, 4) > 0, hot, coldPerson(4)))
    }

    @inlinable @inline(__always) public var bidPrice: Int64 { Int64(truncatingIfNeeded: price(5)) }
}
