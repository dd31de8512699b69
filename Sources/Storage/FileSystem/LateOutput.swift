// SPDX-License-Identifier: Apache-2.0
//  A file that is made when there is something to write.

import ThalwegBase

/// A file that is created when its first bytes are written.
final class LateOutput: FileOutput {
    private let path: String
    private let fileSystem: any FileSystem
    private var output: (any FileOutput)?
    private(set) var isThere = false

    init(_ path: String, _ fileSystem: any FileSystem) {
        self.path = path
        self.fileSystem = fileSystem
    }

    func write(_ bytes: UnsafeRawBufferPointer) throws(ThalwegError) {
        if output == nil {
            isThere = true
            output = try fileSystem.create(path)
        }
        try output?.write(bytes)
    }

    func sync() throws(ThalwegError) { try output?.sync() }

    func close() { output?.close() }
}
