// SPDX-License-Identifier: Apache-2.0
//  Documents at rest whose last line has the checksum of all before it.

import ThalwegBase

extension JSONTree {
    private static let seal = "xxh3 "

    /// The text with a line for each member, and a last line with the checksum of all before it.
    func sealedBytes() -> [UInt8] {
        var text = bytes(isPretty: true)
        text.append(UInt8(ascii: "\n"))
        let checksum = text.withUnsafeBytes(\.checksum).hex
        text.append(contentsOf: "\(Self.seal)\(checksum)\n".utf8)
        return text
    }

    /// Reads what ``sealedBytes()`` gave.
    ///
    /// - Throws: `Mismatch`, with the reason.
    static func sealed(_ bytes: [UInt8]) throws -> JSONTree {
        let sealBytes = seal.utf8.count + 17
        guard bytes.count > sealBytes else { throw Mismatch(reason: "it is cut off") }
        let text = Array(bytes.dropLast(sealBytes))
        let checksum = text.withUnsafeBytes(\.checksum).hex
        guard Array(bytes.suffix(sealBytes)) == Array("\(seal)\(checksum)\n".utf8) else {
            throw Mismatch(reason: "its checksum differs, or it is cut off")
        }
        return try JSONTree.parse(text)
    }
}
