// SPDX-License-Identifier: Apache-2.0
//  Compression of blocks, with contexts that are used again.

import CZstd
import ThalwegBase

/// How the bytes of a block are stored.
enum BlockCompression: UInt16 {
    case plain = 0
    case zstd = 1
}

/// Compresses blocks.
final class BlockCompressor {
    private let context: OpaquePointer
    private let level: Int32

    /// - Throws: kind `job` when the level is not one of zstd's.
    init(level: Int32) throws(ThalwegError) {
        guard level <= ZSTD_maxCLevel(), level >= ZSTD_minCLevel() else {
            throw ThalwegError(
                .job, "no such compression level", detail: "level \(level)", hint: "take 1 to \(ZSTD_maxCLevel())")
        }
        guard let context = ZSTD_createCCtx() else { preconditionFailure("out of memory") }
        self.context = context
        self.level = level
    }

    deinit { ZSTD_freeCCtx(context) }

    static func bound(_ count: Int) -> Int { ZSTD_compressBound(count) }

    /// Compresses into `output`, which holds at least `bound(plain.count)` bytes; nil when that gains nothing.
    func compress(_ plain: UnsafeRawBufferPointer, into output: UnsafeMutableRawBufferPointer) -> Int? {
        guard level != 0 else { return nil }
        let count = ZSTD_compressCCtx(
            context, output.baseAddress, output.count, plain.baseAddress, plain.count, level)
        return ZSTD_isError(count) == 0 && count < plain.count ? count : nil
    }
}

/// Decompresses blocks.
final class BlockDecompressor {
    private let context: OpaquePointer

    init() {
        guard let context = ZSTD_createDCtx() else { preconditionFailure("out of memory") }
        self.context = context
    }

    deinit { ZSTD_freeDCtx(context) }

    /// Whether `stored` gives exactly as many bytes as `output` has.
    func decompress(_ stored: UnsafeRawBufferPointer, into output: UnsafeMutableRawBufferPointer) -> Bool {
        ZSTD_decompressDCtx(context, output.baseAddress, output.count, stored.baseAddress, stored.count) == output.count
    }
}
