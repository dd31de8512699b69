// SPDX-License-Identifier: Apache-2.0
//  Whether bytes are UTF-8.

extension UnsafeRawBufferPointer {
    /// Whether these bytes are UTF-8: fast for ASCII, by the library otherwise.
    var isUTF8: Bool {
        var at = 0
        while at + 8 <= count {
            if loadUnaligned(fromByteOffset: at, as: UInt64.self) & 0x8080_8080_8080_8080 != 0 { return isUTF8Slowly }
            at += 8
        }
        while at < count {
            if self[at] >= 0x80 { return isUTF8Slowly }
            at += 1
        }
        return true
    }

    @inline(never)
    private var isUTF8Slowly: Bool { String(validating: bindMemory(to: UInt8.self), as: UTF8.self) != nil }
}
