// SPDX-License-Identifier: Apache-2.0
//  Compares keys as their bytes compare, without encoding them.

import ThalwegBase

/// Compares keys of one type in the order of the bytes that ``KeyEncoder`` makes of them.
///
/// That order is `<` for numbers and moments, with -0.0 as 0.0 and every NaN the same and last; for strings it is that
/// of their UTF-8, which is that of their Unicode scalars: `<` of `String` differs where two spellings of one character
/// are involved, which it takes for equal. Where the compiler knows `Key`, numbers and strings cost no call.
@frozen
public struct KeyComparator<Key: Codable & Sendable>: Sendable {
    @usableFromInline let plan: KeyOrderPlan<Key>

    /// - Throws: kind `job` for a type of which a part is only known to its own `Codable`: its bytes have no meaningful
    ///   order (``KeyEncoder/isOrdered``).
    public init(_ type: RecordType<Key>) throws(ThalwegError) {
        guard let program = type.layout?.program, type.codableFields.isEmpty else {
            throw ThalwegError(
                .job, "a key has no order", detail: type.handling,
                hint: "use numbers, moments, strings, enums with raw values, or structs, optionals and arrays of them")
        }
        plan = KeyOrderPlan(program)
    }

    /// Whether `left` comes before `right`.
    @inlinable @inline(__always)
    public func precedes(_ left: Key, _ right: Key) -> Bool {
        // Each test is decided at compile time where this is specialised.
        if Key.self == Int64.self { return unsafeBitCast(left, to: Int64.self) < unsafeBitCast(right, to: Int64.self) }
        if Key.self == Int.self { return unsafeBitCast(left, to: Int.self) < unsafeBitCast(right, to: Int.self) }
        if Key.self == EventTime.self {
            return unsafeBitCast(left, to: EventTime.self) < unsafeBitCast(right, to: EventTime.self)
        }
        if Key.self == Int32.self { return unsafeBitCast(left, to: Int32.self) < unsafeBitCast(right, to: Int32.self) }
        if Key.self == UInt64.self {
            return unsafeBitCast(left, to: UInt64.self) < unsafeBitCast(right, to: UInt64.self)
        }
        if Key.self == UInt32.self {
            return unsafeBitCast(left, to: UInt32.self) < unsafeBitCast(right, to: UInt32.self)
        }
        if Key.self == Double.self {
            return KeyOrder.word(unsafeBitCast(left, to: Double.self))
                < KeyOrder.word(unsafeBitCast(right, to: Double.self))
        }
        if Key.self == String.self {
            return KeyOrder.precedes(unsafeBitCast(left, to: String.self), unsafeBitCast(right, to: String.self))
        }
        return plan.precedes(left, right)
    }
}

/// How keys of a type are compared when the compiler cannot fold it.
@usableFromInline
final class KeyOrderPlan<Key: Codable & Sendable>: Sendable {
    private let program: Program

    init(_ program: Program) { self.program = program }

    @usableFromInline
    func precedes(_ left: Key, _ right: Key) -> Bool {
        withUnsafePointer(to: left) { left in
            withUnsafePointer(to: right) { program.compareKeys(UnsafeRawPointer(left), UnsafeRawPointer($0)) < 0 }
        }
    }
}

extension Program {
    /// Less than, equal to or greater than 0 as the encoded key of `left` comes before, equals or comes after that of
    /// `right`.
    func compareKeys(_ left: UnsafeRawPointer, _ right: UnsafeRawPointer) -> Int {
        var index = 0
        while index < stepCount {
            let step = steps[index]
            index += 1
            let order: Int
            switch step.code {
            case .optional:
                let (leftIsNil, rightIsNil) = (isNil(step, left), isNil(step, right))
                if leftIsNil && rightIsNil { index += Int(step.skip) }
                order = (leftIsNil ? 0 : 1) - (rightIsNil ? 0 : 1)
            case .array:
                order = compareElements(arrays[Int(step.index)], left + Int(step.offset), right + Int(step.offset))
            case .rawValue:
                order = tables[Int(step.index)].compare(left + Int(step.offset), right + Int(step.offset))
            case .codable: preconditionFailure("KeyComparator takes no type with such a part")
            case .some, .record, .run, .checkBool: order = 0
            default: order = Self.compareScalars(step.code, left + Int(step.offset), right + Int(step.offset))
            }
            if order != 0 { return order }
        }
        return 0
    }

    private static func compareScalars(_ code: Step.Code, _ left: UnsafeRawPointer, _ right: UnsafeRawPointer) -> Int {
        func compare<Value: Comparable & BitwiseCopyable>(_: Value.Type) -> Int {
            let (left, right) = (left.load(as: Value.self), right.load(as: Value.self))
            return left < right ? -1 : left == right ? 0 : 1
        }
        func compare<Word: Comparable>(_ left: Word, _ right: Word) -> Int { left < right ? -1 : left == right ? 0 : 1 }
        switch code {
        case .int8: return compare(Int8.self)
        case .int16: return compare(Int16.self)
        case .int32: return compare(Int32.self)
        case .int64, .time: return compare(Int64.self)
        case .bool, .uint8: return compare(UInt8.self)
        case .uint16: return compare(UInt16.self)
        case .uint32: return compare(UInt32.self)
        case .uint64: return compare(UInt64.self)
        case .float: return compare(KeyOrder.word(left.load(as: Float.self)), KeyOrder.word(right.load(as: Float.self)))
        case .double:
            return compare(KeyOrder.word(left.load(as: Double.self)), KeyOrder.word(right.load(as: Double.self)))
        default:
            return KeyOrder.compare(
                left.assumingMemoryBound(to: String.self).pointee, right.assumingMemoryBound(to: String.self).pointee)
        }
    }

    private func compareElements(_ plan: ArrayPlan, _ left: UnsafeRawPointer, _ right: UnsafeRawPointer) -> Int {
        let (leftFirst, leftCount) = plan.layout.elements(left)
        let (rightFirst, rightCount) = plan.layout.elements(right)
        for index in 0..<min(leftCount, rightCount) {
            let offset = index * plan.layout.stride
            let order = plan.program.compareKeys(leftFirst + offset, rightFirst + offset)
            if order != 0 { return order }
        }
        return leftCount - rightCount
    }
}

extension RawValueTable {
    /// The order of two cases: that of their raw values.
    fileprivate func compare(_ left: UnsafeRawPointer, _ right: UnsafeRawPointer) -> Int {
        let (left, right) = (tag(at: left), tag(at: right))
        if left == right { return 0 }
        if kind == .string { return strings[left].lexicographicallyPrecedes(strings[right]) ? -1 : 1 }
        return KeyOrder.word(integers[left], kind) < KeyOrder.word(integers[right], kind) ? -1 : 1
    }
}
