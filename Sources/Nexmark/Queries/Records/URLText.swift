// SPDX-License-Identifier: Apache-2.0
//  Searching in addresses, byte by byte.

/// What queries look for in the text of a bid.
enum URLText {
    /// The id of a well-known channel, whatever its case.
    static func channelID(ofName name: String) -> String? {
        let name = name.utf8
        if isEqual(name, "apple") { return "0" }
        if isEqual(name, "google") { return "1" }
        if isEqual(name, "facebook") { return "2" }
        if isEqual(name, "baidu") { return "3" }
        return nil
    }

    /// Whether the name is `lower` but for the case of ASCII letters.
    private static func isEqual(_ name: String.UTF8View, _ lower: StaticString) -> Bool {
        guard name.count == lower.utf8CodeUnitCount else { return false }
        var position = 0
        for byte in name {
            let isUpper = byte >= UInt8(ascii: "A") && byte <= UInt8(ascii: "Z")
            if (isUpper ? byte | 0x20 : byte) != lower.utf8Start[position] { return false }
            position += 1
        }
        return true
    }

    /// The value of the parameter `channel_id`: what `(&|^)channel_id=([^&]*)` finds.
    static func channelID(in url: String) -> String? {
        var url = url
        return url.withUTF8 { text in
            let name: StaticString = "channel_id="
            let count = name.utf8CodeUnitCount
            var start = 0
            // Parameters begin at the start of the text and after each ampersand.
            while start + count <= text.count {
                if (0..<count).allSatisfy({ text[start + $0] == name.utf8Start[$0] }) {
                    let value = text[(start + count)...].prefix { $0 != UInt8(ascii: "&") }
                    return String(decoding: value, as: UTF8.self)
                }
                guard let next = text[start...].firstIndex(of: UInt8(ascii: "&")) else { return nil }
                start = next + 1
            }
            return nil
        }
    }

    /// The fourth to sixth part of an address cut at slashes; nil for parts that are not there.
    static func directories(of url: String) -> (String?, String?, String?) {
        var url = url
        return url.withUTF8 { text in
            var parts: (String?, String?, String?)
            var (part, start) = (0, 0)
            for position in 0...text.count where position == text.count || text[position] == UInt8(ascii: "/") {
                switch part {
                case 3: parts.0 = String(decoding: text[start..<position], as: UTF8.self)
                case 4: parts.1 = String(decoding: text[start..<position], as: UTF8.self)
                case 5:
                    parts.2 = String(decoding: text[start..<position], as: UTF8.self)
                    return parts
                default: break
                }
                part += 1
                start = position + 1
            }
            return parts
        }
    }
}
