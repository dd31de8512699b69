// SPDX-License-Identifier: Apache-2.0
//  Proofs of byte input: files, pipes, gzip, lines, ranges.

import CZlib
import Foundation
import Testing
import ThalwegBase
import ThalwegStorage

@testable import ThalwegFormats

/// Compresses bytes as one gzip member.
func gzipped(_ bytes: [UInt8]) -> [UInt8] {
    var stream = z_stream()
    deflateInit2_(
        &stream, 6, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY, ZLIB_VERSION, Int32(MemoryLayout<z_stream>.size))
    defer { deflateEnd(&stream) }
    var input = bytes
    var output = [UInt8](repeating: 0, count: bytes.count + 1024)
    let written = input.withUnsafeMutableBufferPointer { input in
        output.withUnsafeMutableBufferPointer { output in
            stream.next_in = input.baseAddress
            stream.avail_in = UInt32(input.count)
            stream.next_out = output.baseAddress
            stream.avail_out = UInt32(output.count)
            deflate(&stream, Z_FINISH)
            return output.count - Int(stream.avail_out)
        }
    }
    return Array(output[..<written])
}

/// All bytes of a source.
func contents(of source: any ByteSource, from start: UInt64 = 0) throws(ThalwegError) -> [UInt8] {
    var all: [UInt8] = []
    let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 777, alignment: 16)
    defer { buffer.deallocate() }
    while true {
        let count = try source.read(at: start + UInt64(all.count), into: buffer)
        if count == 0 { return all }
        all.append(contentsOf: buffer[..<count])
    }
}

/// Reads lines; errors are collected.
func lines(
    _ source: any ByteSource, _ range: ReadRange = .all, limits: ReadLimits = ReadLimits(), capacity: Int = 3
) throws -> (rows: [String], offsets: [UInt64], errors: [RecordError], end: ReadPosition) {
    let reader = LineReader(source, range: range, limits: limits, repairsUTF8: false)
    let rows = UnsafeMutablePointer<String>.allocate(capacity: capacity)
    let positions = UnsafeMutablePointer<UInt64>.allocate(capacity: capacity)
    defer {
        rows.deallocate()
        positions.deallocate()
    }
    var result: ([String], [UInt64], [RecordError]) = ([], [], [])
    while true {
        let count = try reader.read(into: rows, positions: positions, capacity: capacity) { result.2.append($0) }
        if count == 0 { return (result.0, result.1, result.2, reader.position) }
        for row in 0..<count {
            result.0.append((rows + row).move())
            result.1.append(positions[row])
        }
    }
}

@Suite struct FormatsBytesTests {
    @Test func filesPipesAndClosuresGiveTheSameBytes() throws {
        let bytes = (0..<100_000).map { UInt8(truncatingIfNeeded: $0 &* 31) }
        let path = NSTemporaryDirectory() + "/thalweg-\(UUID().uuidString)"
        try Data(bytes).write(to: URL(fileURLWithPath: path))
        defer { try? FileManager.default.removeItem(atPath: path) }
        let file = try FileByteSource(path: path)
        #expect(try contents(of: file) == bytes)
        #expect(try contents(of: file, from: 70_000) == Array(bytes[70_000...]))
        #expect(try file.byteCount() == 100_000)

        let pipe = Pipe()
        let head = Array(bytes[..<20_000])
        try pipe.fileHandleForWriting.write(contentsOf: Data(head))
        try pipe.fileHandleForWriting.close()
        let piped = FileByteSource(descriptor: pipe.fileHandleForReading.fileDescriptor, name: "pipe")
        #expect(try contents(of: decompressingIfNeeded(piped)) == head)
        #expect(throws: ThalwegError.self) { try contents(of: piped, from: 100) }

        let closure = ClosureByteSource(name: "closure") { offset, buffer in
            let count = min(buffer.count, 10, bytes.count - Int(offset))
            buffer.copyBytes(from: bytes[Int(offset)..<Int(offset) + count])
            return count
        }
        #expect(try contents(of: closure) == bytes)
    }

    @Test func missingFileNamesTheFileAndTheFix() throws {
        let error = #expect(throws: ThalwegError.self) { try FileByteSource(path: "/nowhere/x.json") }
        #expect(error?.kind == .input)
        #expect(error?.description == "no such file: file /nowhere/x.json\n  hint: check the path")
        #expect(throws: ThalwegError.self) { try FileByteSource(path: "/tmp") }
    }

    @Test func gzipOfOneAndManyMembers() throws {
        let first = Array(repeatElement(Array("one line\n".utf8), count: 30_000).joined())
        let second = Array("the other member\n".utf8)
        for chunk in [1, 7, 100_000] {
            let data = gzipped(first) + gzipped([]) + gzipped(second) + [0, 0, 0, 0]
            let source = try decompressingIfNeeded(MemoryByteSource(data, chunkBytesMax: chunk))
            #expect(source is GzipByteSource)
            #expect(try contents(of: source) == first + second)
            // Back to the middle and on to the end.
            #expect(try contents(of: source, from: 1000) == Array((first + second)[1000...]))
            #expect(try contents(of: source, from: 1 << 30) == [])
        }
    }

    @Test func gzipThatIsCutOrDamagedNamesFileAndByte() throws {
        var random = SeededRandom(seed: 1)
        let plain = (0..<50_000).map { _ in UInt8.random(in: 65...80, using: &random) }
        let whole = gzipped(plain)
        for cut in [3, 12, whole.count / 2, whole.count - 1] {
            let source = try GzipByteSource(MemoryByteSource(Array(whole[..<cut]), name: "a.gz"))
            let error = #expect(throws: ThalwegError.self) { try contents(of: source) }
            #expect(error?.kind == .input)
            #expect(error?.description.contains("file a.gz at byte \(cut) ") == true)
        }
        var flipped = whole
        flipped[whole.count / 2] ^= 0x55
        let damaged = #expect(throws: ThalwegError.self) {
            try contents(of: GzipByteSource(MemoryByteSource(flipped, name: "b.gz")))
        }
        #expect(damaged?.primary == "gzip data is damaged")
        let trailing = #expect(throws: ThalwegError.self) {
            try contents(of: GzipByteSource(MemoryByteSource(whole + [1, 2, 3], name: "c.gz")))
        }
        #expect(trailing?.description.contains("other data behind the end") == true)
    }

    @Test func linesInAllTheirEndings() throws {
        let text = "one\ntwo\r\n\nnul\0here\r\nlast"
        for chunk in [1, 2, 5, 1000] {
            let found = try lines(MemoryByteSource(text, chunkBytesMax: chunk))
            #expect(found.rows == ["one", "two", "", "nul\0here", "last"])
            #expect(found.offsets == [0, 4, 9, 10, 20])
            #expect(found.end == ReadPosition(byteOffset: 24, line: 5))
        }
        #expect(try lines(MemoryByteSource("")).rows == [])
        #expect(try lines(MemoryByteSource("\n")).rows == [""])
        #expect(try lines(MemoryByteSource("\u{FEFF}bom\n")).rows == ["bom"])
        #expect(try lines(MemoryByteSource("\u{FEFF}")).rows == [])
    }

    @Test func tooLongLinesAreSkippedInBoundedMemory() throws {
        var limits = ReadLimits()
        limits.lineBytesMax = 1000
        limits.blockBytes = 256
        // A gigabyte without a line break, between two short lines.
        let total = UInt64(1 << 30)
        var largest = 0
        let source = ClosureByteSource(name: "huge") { offset, buffer in
            largest = max(largest, buffer.count)
            guard offset < total else { return 0 }
            let count = Int(min(UInt64(buffer.count), total - offset))
            _ = UnsafeMutableRawBufferPointer(rebasing: buffer[..<count]).initializeMemory(
                as: UInt8.self, repeating: 0x61)
            if offset < 3 { buffer[3 - Int(offset)] = 0x0A }
            let tail = Int64(total) - 4 - Int64(offset)
            if tail >= 0, tail < count { buffer[Int(tail)] = 0x0A }
            return count
        }
        limits.blockBytes = 64 * 1024
        let found = try lines(source, limits: limits)
        #expect(found.rows == ["aaa", "aaa"])
        #expect(found.errors.count == 1)
        #expect(found.errors.first?.line == 2)
        #expect(found.errors.first?.byteOffset == 4)
        #expect((found.errors.first?.excerpt.utf8.count ?? 0) <= 200)
        #expect(largest < 1 << 20)

        for chunk in [1, 10, 5000] {
            let text = String(repeating: "x", count: 1001) + "\nok\n" + String(repeating: "y", count: 1000) + "\n"
            let short = try lines(MemoryByteSource(text, chunkBytesMax: chunk), limits: limits)
            #expect(short.rows.map(\.count) == [2, 1000])
            #expect(short.errors.map(\.line) == [1])
        }
    }

    @Test func rangesCoverEachLineOnceForEverySplit() throws {
        let text = "a\nbb\r\n\nccc\n\n\ndddd dddd\ne"
        let bytes = Array(text.utf8)
        let whole = try lines(MemoryByteSource(bytes))
        for chunk in [1, 3, 100] {
            for first in 0...bytes.count {
                for second in first...bytes.count {
                    var rows: [String] = []
                    var offsets: [UInt64] = []
                    let ranges = [
                        ReadRange(end: UInt64(first)), ReadRange(start: UInt64(first), end: UInt64(second)),
                        ReadRange(start: UInt64(second)),
                    ]
                    for range in ranges {
                        let part = try lines(MemoryByteSource(bytes, chunkBytesMax: chunk), range)
                        rows += part.rows
                        offsets += part.offsets
                    }
                    #expect(rows == whole.rows, "split at \(first) and \(second), chunks of \(chunk)")
                    #expect(offsets == whole.offsets)
                }
            }
        }
    }

    @Test func readingGoesOnWhereItStopped() throws {
        let bytes = Array((0..<500).map { "line \($0)\n" }.joined().utf8)
        let whole = try lines(MemoryByteSource(bytes)).rows
        let source = MemoryByteSource(bytes)
        var rows: [String] = []
        var range = ReadRange(start: 0, end: 3000)
        let buffer = UnsafeMutablePointer<String>.allocate(capacity: 7)
        defer { buffer.deallocate() }
        while true {
            let reader = LineReader(source, range: range, limits: ReadLimits(), repairsUTF8: false)
            #expect(reader.position == range.resume ?? ReadPosition())
            let count = try reader.read(into: buffer, positions: nil, capacity: 7) { throw $0 }
            if count == 0 { break }
            for row in 0..<count { rows.append((buffer + row).move()) }
            range.resume = reader.position
            #expect(range.resume?.line == UInt64(rows.count))
        }
        #expect(rows == Array(whole[..<rows.count]))
        #expect(try lines(source, ReadRange(start: 3000)).rows == Array(whole[rows.count...]))
    }

    @Test func linesThatAreNotUTF8() throws {
        let bytes = Array("ok\n".utf8) + [0xFF, 0xFE, 0x0A] + Array("ok too".utf8)
        let found = try lines(MemoryByteSource(bytes, name: "log"))
        #expect(found.rows == ["ok", "ok too"])
        #expect(found.errors.first?.description.contains("log, line 2 (byte 3): not valid UTF-8") == true)
        let repaired = LineReader(MemoryByteSource(bytes), range: .all, limits: ReadLimits(), repairsUTF8: true)
        #expect(try repaired.readAll() == ["ok", "\u{FFFD}\u{FFFD}", "ok too"])
    }
}
