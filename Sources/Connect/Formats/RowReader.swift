// SPDX-License-Identifier: Apache-2.0
//  Rows of columns that are known as data only.

import ThalwegBase
import ThalwegData
import ThalwegStorage

/// Reads the rows of a file by names of columns, without a Swift type for them.
package final class RowReader {
    /// How a file is written.
    package enum Form: Sendable {
        case json
        case csv(CSVOptions)
    }

    private let layout: RowLayout
    private let read: (UnsafeMutableRawPointer, Int, inout Int) throws -> Void
    /// Rows that are read at once.
    private static let batchRows = 1024

    /// - Throws: kind `job` when the columns do not fit into the form.
    package init(
        _ source: any ByteSource, _ form: Form, _ layout: RowLayout, limits: ReadLimits = ReadLimits()
    ) throws(ThalwegError) {
        self.layout = layout
        let plain = try decompressingIfNeeded(source)
        switch form {
        case .json:
            let lines = try JSONLines(LineBlocks(plain, range: .all, limits: limits), layout.record)
            read = { rows, capacity, count in
                try lines.read(into: rows, positions: nil, capacity: capacity, count: &count) { throw $0.thalwegError }
            }
        case .csv(let options):
            let columns = try CSVColumns(layout.record, of: DynamicValue.self)
            let rows = try CSVRows(
                plain, range: .all, limits: limits, options: options, columns: columns, layout: layout.record)
            read = { memory, capacity, count in
                try rows.read(into: memory, positions: nil, capacity: capacity, count: &count) { throw $0.thalwegError }
            }
        }
    }

    /// Calls `body` with each row.
    ///
    /// - Throws: kind `input`, with the file, the line and the field, when one cannot be read.
    package func forEach(_ body: (UnsafeRawPointer) throws -> Void) throws {
        let stride = layout.record.stride
        let rows = UnsafeMutableRawPointer.allocate(byteCount: stride * Self.batchRows, alignment: 16)
        defer { rows.deallocate() }
        while true {
            var count = 0
            defer { layout.destroy(rows, count: count) }
            try read(rows, Self.batchRows, &count)
            if count == 0 { return }
            for index in 0..<count { try body(rows + index * stride) }
        }
    }
}
