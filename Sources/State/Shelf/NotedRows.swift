// SPDX-License-Identifier: Apache-2.0
//  Rows of a store that belong to a checkpoint, on their way into a layer.

import Glibc
import ThalwegBase
import ThalwegData
import ThalwegStorage

/// The rows that were noted in some epochs, as the store had them at a barrier. Read off the task's thread.
final class NotedRows: Sendable {
    private let view: any RowStoreReader & Sendable
    private let epochs: [UInt64]

    init(_ view: any RowStoreReader & Sendable, _ epochs: [UInt64]) {
        self.view = view
        self.epochs = epochs
    }

    /// The states of the rows, as the layer of a checkpoint has them.
    func parts(_ states: [StateDescriptor]) -> [StatePart] {
        states.enumerated().map { state, descriptor in
            StatePart(descriptor) { [self] writer in try write(state, descriptor.kind, to: writer) }
        }
    }

    private func write(_ state: Int, _ kind: StateKind, to writer: any EntryWriter) throws {
        var key = ByteWriter(capacity: 64)
        var entry = ByteWriter(capacity: 64)
        try forEach { row in
            key.removeAll()
            key.append(ShelfSpace.rows)
            key.append(row)
            if kind != .value { try writer.addRowTombstone(key: row) }
            var isThere = false
            _ = try key.withBytes { key in
                try view.get(key) { value in
                    try RowSections.forEach(value) { found, section in
                        guard found == state else { return }
                        isThere = true
                        try RowSections.entries(section) { suffix, value in
                            entry.removeAll()
                            entry.append(row)
                            entry.append(suffix)
                            try entry.withBytes { try writer.add(key: $0, value: value, rowBytes: row.count) }
                        }
                    }
                }
            }
            if kind == .value && !isThere { try writer.addTombstone(key: row) }
        }
    }

    /// Calls `body` with each row once, in ascending order.
    private func forEach(_ body: (UnsafeRawBufferPointer) throws -> Void) throws {
        var cursors: [any RowStoreCursor] = []
        for epoch in epochs {
            let cursor = try ShelfNotes.rows(of: epoch, in: view)
            if try cursor.next() { cursors.append(cursor) }
        }
        while let first = cursors.indices.min(by: { Self.compare(cursors[$0], cursors[$1]) < 0 }) {
            let row = ShelfNotes.row(cursors[first].key)
            try body(row)
            // The row lies in the cursor that is least: it moves on last.
            var isOver: [Int] = []
            for index in cursors.indices
            where index != first && Self.compare(cursors[index], cursors[first]) == 0 {
                if try !cursors[index].next() { isOver.append(index) }
            }
            if try !cursors[first].next() { isOver.append(first) }
            for index in isOver.sorted().reversed() { cursors.remove(at: index) }
        }
    }

    private static func compare(_ left: any RowStoreCursor, _ right: any RowStoreCursor) -> Int {
        compare(ShelfNotes.row(left.key), ShelfNotes.row(right.key))
    }

    private static func compare(_ left: UnsafeRawBufferPointer, _ right: UnsafeRawBufferPointer) -> Int {
        if let first = left.baseAddress, let second = right.baseAddress {
            let order = memcmp(first, second, min(left.count, right.count))
            if order != 0 { return Int(order) }
        }
        return left.count - right.count
    }
}
