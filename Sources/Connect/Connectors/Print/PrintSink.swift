// SPDX-License-Identifier: Apache-2.0
//  Writes records to standard output.

import ThalwegBase
import ThalwegData
import ThalwegFormats
import ThalwegOperator
import ThalwegStorage
import ThalwegStorage

/// Prints records as lines: in a format, or as Swift describes them.
public struct PrintSink<Element: Sendable>: Sink {
    public let kind = "print"
    let format: OutputFormat<Element>?

    public init(format: OutputFormat<Element>? = nil) { self.format = format }

    public func makeWriter(_ context: SinkContext) throws -> Writer { Writer(try format?.makeWriter()) }

    public final class Writer: SinkWriter {
        private let writer: (any RecordWriter<Element>)?
        private let output = LocalFileOutput.standardOutput
        private var buffer = OutputBuffer()

        init(_ writer: (any RecordWriter<Element>)?) { self.writer = writer }

        public func write(_ batch: Batch<Element>) throws {
            guard let writer else {
                var text = ""
                for index in 0..<batch.count { text += "\(batch.rows[index])\n" }
                return try drain(Array(text.utf8))
            }
            try writer.write(UnsafeBufferPointer(start: batch.rows, count: batch.count), to: &buffer)
            let bytes = buffer.array
            buffer.removeAll()
            try drain(bytes)
        }

        private func drain(_ bytes: [UInt8]) throws {
            let output = self.output
            try bytes.withUnsafeBytes { try output.write($0) }
        }
    }
}

extension Sink {
    /// Prints records as lines, as Swift describes them.
    public static func print<Element: Sendable>() -> PrintSink<Element> where Self == PrintSink<Element> { PrintSink() }

    /// Prints records as lines of a format.
    public static func print<Element: Sendable>(
        format: OutputFormat<Element>
    ) -> PrintSink<Element> where Self == PrintSink<Element> { PrintSink(format: format) }
}
