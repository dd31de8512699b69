// SPDX-License-Identifier: Apache-2.0
//  The text fields of each kind of event, as strings and as bytes written in place.

extension NexmarkPosition {
    // MARK: Letters

    /// Room: `count` rounded up to 16. Writes `letters(n, k, count)`.
    @inlinable @inline(__always)
    func writeLetters(_ k: UInt64, _ count: Int, _ to: UnsafeMutableRawPointer) -> Int {
        var k = k
        var written = 0
        repeat {
            let nibbles = draw(k)
            NexmarkText.store(NexmarkText.letters(nibbles), to + written)
            NexmarkText.store(NexmarkText.letters(nibbles >> 32), to + written + 8)
            k &+= 1
            written &+= 16
        } while written < count
        return count
    }

    /// `letters(n, k, count)` as a string, for at most 112 letters.
    @inlinable
    func letters(_ k: UInt64, _ count: Int) -> String {
        if count <= 15 {
            let nibbles = draw(k)
            return NexmarkText.small(NexmarkText.letters(nibbles), NexmarkText.letters(nibbles >> 32), count: count)
        }
        return NexmarkText.string(room: 112) { writeLetters(k, count, $0) }
    }

    @inlinable @inline(__always)
    func length(_ k: UInt64, _ least: UInt64, _ span: UInt64) -> Int {
        Int(truncatingIfNeeded: least &+ pick(k, span))
    }

    // MARK: Person

    @inlinable var personExtraLength: Int { length(11, 50, 20) }

    public var personName: String { NexmarkText.string(room: 16, writePersonName) }
    public var personEmailAddress: String { NexmarkText.string(room: 32, writePersonEmailAddress) }
    public var personCreditCard: String { NexmarkText.string(room: 32, writePersonCreditCard) }
    public var personCity: String { NexmarkText.string(room: 16, writePersonCity) }
    public var personState: String { NexmarkText.string(room: 8, writePersonState) }
    @inlinable public var personExtra: String { letters(12, personExtraLength) }

    /// Room: 15 bytes.
    func writePersonName(_ to: UnsafeMutableRawPointer) -> Int {
        let first: StaticString =
            switch pick(1, 11) {
            case 0: "Peter "
            case 1: "Paul "
            case 2: "Luke "
            case 3: "John "
            case 4: "Saul "
            case 5: "Vicky "
            case 6: "Kate "
            case 7: "Julie "
            case 8: "Sarah "
            case 9: "Deiter "
            default: "Walter "
            }
        let last: StaticString =
            switch pick(2, 9) {
            case 0: "Shultz"
            case 1: "Abrams"
            case 2: "Spencer"
            case 3: "White"
            case 4: "Bartels"
            case 5: "Walton"
            case 6: "Smith"
            case 7: "Jones"
            default: "Noris"
            }
        let count = NexmarkText.literal(first, to)
        return count + NexmarkText.literal(last, to + count)
    }

    /// Room: 32 bytes.
    func writePersonEmailAddress(_ to: UnsafeMutableRawPointer) -> Int {
        let user = NexmarkText.letters(draw(3)) & 0x00FF_FFFF_FFFF_FFFF
        NexmarkText.store(user | UInt64(UInt8(ascii: "@")) << 56, to)
        NexmarkText.store(NexmarkText.letters(draw(4)), to + 8)
        return 13 + NexmarkText.literal(".com", to + 13)
    }

    /// Room: 32 bytes.
    func writePersonCreditCard(_ to: UnsafeMutableRawPointer) -> Int {
        for group in 0..<4 {
            // Eight digits, of which the first four are zero: the last four are in the high half.
            let digits = NexmarkText.digits(pick(5 + UInt64(group), 10_000)) >> 32 | 0x20_3030_3030
            NexmarkText.store(digits, to + group * 5)
        }
        return 19
    }

    /// Room: 15 bytes.
    func writePersonCity(_ to: UnsafeMutableRawPointer) -> Int {
        let city: StaticString =
            switch pick(9, 10) {
            case 0: "Phoenix"
            case 1: "Los Angeles"
            case 2: "San Francisco"
            case 3: "Boise"
            case 4: "Portland"
            case 5: "Bend"
            case 6: "Redmond"
            case 7: "Seattle"
            case 8: "Kent"
            default: "Cheyenne"
            }
        return NexmarkText.literal(city, to)
    }

    /// Room: 2 bytes.
    func writePersonState(_ to: UnsafeMutableRawPointer) -> Int {
        let state: StaticString =
            switch pick(10, 6) {
            case 0: "AZ"
            case 1: "CA"
            case 2: "ID"
            case 3: "OR"
            case 4: "WA"
            default: "WY"
            }
        return NexmarkText.literal(state, to)
    }

    // MARK: Auction

    @inlinable var auctionItemNameLength: Int { length(9, 10, 10) }
    @inlinable var auctionDescriptionLength: Int { length(12, 40, 40) }
    @inlinable var auctionExtraLength: Int { length(20, 60, 40) }

    @inlinable public var auctionItemName: String { letters(10, auctionItemNameLength) }
    @inlinable public var auctionDescription: String { letters(13, auctionDescriptionLength) }
    @inlinable public var auctionExtra: String { letters(21, auctionExtraLength) }

    // MARK: Bid

    @inlinable var bidExtraLength: Int { length(12, 10, 20) }

    /// Half of the bids name one of four channels, half one of ten thousand.
    @inlinable public var bidChannel: String {
        let text = bidChannelWords
        return NexmarkText.small(text.low, text.high, count: text.count)
    }

    @inlinable public var bidURL: String { NexmarkText.string(room: 80) { writeBidURL($0) } }

    @inlinable public var bidExtra: String { letters(13, bidExtraLength) }

    /// The channel, at most twelve bytes, in two words.
    @inlinable @inline(__always)
    var bidChannelWords: (low: UInt64, high: UInt64, count: Int) {
        let hot = pick(8, 4)
        // "Google", "Facebook", "Baidu", "Apple", below "channel-"; the lowest byte is the first letter.
        let name: UInt64 =
            switch hot {
            case 0: 0x656C_676F_6F47
            case 1: 0x6B6F_6F62_6563_6146
            case 2: 0x75_6469_6142
            default: 0x65_6C70_7041
            }
        let nameLength: UInt64 = 0x05_0508_06 >> (hot &* 8) & 0xFF
        let digits = NexmarkText.digits(pick(8, 10_000)) >> 32
        let zeros = UInt64(truncatingIfNeeded: min(digits.trailingZeroBitCount & ~7, 24))
        let isHot = pick(7, 2) > 0
        return (
            choose(isHot, name, 0x2D6C_656E_6E61_6863), (digits | 0x3030_3030) >> zeros,
            Int(truncatingIfNeeded: choose(isHot, nameLength, 12 &- zeros >> 3))
        )
    }

    /// Room: 16 bytes.
    @inlinable @inline(__always)
    func writeBidChannel(_ to: UnsafeMutableRawPointer) -> Int {
        let text = bidChannelWords
        NexmarkText.store(text.low, to)
        NexmarkText.store(text.high, to + 8)
        return text.count
    }

    /// The number after `&channel_id=` at the end of the URL; 0 when there is none.
    @inlinable @inline(__always)
    var bidURLTail: UInt64 {
        let channel = pick(8, 10_000)
        // 1 000 003 is a prime above both factors: the remainder is never 0 for a channel above 0.
        let identifier = channel &* 104_729 % 1_000_003
        return choose(pick(7, 2) > 0 || channel % 10 == 0, 0, identifier)
    }

    /// Room: 80 bytes.
    @inlinable @inline(__always)
    func writeBidURL(_ to: UnsafeMutableRawPointer) -> Int {
        let slash = UInt64(UInt8(ascii: "/")) << 40
        let five: UInt64 = 0xFF_FFFF_FFFF
        NexmarkText.store(0x2F2F_3A73_7074_7468, to)  // https://
        NexmarkText.store(0x6D78_656E_2E77_7777, to + 8)  // www.nexm
        NexmarkText.store(0x2F6D_6F63_2E6B_7261, to + 16)  // ark.com/
        NexmarkText.store(NexmarkText.letters(draw(9)) & five | slash, to + 24)
        NexmarkText.store(NexmarkText.letters(draw(10)) & five | slash, to + 30)
        NexmarkText.store(NexmarkText.letters(draw(11)), to + 36)
        NexmarkText.store(0x7468_2E6D_6574_692F, to + 41)  // /item.ht
        NexmarkText.store(0x3D79_7265_7571_3F6D, to + 49)  // m?query=
        NexmarkText.store(0x656E_6E61_6863_2631, to + 57)  // 1&channe
        NexmarkText.store(0x3D_6469_5F6C, to + 65)  // l_id=
        let tail = bidURLTail
        let digits = NexmarkText.short(tail, to + 70)
        return tail == 0 ? 58 : 70 &+ digits
    }
}
