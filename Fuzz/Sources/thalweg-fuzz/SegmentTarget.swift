// SPDX-License-Identifier: Apache-2.0
//  Segments: the footer, cursors over all states, layers, lookups of rows.

import ThalwegSavepoint

/// An input that begins with an even byte is a file, whose checksums are made right again; one that begins with an odd
/// byte says what is in the blocks of up to three files, which lie over one another.
struct SegmentTarget: FuzzTarget {
    private static let table = Array(
        """
        [{"key":"int64","kind":"value","name":"s0","operator":"op","value":{"record":[{"name":"a","type":\
        {"optional":"string"}},{"name":"b","type":{"array":"int32"}}]}},{"key":"string","kind":"list","name":"s1",\
        "operator":"op","properties":{"ttl":"600000 onCreateAndWrite neverReturnExpired processingTime"},"value":\
        "double"},{"key":"int32","kind":"map","name":"s2","operator":"op","userKey":"string","value":"time"}]
        """.utf8)
    private static let states = 3
    private static let filesMax = 3

    func run(_ input: inout FuzzInput) throws {
        if input.choice(of: 2) == 0 {
            let bytes = SegmentRepair.repaired(input.takeAll())
            try walk(bytes)
            try read([ForgedSnapshot.File(name: "0.segment", bytes: bytes, sequence: 1)])
        } else {
            var blocks: [[ForgedBlock]] = []
            var files: [ForgedSnapshot.File] = []
            repeat {
                let (found, file) = forge(&input, sequence: files.count)
                blocks.append(found)
                files.append(file)
            } while !input.isEmpty && files.count < Self.filesMax
            for file in files { ForgedSnapshot.attempt { try walk(file.bytes) } }
            try read(files)
            try LayerPromises(files: files, blocks: blocks, states: Self.states).check()
        }
    }

    /// A file whose blocks are raw bytes of the input.
    private func forge(_ input: inout FuzzInput, sequence: Int) -> ([ForgedBlock], ForgedSnapshot.File) {
        var blocks: [ForgedBlock] = []
        var state = 0
        for _ in 0..<(1 + input.choice(of: 4)) where !input.isEmpty {
            let flags = input.byte()
            state = min(state + Int(flags & 3) % 3, Self.states - 1)
            let plain = input.take(input.number16() % 2048)
            var block = ForgedBlock(state: state, count: 0, plain: plain)
            let entries = block.entries
            // Now and then the block lies about itself.
            block.count = flags & 0xC0 == 0xC0 ? input.number16() : entries.count
            if flags & 0x30 == 0x30 { block.filter = input.take(32 * (1 + input.choice(of: 3))) }
            let isBehind = blocks.last.map { last in
                last.state < state
                    || last.entries.first?.key.lexicographicallyPrecedes(entries.first?.key ?? []) ?? false
            }
            if block.count > 0, isBehind ?? true { blocks.append(block) }
        }
        let keyGroups = input.choice(of: 8) == 7 ? input.choice(of: 100)..<(100 + input.choice(of: 100)) : nil
        return (
            blocks,
            ForgedSnapshot.File(
                name: "\(sequence).segment",
                bytes: SegmentBytes.file(table: Self.table, states: Self.states, blocks), sequence: sequence,
                keyGroups: sequence > 0 ? keyGroups : nil, entries: blocks.reduce(0) { $0 + $1.entries.count })
        )
    }

    /// One file alone, from both ends.
    private func walk(_ bytes: [UInt8]) throws {
        let reader = try SegmentReader(MemoryByteSource(bytes), byteCount: Int64(bytes.count))
        for state in reader.footer.states.indices {
            var keys: [[UInt8]] = []
            ForgedSnapshot.attempt {
                let cursor = reader.cursor(state: state, isLayer: true)
                while try cursor.next() { if keys.count < 8 { keys.append(Array(cursor.key)) } }
            }
            ForgedSnapshot.attempt {
                let cursor = reader.cursor(state: state)
                while try cursor.next() { _ = cursor.value.count }
            }
            for (index, key) in keys.enumerated() {
                ForgedSnapshot.attempt { _ = try reader.value(of: state, key: key, rowBytes: key.count * index / 8) }
                ForgedSnapshot.attempt {
                    let cursor = reader.cursor(state: state, from: key, to: keys.last, isLayer: index % 2 == 0)
                    while try cursor.next() { _ = cursor.rowBytes }
                }
            }
        }
        ForgedSnapshot.attempt { try reader.verify() }
    }

    private func read(_ files: [ForgedSnapshot.File]) throws {
        try ForgedSnapshot.look(at: ForgedSnapshot.disk(files, metadata: ForgedSnapshot.metadata(files)))
    }
}
