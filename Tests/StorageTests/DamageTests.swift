// SPDX-License-Identifier: Apache-2.0
//  Damage of any byte is found, and never gives other data (FLIP-41, FLIP-47).

import Testing
import ThalwegBase
import ThalwegStorage
import ThalwegTesting

@Suite struct DamageTests {
    /// All entries and the descriptors, however they are asked for.
    private func read(_ bytes: [UInt8]) throws -> (states: [[Entry]], table: [StateDescriptor]) {
        let reader = try SegmentReader(MemoryByteSource(bytes, name: "s.segment"), byteCount: Int64(bytes.count))
        try reader.verify()
        let states = try reader.footer.states.indices.map { try reader.cursor(state: $0).all() }
        return (states, reader.footer.states)
    }

    private func sample(filters: Bool) throws -> (bytes: [UInt8], states: [[Entry]]) {
        var random = SeededRandom(seed: 5)
        var options = SegmentOptions()
        options.blockBytes = 200
        options.hasFilters = filters
        let states = [
            (0..<60).map { (keyed($0 / 10, $0), [UInt8](repeating: 3, count: $0)) },
            random.entries(20, keyBytesMax: 12, valueBytesMax: 12), [],
        ]
        return (try segment(states, options: options).bytes, states)
    }

    /// Every byte of a segment, changed in several ways.
    @Test(arguments: [false, true]) func everyByteOfASegmentCounts(filters: Bool) throws {
        let (bytes, _) = try sample(filters: filters)
        for place in bytes.indices {
            for mask in [0x01, 0x80, 0xFF] as [UInt8] {
                var damaged = bytes
                damaged[place] ^= mask
                do {
                    _ = try read(damaged)
                    Issue.record("byte \(place) mixed with \(mask) was not noticed")
                } catch let error as ThalwegError {
                    #expect(error.kind == .corrupt && error.detail?.contains("s.segment") == true, "\(error)")
                }
            }
        }
    }

    @Test func everyLengthOfASegmentCounts() throws {
        let (bytes, states) = try sample(filters: true)
        for count in bytes.indices {
            let error = #expect(throws: ThalwegError.self) { _ = try read(Array(bytes.prefix(count))) }
            #expect(error?.kind == .corrupt)
        }
        for extra in [[0], bytes] as [[UInt8]] {
            #expect(throws: ThalwegError.self) { _ = try read(bytes + extra) }
        }
        #expect(zip(try read(bytes).states, states).allSatisfy { isEqual($0, $1) })
    }

    /// Checksums set right again after the damage: whatever comes out, nothing crashes and nothing is read out of
    /// bounds.
    @Test(arguments: 0..<20) func forgedSegmentsDoNoHarm(seed: UInt64) throws {
        var random = SeededRandom(seed: seed)
        let (bytes, _) = try sample(filters: false)
        for _ in 0..<300 {
            let start = bytes.withUnsafeBytes { $0.loadUnaligned(fromByteOffset: bytes.count - 40, as: UInt64.self) }
            var forged = bytes
            for _ in 0..<(1 + random.below(3)) {
                forged[Int(start) + random.below(bytes.count - 40 - Int(start))] = UInt8(random.below(256))
            }
            let sealed = Array(forged[Int(start)..<(bytes.count - 16)])
            withUnsafeBytes(of: checksum(sealed).littleEndian) {
                forged.replaceSubrange((bytes.count - 16)..<(bytes.count - 8), with: $0)
            }
            do { _ = try read(forged) } catch let error as ThalwegError { #expect(error.kind == .corrupt, "\(error)") }
        }
    }

    @Test func everyByteOfTheMetadataCounts() throws {
        let disk = MemoryFileSystem()
        let store = try CheckpointStoreTests().store(disk)
        let path = "ck/chk-2/_metadata"
        try CheckpointStoreTests().write(store, 1, perGroup: 1)
        try CheckpointStoreTests().write(store, 2, perGroup: 1)
        let bytes = try #require(disk[path])
        func refuse(_ damaged: [UInt8], _ what: String) {
            disk[path] = damaged
            do {
                _ = try store.load()
                Issue.record("\(what) was not noticed")
            } catch let error as ThalwegError {
                #expect(error.kind == .corrupt && error.detail?.contains(path) == true, "\(what): \(error)")
                #expect(error.hint?.contains("--from chk-1") == true, "\(what): \(error)")
            } catch { Issue.record(error) }
        }
        for place in bytes.indices {
            var damaged = bytes
            damaged[place] ^= 1 << UInt8(place % 8)
            refuse(damaged, "byte \(place)")
            refuse(Array(bytes.prefix(place)), "cut at \(place)")
        }
        refuse(bytes + [10], "a byte more")
        disk[path] = bytes
        #expect(try store.load().metadata.checkpoint == 2)
    }

    /// Numbers that nobody writes are refused, whoever has sealed them.
    @Test func impossibleNumbersAreDamage() throws {
        let disk = MemoryFileSystem()
        let store = try CheckpointStoreTests().store(disk)
        let path = "ck/chk-1/_metadata"
        try CheckpointStoreTests().write(store, 1, perGroup: 1)
        let lines = String(decoding: try #require(disk[path]), as: UTF8.self).split(separator: "\n").dropLast()
        let text = lines.joined(separator: "\n") + "\n"
        for (name, numbers) in [
            ("maxParallelism", ["0", "-1", "65537", "9223372036854775807"]), ("parallelism", ["0", "-2", "65537"]),
            ("byteCount", ["-1"]), ("entries", ["-9223372036854775808"]), ("subtask", ["-1", "70000"]),
            ("checkpoint", ["-1"]),
        ] {
            for number in numbers {
                let changed = Array(Self.replacing(name, in: text, by: number).utf8)
                #expect(changed != Array(text.utf8), "\(name)")
                let seal = String(checksum(changed), radix: 16)
                disk[path] = changed + "xxh3 \(String(repeating: "0", count: 16 - seal.count))\(seal)\n".utf8
                let error = #expect(throws: ThalwegError.self, "\(name) \(number)") { try store.load() }
                #expect(error?.kind == .corrupt && error?.detail?.contains("'\(name)' cannot be \(number)") == true)
            }
        }
    }

    /// JSON with other numbers in the place of all of one name.
    private static func replacing(_ name: String, in text: String, by number: String) -> String {
        let parts = text.split(separator: "\"\(name)\": ", omittingEmptySubsequences: false)
        let rest = parts.dropFirst().map { "\"\(name)\": \(number)" + $0.drop(while: \.isNumber) }
        return parts[0] + rest.joined()
    }

    /// A snapshot whose segments are damaged on the disk, byte by byte: `verify` finds all of it.
    @Test func aSnapshotNamesItsDamagedFile() throws {
        let disk = MemoryFileSystem()
        let store = try CheckpointStoreTests().store(disk)
        let metadata = try CheckpointStoreTests().write(store, 1, perGroup: 1)
        let path = "ck/" + metadata.files[1].path
        let faulty = FaultyFileSystem(disk, DiskFaults())
        let snapshot = try CheckpointStore(root: "ck", fileSystem: faulty).load()
        for place in 0..<UInt64(metadata.files[1].byteCount) {
            faulty.faults.damaged = [path: [place: 0x10]]
            let error = #expect(throws: ThalwegError.self) { try snapshot.verify() }
            #expect(error?.kind == .corrupt && error?.detail?.contains(path) == true)
        }
        faulty.faults.damaged = [:]
        try snapshot.verify()
        disk[path]?.removeLast()
        let short = #expect(throws: ThalwegError.self) { try store.load() }
        #expect(short?.kind == .corrupt && short?.detail?.contains(path) == true)
        disk[path] = nil
        let gone = #expect(throws: ThalwegError.self) { try store.load() }
        #expect(gone?.kind == .corrupt && gone?.detail?.contains(path) == true)
    }

    /// The checksum of the format, to forge with.
    private func checksum(_ bytes: [UInt8]) -> UInt64 { SegmentFormat.checksum(of: bytes) }
}
