// SPDX-License-Identifier: Apache-2.0
//  The values a field can hold directly.

import ThalwegBase
/// The kind of a value without parts. `Int` counts as `int64`, `UInt` as `uint64`.
public enum ScalarKind: String, Codable, Hashable, Sendable, CaseIterable {
    case bool, int8, int16, int32, int64, uint8, uint16, uint32, uint64, float, double, string, time

    /// The bytes such a value takes in memory.
    public var size: Int {
        switch self {
        case .bool, .int8, .uint8: 1
        case .int16, .uint16: 2
        case .int32, .uint32, .float: 4
        case .int64, .uint64, .double, .time: 8
        case .string: 16
        }
    }

    /// True for whole numbers, truth values and moments: equal values have equal bytes.
    public var isIntegerLike: Bool {
        switch self {
        case .float, .double, .string: false
        default: true
        }
    }

    /// The kind of a static type; nil if it is no scalar.
    static func of(_ type: any Any.Type) -> ScalarKind? {
        if type == Int64.self || type == Int.self { return .int64 }
        if type == String.self { return .string }
        if type == Double.self { return .double }
        if type == Bool.self { return .bool }
        if type == Int32.self { return .int32 }
        if type == EventTime.self { return .time }
        if type == UInt64.self || type == UInt.self { return .uint64 }
        if type == UInt8.self { return .uint8 }
        if type == UInt32.self { return .uint32 }
        if type == Int8.self { return .int8 }
        if type == Int16.self { return .int16 }
        if type == UInt16.self { return .uint16 }
        if type == Float.self { return .float }
        return nil
    }
}
