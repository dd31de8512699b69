// SPDX-License-Identifier: Apache-2.0
//  A snapshot of one state that grows entry by entry, for whoever cannot hand over all entries at once.

import ThalwegBase
import ThalwegData
import ThalwegStorage

/// Entries on their way to a snapshot of their own. Used by one thread, up to ``finish()``.
package final class SavepointDraft {
    private let loader: StateLoader
    private let sorter: EntrySorter
    private let names: [String]
    private var writer: SavepointWriter
    private let path: String

    /// - Parameter path: a directory that is not there yet; beside it lies what is sorted.
    package init(
        _ path: String, _ state: StateDescriptor, maxParallelism: Int, timeMilliseconds: Int64,
        duplicates: StateLoader.Duplicates, fileSystem: any FileSystem
    ) throws {
        self.path = path
        writer = try SavepointWriter(
            maxParallelism: maxParallelism, timeMilliseconds: timeMilliseconds, fileSystem: fileSystem)
        try writer.check(path)
        sorter = EntrySorter(
            directory: path + ".sorting", fileSystem: fileSystem, runBytesMax: writer.runBytesMax)
        loader = StateLoader(
            try EntryLayout(state), maxParallelism: maxParallelism, stamp: timeMilliseconds, duplicates: duplicates,
            sorter: sorter)
        names = loader.placeFields.map(\.name)
    }

    /// What a record for such a state has.
    package static func fields(of state: StateDescriptor) throws -> [RecordSchema.Field] {
        let layout = try EntryLayout(state)
        let value = layout.value.map { RecordSchema.Field(name: "value", type: $0.schema.root) }
        return StateLoader.placeParts(layout).map { RecordSchema.Field(name: $0.name, type: $0.codec.schema.root) }
            + [value].compactMap { $0 }
    }

    /// Adds an entry, as a record of ``fields(of:)`` in any order.
    package func add(_ record: DynamicValue) throws {
        try loader.add(
            at: try names.map { name in
                guard let value = record[name] else {
                    throw ThalwegError(.bug, "a record of a snapshot lacks a field", detail: name)
                }
                return value
            }, record["value"])
    }

    /// All entries have come.
    package func finish() -> FinishedDraft {
        let (loader, sorter) = (loader, sorter)
        writer.fill(loader.layout) { try loader.write(nil, to: $0) }
        return FinishedDraft(writer, path) { sorter.remove() }
    }

    package func abandon() { sorter.remove() }
}

/// A draft that is written: first all but what makes it a snapshot, then that. From any thread, one call at a time.
package final class FinishedDraft: @unchecked Sendable {
    // Unchecked: the calls follow each other, as the runtime prepares an output before it publishes it, and what they
    // use has no other user.
    private let writer: SavepointWriter
    private let path: String
    private let clean: () -> Void
    private var prepared: PreparedCopy?
    private var isComplete = false

    init(_ writer: SavepointWriter, _ path: String, clean: @escaping () -> Void) {
        self.writer = writer
        self.path = path
        self.clean = clean
    }

    /// Repeated calls change nothing.
    package func write() throws {
        guard prepared == nil, !isComplete else { return }
        defer { clean() }
        prepared = try writer.prepare(to: path)
    }

    /// Repeated calls change nothing.
    package func complete() throws {
        try write()
        try prepared?.complete()
        (prepared, isComplete) = (nil, true)
    }

    package func abandon() {
        prepared?.abandon()
        clean()
    }
}
