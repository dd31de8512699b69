// SPDX-License-Identifier: Apache-2.0
//  Events as bytes: JSON lines of the mixed stream, CSV per kind.

import ThalwegBase

/// Writes events as the text that other engines read, without making a string on the way.
///
/// The bytes of a range of events depend on the seed and the range alone: ranges written apart and put together are the
/// same bytes as the whole.
public struct NexmarkWriter: Sendable {
    public let generator: NexmarkGenerator

    public init(_ generator: NexmarkGenerator) { self.generator = generator }

    /// More than the longest line of either format, and the room its writers may use beyond it.
    static let lineRoom = 640
    /// Events that are written between two looks at the room.
    static let chunk = 256

    /// Appends one JSON object per event and line:
    /// `{"event_type":2,"ms":1436918400048,"bid":{"auction":1000,...}}`.
    public func appendJSONLines(_ events: Range<Int64>, to output: inout [UInt8]) {
        append(events, to: &output) { position, to in position.writeJSON(to) }
    }

    /// Appends the events of one kind, one line each, without a header and without quotes.
    ///
    /// Person: `ms,id,name,emailAddress,creditCard,city,state,extra`. Auction:
    /// `ms,id,itemName,description,initialBid,reserve,expires,seller,category,extra`. Bid:
    /// `ms,auction,bidder,price,channel,url,extra`.
    public func appendCSV(_ kind: NexmarkKind, _ events: Range<Int64>, to output: inout [UInt8]) {
        append(events, to: &output) { position, to in position.kind == kind ? position.writeCSV(to) : 0 }
    }

    /// Runs `write` for every event with room for a line in front of it; 0 means no line.
    @inline(__always)
    private func append(
        _ events: Range<Int64>, to output: inout [UInt8],
        _ write: (NexmarkPosition, UnsafeMutableRawPointer) -> Int
    ) {
        guard !events.isEmpty else { return }
        var cursor = generator.cursor(at: events.lowerBound)
        var rest = events.count
        withUnsafeTemporaryAllocation(byteCount: Self.chunk * Self.lineRoom, alignment: 16) { buffer in
            guard let start = buffer.baseAddress else { return }
            while rest > 0 {
                let next = min(rest, Self.chunk)
                var end = start
                cursor.forEach(next: next) { position in
                    let count = write(position, end)
                    if count > 0 {
                        end.storeBytes(of: UInt8(ascii: "\n"), toByteOffset: count, as: UInt8.self)
                        end += count + 1
                    }
                }
                output.append(contentsOf: UnsafeRawBufferPointer(start: start, count: end - start))
                rest -= next
            }
        }
    }
}

/// A place in memory that fields are written to, one after the other.
private struct Line {
    let start: UnsafeMutableRawPointer
    var end: UnsafeMutableRawPointer

    @inline(__always)
    init(_ start: UnsafeMutableRawPointer) {
        self.start = start
        end = start
    }

    var count: Int { end - start }

    @inline(__always)
    mutating func text(_ text: StaticString) { end += NexmarkText.literal(text, end) }

    @inline(__always)
    mutating func number(_ number: Int64) {
        end += NexmarkText.decimal(UInt64(truncatingIfNeeded: number), end)
    }

    @inline(__always)
    mutating func field(_ write: (UnsafeMutableRawPointer) -> Int) { end += write(end) }
}

extension NexmarkPosition {
    /// Writes the event as one JSON object; room: `NexmarkWriter.lineRoom`.
    @inline(__always)
    fileprivate func writeJSON(_ to: UnsafeMutableRawPointer) -> Int {
        var line = Line(to)
        switch kind {
        case .person:
            line.text("{\"event_type\":0,\"ms\":")
            line.number(milliseconds)
            line.text(",\"person\":{\"id\":")
            line.number(personID)
            line.text(",\"name\":\"")
            line.field(writePersonName)
            line.text("\",\"emailAddress\":\"")
            line.field(writePersonEmailAddress)
            line.text("\",\"creditCard\":\"")
            line.field(writePersonCreditCard)
            line.text("\",\"city\":\"")
            line.field(writePersonCity)
            line.text("\",\"state\":\"")
            line.field(writePersonState)
            line.text("\",\"extra\":\"")
            line.field { writeLetters(12, personExtraLength, $0) }
        case .auction:
            line.text("{\"event_type\":1,\"ms\":")
            line.number(milliseconds)
            line.text(",\"auction\":{\"id\":")
            line.number(auctionID)
            line.text(",\"itemName\":\"")
            line.field { writeLetters(10, auctionItemNameLength, $0) }
            line.text("\",\"description\":\"")
            line.field { writeLetters(13, auctionDescriptionLength, $0) }
            line.text("\",\"initialBid\":")
            line.number(auctionInitialBid)
            line.text(",\"reserve\":")
            line.number(auctionReserve)
            line.text(",\"expires\":")
            line.number(auctionExpires.milliseconds)
            line.text(",\"seller\":")
            line.number(auctionSeller)
            line.text(",\"category\":")
            line.number(auctionCategory)
            line.text(",\"extra\":\"")
            line.field { writeLetters(21, auctionExtraLength, $0) }
        case .bid:
            line.text("{\"event_type\":2,\"ms\":")
            line.number(milliseconds)
            line.text(",\"bid\":{\"auction\":")
            line.number(bidAuction)
            line.text(",\"bidder\":")
            line.number(bidBidder)
            line.text(",\"price\":")
            line.number(bidPrice)
            line.text(",\"channel\":\"")
            line.field(writeBidChannel)
            line.text("\",\"url\":\"")
            line.field(writeBidURL)
            line.text("\",\"extra\":\"")
            line.field { writeLetters(13, bidExtraLength, $0) }
        }
        line.text("\"}}")
        return line.count
    }

    /// Writes the event as one CSV record; room: `NexmarkWriter.lineRoom`.
    @inline(__always)
    fileprivate func writeCSV(_ to: UnsafeMutableRawPointer) -> Int {
        var line = Line(to)
        line.number(milliseconds)
        line.text(",")
        switch kind {
        case .person:
            line.number(personID)
            line.text(",")
            line.field(writePersonName)
            line.text(",")
            line.field(writePersonEmailAddress)
            line.text(",")
            line.field(writePersonCreditCard)
            line.text(",")
            line.field(writePersonCity)
            line.text(",")
            line.field(writePersonState)
            line.text(",")
            line.field { writeLetters(12, personExtraLength, $0) }
        case .auction:
            line.number(auctionID)
            line.text(",")
            line.field { writeLetters(10, auctionItemNameLength, $0) }
            line.text(",")
            line.field { writeLetters(13, auctionDescriptionLength, $0) }
            line.text(",")
            line.number(auctionInitialBid)
            line.text(",")
            line.number(auctionReserve)
            line.text(",")
            line.number(auctionExpires.milliseconds)
            line.text(",")
            line.number(auctionSeller)
            line.text(",")
            line.number(auctionCategory)
            line.text(",")
            line.field { writeLetters(21, auctionExtraLength, $0) }
        case .bid:
            line.number(bidAuction)
            line.text(",")
            line.number(bidBidder)
            line.text(",")
            line.number(bidPrice)
            line.text(",")
            line.field(writeBidChannel)
            line.text(",")
            line.field(writeBidURL)
            line.text(",")
            line.field { writeLetters(13, bidExtraLength, $0) }
        }
        return line.count
    }
}
