// SPDX-License-Identifier: Apache-2.0
//  The contract between a source and a text format.

import ThalwegBase

/// Turns the bytes of one range of an input into records.
///
/// Order of calls: `read` until it returns 0. One thread at a time. Guarantees: every record of the range is given
/// once, in order; `position` lies between two records, and a reader made with it as `resume` goes on from there.
/// Non-guarantees: fewer records than the capacity may come before the end; one call passes over any number of bad
/// records, each of them reported; when `read` throws, the reader is spent.
public protocol RecordReader<Record>: AnyObject {
    associatedtype Record

    /// Reads up to `capacity` records into memory that is not initialised; returns how many, 0 at the end.
    ///
    /// - Parameters:
    ///   - rows: room for `capacity` records. When this throws, none of them is initialised.
    ///   - positions: when given, receives the byte offset of each record.
    ///   - onError: called for each record that cannot be read; throws to give up, returns to go on behind it.
    func read(
        into rows: UnsafeMutablePointer<Record>, positions: UnsafeMutablePointer<UInt64>?, capacity: Int,
        onError: (RecordError) throws -> Void
    ) throws -> Int

    /// Where the next unread record starts.
    var position: ReadPosition { get }

    /// How many bytes of the (plain) input were consumed, those of skipped lines included.
    var bytesConsumed: UInt64 { get }
}

extension RecordReader {
    /// Reads everything, for tests and small inputs; the first bad record is thrown.
    public func readAll() throws -> [Record] {
        var all: [Record] = []
        let rows = UnsafeMutablePointer<Record>.allocate(capacity: 256)
        defer { rows.deallocate() }
        while true {
            let count = try read(into: rows, positions: nil, capacity: 256) { throw $0.thalwegError }
            if count == 0 { return all }
            for row in 0..<count { all.append((rows + row).move()) }
        }
    }
}

/// Turns records into bytes.
///
/// One thread at a time. The buffer belongs to the caller, who takes the bytes from it when it likes.
public protocol RecordWriter<Record>: AnyObject {
    associatedtype Record

    /// Appends what comes before the first record of a file, such as the header line of CSV.
    func writeHeader(to buffer: inout OutputBuffer) throws(ThalwegError)

    /// Appends records. When this throws, the buffer holds the records before the one that could not be written.
    func write(_ rows: UnsafeBufferPointer<Record>, to buffer: inout OutputBuffer) throws(ThalwegError)
}

extension RecordWriter {
    /// Header and records as bytes, for tests and small outputs.
    public func bytes(of records: [Record], header: Bool = true) throws(ThalwegError) -> [UInt8] {
        var buffer = OutputBuffer()
        if header { try writeHeader(to: &buffer) }
        let failure: ThalwegError? = records.withUnsafeBufferPointer { rows in
            do throws(ThalwegError) {
                try write(rows, to: &buffer)
                return nil
            } catch {
                return error
            }
        }
        if let failure { throw failure }
        return buffer.array
    }
}
