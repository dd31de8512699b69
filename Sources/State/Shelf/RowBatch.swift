// SPDX-License-Identifier: Apache-2.0
//  Changes of a store that are made together.

import ThalwegData

/// A list of changes for a ``RowStore``, in the order in which they count.
public struct RowBatch: ~Copyable {
    /// A change. Its bytes are valid during the call that lends it.
    public enum Change {
        case put(UnsafeRawBufferPointer, value: UnsafeRawBufferPointer)
        case remove(UnsafeRawBufferPointer)
        /// All keys from one on and below another are gone.
        case removeRange(from: UnsafeRawBufferPointer, to: UnsafeRawBufferPointer)
    }

    private enum Kind: Int { case put, remove, removeRange }

    private var bytes = ByteWriter()
    /// Where the first and second part of a change end.
    private var changes: [(kind: Kind, middle: Int, end: Int)] = []

    public init() {}

    public var isEmpty: Bool { changes.isEmpty }
    /// The bytes of its keys and values.
    public var byteCount: Int { bytes.count }

    public mutating func removeAll() {
        bytes.removeAll()
        changes.removeAll(keepingCapacity: true)
    }

    public mutating func put(_ key: UnsafeRawBufferPointer, value: UnsafeRawBufferPointer) { add(.put, key, value) }

    public mutating func remove(_ key: UnsafeRawBufferPointer) {
        add(.remove, key, UnsafeRawBufferPointer(start: nil, count: 0))
    }

    public mutating func removeRange(from: UnsafeRawBufferPointer, to: UnsafeRawBufferPointer) {
        add(.removeRange, from, to)
    }

    private mutating func add(_ kind: Kind, _ first: UnsafeRawBufferPointer, _ second: UnsafeRawBufferPointer) {
        bytes.append(first)
        let middle = bytes.count
        bytes.append(second)
        changes.append((kind, middle, bytes.count))
    }

    /// Calls `body` with each change, in their order.
    public borrowing func forEach(_ body: (Change) throws -> Void) rethrows {
        try bytes.withBytes { bytes in
            var start = 0
            for change in changes {
                let first = UnsafeRawBufferPointer(rebasing: bytes[start..<change.middle])
                let second = UnsafeRawBufferPointer(rebasing: bytes[change.middle..<change.end])
                start = change.end
                switch change.kind {
                case .put: try body(.put(first, value: second))
                case .remove: try body(.remove(first))
                case .removeRange: try body(.removeRange(from: first, to: second))
                }
            }
        }
    }
}
