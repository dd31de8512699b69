// SPDX-License-Identifier: Apache-2.0
//  Entries of a new state, in any order and of any number.

import ThalwegBase
import ThalwegData
import ThalwegStorage

/// Takes the entries of one state and puts them in the order in which snapshots store them (FLIP-43 b8).
///
/// Memory: ``SavepointWriter/runBytesMax``, whatever the number of entries; what does not fit lies in sorted files
/// beside the snapshot that is written. Used by one thread.
public final class StateLoader {
    /// What an entry means whose place another one has already.
    public enum Duplicates: String, Sendable, Hashable, CaseIterable {
        /// An error that names the place.
        case refused
        /// The one that was added later counts.
        case last
    }

    let layout: EntryLayout
    let maxParallelism: Int
    /// Of entries that are added without one.
    private let stamp: Int64
    private let duplicates: Duplicates
    private let sorter: EntrySorter
    private var key = ByteWriter()
    private var value = ByteWriter()
    /// Keys end with the number of the entry: none is there twice, and what came first stands first.
    private static let numberBytes = 6
    private var number: UInt64 = 0

    init(
        _ layout: EntryLayout, maxParallelism: Int, stamp: Int64, duplicates: Duplicates, sorter: EntrySorter
    ) {
        self.layout = layout
        self.maxParallelism = maxParallelism
        self.stamp = stamp
        self.duplicates = duplicates
        self.sorter = sorter
    }

    /// The entries that were added.
    public var count: Int64 { sorter.count }

    /// What names an entry that is added: of a list the key alone, of state of subtasks nothing.
    public var placeFields: [RecordSchema.Field] {
        Self.placeParts(layout).map { RecordSchema.Field(name: $0.name, type: $0.codec.schema.root) }
    }

    static func placeParts(_ layout: EntryLayout) -> ArraySlice<EntryLayout.Part> {
        switch layout.descriptor.kind {
        case .list: layout.parts.prefix(1)
        case .buffer: layout.parts.prefix(2)
        case .split, .union: []
        default: layout.parts[...]
        }
    }

    /// Adds an entry; of a list one value, after those that were added for the same key.
    ///
    /// - Parameters:
    ///   - place: the values of ``placeFields``.
    ///   - value: nil for timers.
    /// - Throws: kind `input` when a value is not one of the schema.
    public func add(at place: [DynamicValue], _ value: DynamicValue?) throws {
        let parts = Self.placeParts(layout)
        guard place.count == parts.count, (value == nil) == (layout.value == nil) else {
            throw ThalwegError(
                .input, "this is no entry of the state",
                detail: "\(place.count) values for \(parts.map(\.name).joined(separator: ", "))")
        }
        try add(Array(zip(parts, place)), keyGroup: nil, stamp: nil, value)
    }

    /// Adds an entry with all that is known of it.
    func add(
        _ place: [(part: EntryLayout.Part, value: DynamicValue)], keyGroup known: Int?, stamp: Int64?,
        _ value: DynamicValue?
    ) throws {
        var group: Int?
        if layout.descriptor.kind.isKeyed {
            let fields = place.map { DynamicValue.Field($0.part.name, $0.value) }
            group = try known ?? layout.keyGroup(of: fields, maxParallelism: maxParallelism)
        }
        try add(group: group, stamp: stamp) { key throws(ThalwegError) in
            for (part, value) in place { try part.codec.encodeKey(value, into: &key) }
        } value: { bytes throws(ThalwegError) in
            if let value { try layout.value?.encode(value, into: &bytes) }
        }
    }

    /// Adds an entry as bytes.
    ///
    /// - Parameters:
    ///   - group: the key group of a keyed state.
    ///   - stamp: of state that expires: when it was last touched; nil for the time of the snapshot.
    ///   - key: appends what follows it.
    ///   - value: appends the value, without a stamp.
    @inline(__always)
    package func add<Failure: Error>(
        group: Int?, stamp: Int64? = nil, key appendKey: (inout ByteWriter) throws(Failure) -> Void,
        value appendValue: (inout ByteWriter) throws(Failure) -> Void
    ) throws {
        key.removeAll()
        value.removeAll()
        if let group { key.append(UInt16(truncatingIfNeeded: group).byteSwapped) }
        try appendKey(&key)
        key.append(UInt16(truncatingIfNeeded: number >> 32).byteSwapped)
        key.append(UInt32(truncatingIfNeeded: number).byteSwapped)
        number += 1
        if layout.hasStamps { value.append(stamp ?? self.stamp) }
        try appendValue(&value)
        try key.withBytes { key in try value.withBytes { try sorter.add(key: key, value: $0) } }
    }

    // MARK: In order

    /// Writes all entries, those of a state that is there already among them: what was added takes the place of what
    /// has the same key.
    func write(_ present: SnapshotEntries?, to writer: any EntryWriter) throws {
        var output = LoadedEntries(layout, duplicates: duplicates, present: present, writer: writer)
        try sorter.forEach { key, value in
            let address = UnsafeRawBufferPointer(rebasing: key.dropLast(Self.numberBytes))
            try output.add(address, value)
        }
        try output.finish()
    }
}

/// Makes entries of what a loader has sorted.
private struct LoadedEntries: ~Copyable {
    private let layout: EntryLayout
    private let duplicates: StateLoader.Duplicates
    private let present: SnapshotEntries?
    private let writer: any EntryWriter
    private var isPresent: Bool?
    /// What names the entries last seen: their keys, but for what tells those of one place apart.
    private var address = ByteWriter()
    private var hasAddress = false
    /// What waits to be written there: a value, or the elements of a chunk.
    private var pending = ByteWriter()
    private var elements = 0
    private var stamps = ByteWriter()
    /// The chunk of a list, or the place among entries of one address.
    private var index: UInt32 = 0
    private var key = ByteWriter()
    private var value = ByteWriter()

    init(
        _ layout: EntryLayout, duplicates: StateLoader.Duplicates, present: SnapshotEntries?,
        writer: any EntryWriter
    ) {
        self.layout = layout
        self.duplicates = duplicates
        self.present = present
        self.writer = writer
    }

    mutating func add(_ next: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer) throws {
        let isSame = hasAddress && address.withBytes { $0.count == next.count && $0.elementsEqual(next) }
        if !isSame {
            try flush()
            index = 0
            try passPresent(before: next)
            address.removeAll()
            address.append(next)
            hasAddress = true
        }
        switch layout.descriptor.kind {
        case .list:
            if elements == EntryLayout.chunkValuesMax { try flush() }
            let stampBytes = layout.hasStamps ? 8 : 0
            stamps.append(UnsafeRawBufferPointer(rebasing: value.prefix(stampBytes)))
            pending.append(UnsafeRawBufferPointer(rebasing: value.dropFirst(stampBytes)))
            elements += 1
        case .split, .union, .buffer:
            if elements > 0 { try flush() }
            pending.append(value)
            elements = 1
        case .timers: elements = 1
        default:
            if isSame, duplicates == .refused { throw duplicate(next) }
            pending.removeAll()
            pending.append(value)
            elements = 1
        }
    }

    private borrowing func duplicate(_ key: UnsafeRawBufferPointer) -> ThalwegError {
        let place = (try? layout.entry(key, nil).place) ?? []
        return ThalwegError(
            .input, "two entries have the same place",
            detail: "state \"\(layout.descriptor.name)\" of \"\(layout.descriptor.operatorName)\": "
                + DynamicValue.record(place).json, hint: "let the last one count: --duplicates last")
    }

    private mutating func flush() throws {
        guard hasAddress, elements > 0 else { return }
        key.removeAll()
        address.withBytes { key.append($0) }
        switch layout.descriptor.kind {
        case .split where address.count == 0, .union where address.count == 0:
            key.append(UInt32(0))
            key.append(index.byteSwapped)
        case .list, .buffer: key.append(index.byteSwapped)
        default: break
        }
        value.removeAll()
        if layout.descriptor.kind == .list {
            value.appendVarint(UInt64(elements))
            stamps.withBytes { value.append($0) }
            stamps.removeAll()
        }
        pending.withBytes { value.append($0) }
        try key.withBytes { key in
            let rowBytes = try layout.rowBytes(of: key)
            try value.withBytes { try writer.add(key: key, value: $0, rowBytes: rowBytes) }
        }
        pending.removeAll()
        elements = 0
        index += 1
    }

    /// Writes what is there before an address, and passes over what stands at it.
    private mutating func passPresent(before next: UnsafeRawBufferPointer?) throws {
        guard let present else { return }
        var isThere = try isPresent ?? present.next()
        while isThere {
            if let next {
                let key = present.key
                if key.starts(with: next) {
                    isThere = try present.next()
                    continue
                }
                guard key.lexicographicallyPrecedes(next) else { break }
            }
            try writer.add(key: present.key, value: present.value, rowBytes: present.rowBytes)
            isThere = try present.next()
        }
        isPresent = isThere
    }

    mutating func finish() throws {
        try flush()
        try passPresent(before: nil)
    }
}
