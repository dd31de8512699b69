// SPDX-License-Identifier: Apache-2.0
//  temporary
import ThalwegBase
@frozen
public struct KeyHasher<Key: Hashable & Codable & Sendable>: Sendable {
    @inlinable
    public init() throws(ThalwegError) {}
    @inlinable @inline(__always)
    public func hash(_ key: Key) -> UInt64 {
        if Key.self == Int64.self { return StableHash.mix(UInt64(bitPattern: unsafeBitCast(key, to: Int64.self))) }
        if Key.self == Int.self { return StableHash.mix(UInt64(bitPattern: Int64(unsafeBitCast(key, to: Int.self)))) }
        return StableHash.mix(UInt64(bitPattern: Int64(key.hashValue)))
    }
}
