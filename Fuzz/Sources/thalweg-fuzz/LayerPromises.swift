// SPDX-License-Identifier: Apache-2.0
//  What layers of files promise, compared with a dictionary.

import ThalwegSavepoint

/// Files as a task looks into them. As far as they are what writers write, every way to read them says the same.
struct LayerPromises {
    let files: [ForgedSnapshot.File]
    /// Of each file.
    let blocks: [[ForgedBlock]]
    let states: Int

    private var names: [String] { (0..<states).map { "s\($0)" } }

    func check() throws {
        let disk = MemoryFileSystem()
        let runs = try files.map { file in
            disk[file.name] = file.bytes
            let listed = SegmentFile(
                path: file.name, byteCount: Int64(file.bytes.count), checksum: "", entries: 0,
                operators: [ForgedSnapshot.operatorName], subtask: 0, sequence: Int64(file.sequence),
                keyGroups: file.keyGroups)
            return try Run(listed, at: file.name, fileSystem: disk)
        }
        let lookups = RunLookups(
            operatorName: ForgedSnapshot.operatorName, states: names, blockBytesMax: 4 << 10, filterBytesMax: 1 << 10)
        try lookups.use(RunSet(runs))
        for state in 0..<states {
            let twin = isAsWritten(state) ? twin(state) : nil
            let ascending = ForgedSnapshot.found { try entries(lookups, state, isDescending: false) }
            let descending = ForgedSnapshot.found { try entries(lookups, state, isDescending: true) }
            if let twin {
                guard ascending == twin else { throw BrokenPromise("entries are not those of the dictionary") }
                guard descending == Array(twin.reversed()) else { throw BrokenPromise("entries differ backwards") }
            }
            try lookUp(lookups, state, twin)
        }
    }

    private struct Entry: Equatable {
        let key: [UInt8]
        let value: [UInt8]
    }

    private func entries(_ lookups: RunLookups, _ state: Int, isDescending: Bool) throws -> [Entry] {
        let cursor = lookups.entries(state, isDescending: isDescending)
        var found: [Entry] = []
        while try cursor.next() { found.append(Entry(key: Array(cursor.key), value: Array(cursor.value))) }
        return found
    }

    private func lookUp(_ lookups: RunLookups, _ state: Int, _ twin: [Entry]?) throws {
        let rows = Set(all(state).flatMap { $0.map { Array($0.key.prefix($0.rowBytes)) } })
        let hasFilters = blocks.joined().contains { !$0.filter.isEmpty }
        let buffer = RowBuffer()
        for row in rows where !row.isEmpty {
            let isWhole = ForgedSnapshot.attempt {
                _ = try row.withUnsafeBytes { try lookups.find(state, row: $0, into: buffer) }
            }
            let found = (0..<buffer.count).map {
                Entry(key: row + Array(buffer.suffix($0)), value: Array(buffer.value($0)))
            }
            // Filters that are made up may hide what is there.
            guard let twin, !hasFilters else { continue }
            guard isWhole, found == twin.filter({ $0.key.starts(with: row) }) else {
                throw BrokenPromise("a row is not that of the dictionary: \(row)")
            }
        }
    }

    // MARK: The dictionary

    /// The entries of a state in each file.
    private func all(_ state: Int) -> [[ForgedEntry]] {
        blocks.map { $0.filter { $0.state == state }.flatMap(\.entries) }
    }

    private func twin(_ state: Int) -> [Entry] {
        var twin: [[UInt8]: [UInt8]] = [:]
        for (file, entries) in zip(files, all(state)) {
            let counted = entries.filter { entry in
                guard let keyGroups = file.keyGroups else { return true }
                return entry.key.count >= 2 && keyGroups.contains(Int(entry.key[0]) << 8 | Int(entry.key[1]))
            }
            for entry in counted where entry.kind == 2 { twin = twin.filter { !$0.key.starts(with: entry.key) } }
            for entry in counted where entry.kind != 2 { twin[entry.key] = entry.kind == 0 ? entry.value : nil }
        }
        return twin.sorted { $0.key.lexicographicallyPrecedes($1.key) }.map { Entry(key: $0.key, value: $0.value) }
    }

    /// Whether the blocks are what a writer writes: whole, ascending, rows
    /// do not lie in one another, and a row that is a key has no other entries.
    private func isAsWritten(_ state: Int) -> Bool {
        for block in blocks.joined() where block.state == state {
            let entries = block.entries
            let bytes = entries.reduce(0) { $0 + $1.key.count + $1.value.count }
            guard entries.count == block.count, bytes <= block.plain.count, isWhole(block, entries) else {
                return false
            }
        }
        for entries in all(state) {
            for (entry, next) in zip(entries, entries.dropFirst())
            where !entry.key.lexicographicallyPrecedes(next.key) { return false }
            for entry in entries {
                guard entry.key.count >= 2, entry.rowBytes >= 2, entry.kind < 3, entry.kind == 0 || entry.value.isEmpty,
                    entry.kind != 2 || entry.rowBytes == entry.key.count
                else { return false }
            }
        }
        let entries = all(state).joined()
        let rows = Set(entries.map { Array($0.key.prefix($0.rowBytes)) }).sorted { $0.lexicographicallyPrecedes($1) }
        for (row, next) in zip(rows, rows.dropFirst()) where next.starts(with: row) { return false }
        let single = Set(entries.filter { $0.kind != 2 && $0.rowBytes == $0.key.count }.map(\.key))
        return !entries.contains { $0.rowBytes < $0.key.count && single.contains(Array($0.key.prefix($0.rowBytes))) }
    }

    /// Whether the entries are all of the block, each said as shortly as a writer says it.
    private func isWhole(_ block: ForgedBlock, _ entries: [ForgedEntry]) -> Bool {
        var bytes = 0
        for (index, entry) in entries.enumerated() {
            let before = index > 0 ? entries[index - 1] : nil
            let shared = before.map { zip($0.key, entry.key).prefix { $0 == $1 }.count } ?? 0
            let implied = shared >= before?.rowBytes ?? .max ? before?.rowBytes ?? 0 : entry.key.count
            let hasRow = entry.rowBytes != implied
            bytes += Self.varintBytes(shared << 1) + Self.varintBytes(entry.key.count - shared)
            bytes += Self.varintBytes(entry.value.count << 2) + (hasRow ? Self.varintBytes(entry.rowBytes) : 0)
            bytes += entry.key.count - shared + entry.value.count
        }
        return bytes == block.plain.count
    }

    private static func varintBytes(_ value: Int) -> Int {
        var (rest, count) = (value >> 7, 1)
        while rest > 0 { (rest, count) = (rest >> 7, count + 1) }
        return count
    }
}
