// SPDX-License-Identifier: Apache-2.0
//  The external sort against a sort in memory.

import Testing
import ThalwegBase
import ThalwegTesting

@testable import ThalwegStorage

@Suite struct EntrySorterTests {
    @Test(arguments: 0..<40 as Range<UInt64>)
    func asASortInMemory(seed: UInt64) throws {
        var random = SeededRandom(seed: seed)
        let disk = MemoryFileSystem()
        // From one run in memory to several levels of merges.
        let runBytes = [100, 300, 2000, 1 << 20][Int(seed % 4)]
        let sorter = EntrySorter(directory: "sort", fileSystem: disk, runBytesMax: runBytes)
        var model: [[UInt8]: [UInt8]] = [:]
        for number in 0..<Int(random.next() % 6000) {
            let shared = [UInt8](repeating: 7, count: Int(random.next() % 20))
            let key = shared + (0..<Int(random.next() % 6)).map { _ in UInt8(random.next() % 3) }
            guard model[key] == nil else { continue }
            let value = (0..<number % 5).map { _ in UInt8(truncatingIfNeeded: random.next()) }
            model[key] = value
            try key.withUnsafeBytes { key in try value.withUnsafeBytes { try sorter.add(key: key, value: $0) } }
        }
        #expect(sorter.count == Int64(model.count))
        var found: [(key: [UInt8], value: [UInt8])] = []
        try sorter.forEach { found.append((Array($0), Array($1))) }
        let expected = model.sorted { $0.key.lexicographicallyPrecedes($1.key) }
        #expect(found.map(\.key) == expected.map(\.key), "seed \(seed)")
        #expect(found.map(\.value) == expected.map(\.value), "seed \(seed)")
        sorter.remove()
        #expect(disk.paths.isEmpty)
    }

    /// More runs than are merged at once, and several levels of them.
    @Test func manyRuns() throws {
        let disk = MemoryFileSystem()
        let sorter = EntrySorter(directory: "sort", fileSystem: disk, runBytesMax: 40)
        let count = UInt32(EntrySorter.fanIn * EntrySorter.fanIn + 100)
        var filesMax = 0
        for number in 0..<count {
            let mixed = (number &* 2_654_435_761).bigEndian
            try withUnsafeBytes(of: mixed) { try sorter.add(key: $0, value: $0) }
            if number % 64 == 0 { filesMax = max(filesMax, disk.paths.count) }
        }
        #expect(filesMax < 3 * EntrySorter.fanIn)
        var last: [UInt8] = []
        var found = 0
        try sorter.forEach { key, value in
            #expect(last.lexicographicallyPrecedes(key) && key.elementsEqual(value))
            last = Array(key)
            found += 1
        }
        #expect(found == count)
        #expect(throws: ThalwegError.self) { try sorter.forEach { _, _ in } }
        sorter.remove()
        #expect(disk.paths.isEmpty)
    }
}
