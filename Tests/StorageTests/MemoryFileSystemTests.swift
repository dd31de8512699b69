// SPDX-License-Identifier: Apache-2.0
//  Files in memory behave as files do.

import Testing
import ThalwegStorage

@Test func renamedFilesKeepTheirBytes() throws {
    let disk = MemoryFileSystem(["a/b": "text"])
    try disk.rename("a/b", to: "a/c")
    #expect(disk.text("a/c") == "text")
    #expect(disk.paths == ["a/c"])
}
