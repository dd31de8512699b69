// SPDX-License-Identifier: Apache-2.0
//  Segments give back what was written, or an error.

import Testing
import ThalwegBase
import ThalwegStorage

@Suite struct SegmentTests {
    /// Against a sorted array: whole, ranges, single keys.
    @Test(arguments: 0..<40) func segmentsEqualASortedArray(seed: UInt64) throws {
        var random = SeededRandom(seed: seed)
        var options = SegmentOptions()
        options.blockBytes = [1, 100, 4096, 64 << 10][random.below(4)]
        options.compressionLevel = Int32(random.below(3))
        options.hasFilters = random.below(2) == 0
        let sizes = [0, 1, 2, 50, 3000]
        let states = (0..<4).map { _ in
            random.entries(
                sizes[random.below(sizes.count)], keyBytesMax: 40, valueBytesMax: [0, 8, 300][random.below(3)])
        }
        let (_, reader) = try segment(states, options: options, chunkBytesMax: 1 + random.below(5000))
        try reader.verify()
        #expect(reader.footer.states.count == 4)
        #expect(reader.footer.entries == UInt64(states.reduce(0) { $0 + $1.count }))
        for (state, entries) in states.enumerated() {
            #expect(isEqual(try reader.cursor(state: state).all(), entries))
            #expect(reader.footer.statistics[state].firstKey == entries.first?.key ?? [])
            #expect(reader.footer.statistics[state].lastKey == entries.last?.key ?? [])
            for _ in 0..<30 {
                let from =
                    entries.isEmpty || random.below(3) == 0 ? random.bytes(3) : entries[random.below(entries.count)].key
                let to =
                    entries.isEmpty || random.below(3) == 0 ? random.bytes(3) : entries[random.below(entries.count)].key
                let expected = entries.filter {
                    !$0.key.lexicographicallyPrecedes(from) && $0.key.lexicographicallyPrecedes(to)
                }
                #expect(isEqual(try reader.cursor(state: state, from: from, to: to).all(), expected))
                let value = entries.first { $0.key == from }?.value
                #expect(try reader.value(of: state, key: from) == value)
                #expect(try reader.value(of: state, key: from, rowBytes: from.count) == value)
            }
        }
    }

    @Test func hugeKeysAndValues() throws {
        var random = SeededRandom(seed: 1)
        let entries = [
            ([1] + random.bytes(1 << 18), random.bytes(1 << 20)), ([2], []),
            ([3] + [UInt8](repeating: 0, count: 3 << 20), [UInt8](repeating: 9, count: 9 << 20)),
        ]
        let (_, reader) = try segment([entries])
        #expect(isEqual(try reader.cursor(state: 0).all(), entries))
        let tooLong = [UInt8](repeating: 0, count: SegmentFormat.keyBytesMax + 1)
        let error = #expect(throws: ThalwegError.self) { _ = try segment([[(tooLong, [])]]) }
        #expect(error?.kind == .job && error?.detail?.contains("s0") == true)
    }

    @Test func keysOutOfOrderAreRefused() throws {
        for keys in [[[1], [1]], [[2], [1]], [[1, 2], [1]], [[], []], [[1, 1], [1, 0, 5]]] as [[[UInt8]]] {
            let error = #expect(throws: ThalwegError.self) { _ = try segment([keys.map { ($0, [0]) }]) }
            #expect(error?.kind == .bug, "\(keys)")
        }
        _ = try segment([[([], [0]), ([0], []), ([0, 0], []), ([0, 1], [])]])
    }

    @Test func filtersSpareReads() throws {
        var options = SegmentOptions()
        options.hasFilters = true
        let entries: [Entry] = (0..<20_000).map { (keyed($0 / 100, $0 * 2), [1]) }
        let (_, reader) = try segment([entries], options: options)
        for index in stride(from: 0, to: 20_000, by: 100) {
            _ = try reader.value(of: 0, key: entries[index].key, rowBytes: 10)
        }
        let before = reader.bytesRead
        var misses = 0
        for index in 0..<20_000
        where try reader.value(of: 0, key: keyed(index / 100, index * 2 + 1), rowBytes: 10) == nil {
            misses += 1
        }
        let blockBytes = before / Int64(200 + reader.footer.blockCount)
        #expect(misses == 20_000)
        #expect((reader.bytesRead - before) / blockBytes < 800, "at most 4 of 100 misses may read a block")
    }
}
