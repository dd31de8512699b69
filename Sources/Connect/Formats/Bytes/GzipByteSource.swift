// SPDX-License-Identifier: Apache-2.0
//  The plain bytes of gzip data.

import CZlib
import ThalwegBase
import ThalwegStorage

/// Decompresses gzip, one member or many (as `cat a.gz b.gz` makes them). Offsets are those of the plain bytes.
///
/// Going forward to an offset decompresses what lies before it; going back starts again from the beginning.
public final class GzipByteSource: ByteSource {
    private enum Phase { case betweenMembers, inMember, ended }

    private let compressed: any ByteSource
    private let input: UnsafeMutableRawBufferPointer
    /// On the heap: zlib remembers its address.
    private let stream: UnsafeMutablePointer<z_stream>
    private var phase = Phase.betweenMembers
    /// How many members were begun.
    private var members = 0
    /// Bytes taken from the compressed source, including those that wait in `input`.
    private var inputOffset: UInt64 = 0
    private var plainOffset: UInt64 = 0
    private static let inputBytes = 64 * 1024

    public var name: String { compressed.name }

    public init(_ compressed: any ByteSource) throws(ThalwegError) {
        self.compressed = compressed
        input = .allocate(byteCount: Self.inputBytes, alignment: 16)
        stream = .allocate(capacity: 1)
        stream.initialize(to: z_stream())
        // 16 added to the window bits asks for gzip, header and checksum included.
        let code = inflateInit2_(stream, 15 + 16, ZLIB_VERSION, Int32(MemoryLayout<z_stream>.size))
        guard code == Z_OK else {
            input.deallocate()
            stream.deallocate()
            throw ThalwegError(.retry, "cannot start gzip", detail: "file \(compressed.name): zlib error \(code)")
        }
    }

    deinit {
        inflateEnd(stream)
        stream.deallocate()
        input.deallocate()
    }

    /// Whether data that begins with these bytes is gzip: names tell nothing.
    public static func detects(_ head: UnsafeRawBufferPointer) -> Bool {
        head.count >= 2 && head[0] == 0x1F && head[1] == 0x8B
    }

    public func read(at offset: UInt64, into buffer: UnsafeMutableRawBufferPointer) throws(ThalwegError) -> Int {
        if offset < plainOffset { restart() }
        try skip(to: offset)
        guard plainOffset == offset else { return 0 }
        return try inflateSome(into: buffer)
    }

    private func restart() {
        inflateReset(stream)
        stream.pointee.avail_in = 0
        (phase, members, inputOffset, plainOffset) = (.betweenMembers, 0, 0, 0)
    }

    private func skip(to offset: UInt64) throws(ThalwegError) {
        guard plainOffset < offset else { return }
        let scratch = UnsafeMutableRawBufferPointer.allocate(byteCount: Self.inputBytes, alignment: 16)
        defer { scratch.deallocate() }
        while plainOffset < offset {
            let count = Int(min(UInt64(scratch.count), offset - plainOffset))
            if try inflateSome(into: UnsafeMutableRawBufferPointer(rebasing: scratch[..<count])) == 0 { return }
        }
    }

    private func inflateSome(into buffer: UnsafeMutableRawBufferPointer) throws(ThalwegError) -> Int {
        guard buffer.count > 0, phase != .ended else { return 0 }
        let wanted = min(buffer.count, Int(UInt32.max))
        stream.pointee.next_out = buffer.baseAddress?.assumingMemoryBound(to: UInt8.self)
        stream.pointee.avail_out = UInt32(wanted)
        while stream.pointee.avail_out == UInt32(wanted) {
            if phase == .betweenMembers {
                guard try beginMember() else { break }
            }
            if stream.pointee.avail_in == 0, try refill() == 0 { throw truncated() }
            let code = inflate(stream, Z_NO_FLUSH)
            if code == Z_STREAM_END {
                phase = .betweenMembers
            } else if code != Z_OK && code != Z_BUF_ERROR {
                throw corrupt(stream.pointee.msg.map { String(cString: $0) } ?? "zlib error \(code)")
            }
        }
        let count = wanted - Int(stream.pointee.avail_out)
        plainOffset += UInt64(count)
        return count
    }

    /// Stands before a member or at the end; zero bytes behind the last member are padding.
    private func beginMember() throws(ThalwegError) -> Bool {
        while true {
            if stream.pointee.avail_in == 0, try refill() == 0 {
                if members == 0 { throw truncated() }
                phase = .ended
                return false
            }
            guard members > 0, stream.pointee.next_in.pointee == 0 else { break }
            stream.pointee.next_in += 1
            stream.pointee.avail_in -= 1
        }
        if members > 0 {
            guard stream.pointee.next_in.pointee == 0x1F else {
                throw corrupt("other data behind the end of the gzip data")
            }
            inflateReset(stream)
        }
        members += 1
        phase = .inMember
        return true
    }

    private func refill() throws(ThalwegError) -> Int {
        let count = try compressed.read(at: inputOffset, into: input)
        inputOffset += UInt64(count)
        stream.pointee.next_in = input.baseAddress?.assumingMemoryBound(to: UInt8.self)
        stream.pointee.avail_in = UInt32(count)
        return count
    }

    private var place: String {
        let offset = inputOffset - UInt64(stream.pointee.avail_in)
        return "file \(name) at byte \(offset) (byte \(plainOffset) of the plain data)"
    }

    private func truncated() -> ThalwegError {
        ThalwegError(
            .input, "gzip data ends too early", detail: place,
            hint: "the file was cut off or is still being written: copy it again; `gzip -t` checks it")
    }

    private func corrupt(_ reason: String) -> ThalwegError {
        ThalwegError(
            .input, "gzip data is damaged", detail: "\(place): \(reason)",
            hint: "copy the file again from where it came; `gzip -t` checks it")
    }
}

/// Gives the plain bytes of a source: decompressed when its first bytes say that it is gzip, else as they are.
public func decompressingIfNeeded(_ source: any ByteSource) throws(ThalwegError) -> any ByteSource {
    var head: (UInt8, UInt8) = (0, 0)
    var failure: ThalwegError?
    let isGzip = withUnsafeMutableBytes(of: &head) { head in
        var count = 0
        do throws(ThalwegError) {
            while count < 2 {
                let more = try source.read(
                    at: UInt64(count), into: UnsafeMutableRawBufferPointer(rebasing: head[count...]))
                if more == 0 { break }
                count += more
            }
        } catch {
            failure = error
        }
        return GzipByteSource.detects(UnsafeRawBufferPointer(rebasing: head[..<count]))
    }
    if let failure { throw failure }
    return isGzip ? try GzipByteSource(source) : source
}
