// SPDX-License-Identifier: Apache-2.0
//  Where bytes come from, as a reader sees it.

import ThalwegBase

/// Bytes that can be read from any position: a file, or what stands for one in a test or a simulation.
///
/// Non-guarantees: a read may give fewer bytes than asked for; a source is used by one thread at a time.
public protocol ByteSource: AnyObject {
    /// What error texts call it, usually a path.
    var name: String { get }

    /// Reads bytes that start at `offset` into `buffer` and returns how many; 0 means that there are none (yet).
    func read(at offset: UInt64, into buffer: UnsafeMutableRawBufferPointer) throws(ThalwegError) -> Int
}

/// Bytes that are in memory already.
public final class MemoryByteSource: ByteSource {
    public let name: String
    private let bytes: [UInt8]
    private let chunkBytesMax: Int

    /// - Parameter chunkBytesMax: gives at most so many bytes a read, to imitate slow or ragged input.
    public init(_ bytes: [UInt8], name: String = "memory", chunkBytesMax: Int = .max) {
        precondition(chunkBytesMax > 0)
        self.bytes = bytes
        self.name = name
        self.chunkBytesMax = chunkBytesMax
    }

    public convenience init(_ text: String, name: String = "memory", chunkBytesMax: Int = .max) {
        self.init(Array(text.utf8), name: name, chunkBytesMax: chunkBytesMax)
    }

    public func read(at offset: UInt64, into buffer: UnsafeMutableRawBufferPointer) throws(ThalwegError) -> Int {
        guard offset < UInt64(bytes.count) else { return 0 }
        let start = Int(offset)
        let count = min(bytes.count - start, buffer.count, chunkBytesMax)
        buffer.copyBytes(from: bytes[start..<start + count])
        return count
    }
}

/// Bytes that a closure supplies: how a simulator or an object store feeds a reader.
public final class ClosureByteSource: ByteSource {
    public typealias Read = (_ offset: UInt64, _ buffer: UnsafeMutableRawBufferPointer) throws(ThalwegError) -> Int

    public let name: String
    private let body: Read

    public init(name: String, read body: @escaping Read) {
        self.name = name
        self.body = body
    }

    public func read(at offset: UInt64, into buffer: UnsafeMutableRawBufferPointer) throws(ThalwegError) -> Int {
        try body(offset, buffer)
    }
}
