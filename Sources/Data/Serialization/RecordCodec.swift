// SPDX-License-Identifier: Apache-2.0
//  Records as bytes and back.

import ThalwegBase

/// Encodes and decodes the records of one type.
///
/// A proven type is encoded from its memory: numbers as they are (little-endian), strings and arrays with a length
/// before them, optionals with a byte, enums by raw value, fields in the order of declaration. Any other type goes
/// through plain `Codable`. The bytes carry no schema: whoever keeps them keeps ``fingerprint`` beside them, once for
/// many records.
public struct RecordCodec<Record: Codable & Sendable>: Sendable {
    /// The fingerprint of the schema that the bytes follow.
    public let fingerprint: UInt64
    let program: Program?

    public init(_ type: RecordType<Record>) {
        fingerprint = type.fingerprint
        program = type.layout?.program
    }

    /// Appends the encodings of `count` records. If it throws, `writer` is as before.
    public func encode(
        _ records: UnsafePointer<Record>, count: Int, into writer: inout ByteWriter
    ) throws(ThalwegError) {
        let mark = writer.count
        do throws(ThalwegError) {
            if let program {
                try program.encode(
                    UnsafeRawPointer(records), count: count, stride: MemoryLayout<Record>.stride, into: &writer)
                return
            }
            for index in 0..<count {
                let start = writer.count
                writer.append(UInt32(0))
                try PlainCodec.encode(records[index], into: &writer)
                guard let length = UInt32(exactly: writer.count - start - 4) else {
                    throw ThalwegError(.input, "a record is too long", detail: "\(writer.count - start) bytes")
                }
                writer.store(length, at: start)
            }
        } catch {
            writer.truncate(to: mark)
            throw error
        }
    }

    /// Reads `count` records into uninitialised memory. If it throws, none is left initialised.
    ///
    /// The bytes need not be trusted: damage gives an error of kind `.corrupt`.
    public func decode(
        _ reader: inout ByteReader, count: Int, into records: UnsafeMutablePointer<Record>
    ) throws(ThalwegError) {
        if let program {
            return try program.decode(
                &reader, into: UnsafeMutableRawPointer(records), count: count, stride: MemoryLayout<Record>.stride)
        }
        var done = 0
        do throws(ThalwegError) {
            while done < count {
                let length = try reader.read(UInt32.self)
                let bytes = try reader.read(count: Int(length))
                (records + done).initialize(to: try PlainCodec.decode(Record.self, from: bytes))
                done += 1
            }
        } catch {
            records.deinitialize(count: done)
            throw error
        }
    }

    /// The encoding of one record.
    public func encode(_ record: Record) throws(ThalwegError) -> [UInt8] {
        var writer = ByteWriter(capacity: 128)
        try withUnsafePointer(to: record) { pointer throws(ThalwegError) in
            try encode(pointer, count: 1, into: &writer)
        }
        return writer.bytes()
    }

    /// The record that `bytes` are the whole encoding of.
    public func decode(_ bytes: UnsafeRawBufferPointer) throws(ThalwegError) -> Record {
        var reader = ByteReader(bytes)
        let memory = UnsafeMutablePointer<Record>.allocate(capacity: 1)
        defer { memory.deallocate() }
        try decode(&reader, count: 1, into: memory)
        let record = memory.move()
        guard reader.remaining == 0 else { throw reader.damaged("bytes follow the record") }
        return record
    }
}
