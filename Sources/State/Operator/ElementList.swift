// SPDX-License-Identifier: Apache-2.0
//  Elements that are not keyed as entries of a snapshot: old subtask and place lead to the element.

import ThalwegBase
import ThalwegData
import ThalwegStorage

extension StatePart {
    /// A part with the elements of one subtask, each encoded on its own, in order.
    ///
    /// - Parameter descriptor: of kind `split` or `union`.
    public static func elements<Element: Codable & Sendable>(
        _ elements: [Element], of subtask: Int, _ codec: RecordCodec<Element>, _ descriptor: StateDescriptor
    ) -> StatePart {
        let subtask = UInt32(truncatingIfNeeded: subtask)
        return StatePart(descriptor) { writer in
            var bytes = ByteWriter(capacity: 128)
            for (index, element) in elements.enumerated() {
                bytes.removeAll()
                try withUnsafePointer(to: element) { try codec.encode($0, count: 1, into: &bytes) }
                try withUnsafeBytes(of: (subtask.bigEndian, UInt32(truncatingIfNeeded: index).bigEndian)) { key in
                    try bytes.withBytes { try writer.add(key: key, value: $0) }
                }
            }
        }
    }
}
