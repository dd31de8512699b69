// SPDX-License-Identifier: Apache-2.0
//  Makes the checksums of a mutated segment right again: behind them the decoders begin.

import ThalwegStorage

/// A file whose checksums, magic numbers and places fit again as far as they can be found; all else is as it was.
struct SegmentRepair {
    private var file: [UInt8]
    private var position = 0
    /// More would only be memory: the limit itself is no subject here.
    private static let plainBytesMax: UInt32 = 1 << 20

    static func repaired(_ file: [UInt8]) -> [UInt8] {
        var repair = SegmentRepair(file: file)
        guard file.count >= SegmentBytes.headerBytes + SegmentBytes.trailerBytes else { return file }
        repair.run()
        return repair.file
    }

    private init(file: [UInt8]) { self.file = file }

    private mutating func run() {
        file.replaceSubrange(0..<SegmentBytes.headerBytes, with: SegmentBytes.header)
        let end = file.count - SegmentBytes.trailerBytes
        let room = UInt64(end - SegmentBytes.headerBytes)
        let start = end - Int(min(file.little(at: end + 8, as: UInt64.self), room))
        position = start
        repairBlocks(before: start, footerEnd: end)
        let footer = Array(file[start..<end])
        file.replaceSubrange(end..., with: SegmentBytes.trailer(of: footer, at: start))
    }

    /// Walks over the footer as far as it goes, and seals each block that it speaks of.
    private mutating func repairBlocks(before start: Int, footerEnd end: Int) {
        guard let table = counted(end) else { return }
        for _ in 0..<JSONShape.elements(of: file[table]) {
            position += 24
            guard counted(end) != nil, counted(end) != nil else { return }
        }
        guard end - position >= 4 else { return }
        let count = Int(file.little(at: position, as: UInt32.self))
        position += 4
        var offset = SegmentBytes.headerBytes
        for index in 0..<count {
            let entry = position
            guard end - entry >= 30 else { return }
            position += 26
            guard counted(end) != nil else { return }
            let filterBytes = Int(file.little(at: entry + 6, as: UInt32.self))
            if index == count - 1, start - offset - filterBytes >= 24 {
                // The last block fills what is left: bytes that came or went before it do not make the whole unread.
                file.store(little: UInt32(start - offset - filterBytes), at: entry + 2)
            }
            let storedBytes = Int(file.little(at: entry + 2, as: UInt32.self))
            guard storedBytes >= 24, offset + storedBytes + filterBytes <= start else { return }
            seal(block: offset, storedBytes, entry)
            offset += storedBytes
            if filterBytes >= 8 {
                let checksum = SegmentFormat.checksum(of: Array(file[offset..<offset + filterBytes - 8]))
                file.store(little: checksum, at: offset + filterBytes - 8)
            }
            offset += filterBytes
        }
    }

    /// The header of a block says what the index does, its payload is as long as it is, its checksum is right.
    private mutating func seal(block offset: Int, _ storedBytes: Int, _ entry: Int) {
        let payload = UInt32(storedBytes - 24)
        let isPlain = file.little(at: offset + 14, as: UInt16.self) == 0
        let plain = min(file.little(at: entry + 10, as: UInt32.self), Self.plainBytesMax)
        file.store(little: isPlain ? payload : plain, at: entry + 10)
        file.store(little: payload, at: offset)
        file.store(little: file.little(at: entry + 10, as: UInt32.self), at: offset + 4)
        file.store(little: file.little(at: entry + 14, as: UInt32.self), at: offset + 8)
        file.store(little: file.little(at: entry, as: UInt16.self), at: offset + 12)
        let checksum = SegmentFormat.checksum(of: Array(file[offset..<offset + storedBytes - 8]))
        file.store(little: checksum, at: offset + storedBytes - 8)
        file.store(little: checksum, at: entry + 18)
    }

    /// Takes a count and so many bytes; nil beyond the end.
    private mutating func counted(_ end: Int) -> Range<Int>? {
        guard position >= 0, end - position >= 4 else { return nil }
        let count = Int(file.little(at: position, as: UInt32.self))
        guard end - position - 4 >= count else { return nil }
        defer { position += 4 + count }
        return position + 4..<position + 4 + count
    }
}

/// JSON as far as it is needed to know what follows it.
enum JSONShape {
    /// How many objects or arrays stand in an array.
    static func elements(of array: some Sequence<UInt8>) -> Int {
        var (depth, count) = (0, 0)
        var (isText, isEscaped) = (false, false)
        for byte in array {
            if isText {
                isText = isEscaped || byte != UInt8(ascii: "\"")
                isEscaped = !isEscaped && byte == UInt8(ascii: "\\")
                continue
            }
            switch byte {
            case UInt8(ascii: "\""): isText = true
            case UInt8(ascii: "{"), UInt8(ascii: "["):
                if depth == 1 { count += 1 }
                depth += 1
            case UInt8(ascii: "}"), UInt8(ascii: "]"): depth -= 1
            default: break
            }
        }
        return count
    }
}
