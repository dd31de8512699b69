// SPDX-License-Identifier: Apache-2.0
//  The entries of a state of a snapshot as a bounded stream.

import ThalwegBase
import ThalwegData
import ThalwegOperator
import ThalwegSavepoint
import ThalwegStorage

/// Some key groups of a state that is read, and how far it has been read.
public struct SavepointSplit: SourceSplit {
    public var firstKeyGroup: Int
    /// The key group after the last.
    public var endKeyGroup: Int
    /// The records of it that have been read.
    public var recordsRead: Int
    public var id: String { "key-groups-\(firstKeyGroup)-\(endKeyGroup)" }
}

/// Reads a state of a snapshot (FLIP-43 b6, b7): bounded, at any parallelism, a split for each range of key groups.
///
///     struct Offer: Codable, Sendable { var key: Int64; var value: Price }
///     try env.read(.savepoint("chk-7", operator: "auctions", state: "offer", as: Offer.self), name: "offers")
///
/// A record has the fields of an entry that its type names: `key`, `value`, `mapKey`, `window`, `time`, `index`,
/// `stamp`; of a list there is one for each value. State without keys is one split.
public struct SavepointSource<Element: Codable & Sendable>: Source {
    public typealias Split = SavepointSplit
    public let kind = "savepoint"
    private let reader: SavepointReader
    private let state: StateDescriptor
    private let rows: EntryRows<Element>
    private let filter: EntryFilter
    private let condition: String?

    /// The most splits of a state.
    static var splitsMax: Int { 64 }

    /// - Parameters:
    ///   - path: as `--from` takes it.
    ///   - filter: a key, a range of keys or of key groups; other key groups are not even opened.
    ///   - condition: an expression such as `value.price > 100`; see `StateExpression`.
    /// - Throws: kind `input` when there is no such snapshot or state, kind `job` when the type does not fit.
    public init(
        _ path: String, operator operatorName: String, state name: String, as _: Element.Type,
        where filter: EntryFilter = .all, matching condition: String? = nil,
        fileSystem: any FileSystem = LocalFileSystem()
    ) throws {
        reader = try SavepointReader(path, fileSystem: fileSystem)
        state = try reader.state(name, in: operatorName).descriptor
        rows = try EntryRows(of: state)
        self.filter = filter
        self.condition = condition
        // Filters and conditions that do not fit are refused before the job starts.
        _ = try reader.entries(of: name, in: operatorName, where: filter, matching: condition)
    }

    public var boundedness: Boundedness { .bounded }

    /// The key groups that are asked for, in as many ranges as there may be; one for what has no choice.
    private var splits: [SavepointSplit] {
        guard state.kind.isKeyed, let groups = keyGroups else {
            return [SavepointSplit(firstKeyGroup: 0, endKeyGroup: reader.maxParallelism, recordsRead: 0)]
        }
        let count = min(groups.count, Self.splitsMax)
        return (0..<count).map { index in
            SavepointSplit(
                firstKeyGroup: groups.lowerBound + groups.count * index / count,
                endKeyGroup: groups.lowerBound + groups.count * (index + 1) / count, recordsRead: 0)
        }
    }

    /// Nil when the filter is narrower than key groups.
    private var keyGroups: Range<Int>? {
        switch filter {
        case .all: 0..<reader.maxParallelism
        case .keyGroups(let groups): groups.clamped(to: 0..<reader.maxParallelism)
        case .key, .keys: nil
        }
    }

    public func makeEnumerator() throws -> FixedSplits<SavepointSplit> { try FixedSplits(splits) }

    public func makeReader(_ context: SourceReaderContext) -> SavepointRowReader<Element> {
        let isSplit = state.kind.isKeyed && keyGroups != nil
        return SavepointRowReader(context, rows) { [reader, state, filter, condition] split in
            let part: EntryFilter = isSplit ? .keyGroups(split.firstKeyGroup..<split.endKeyGroup) : filter
            return try reader.entries(
                of: state.name, in: state.operatorName, where: part, matching: condition)
        }
    }
}

extension Source {
    /// Reads a state of a snapshot, as records with the fields of its entries.
    public static func savepoint<Element: Codable & Sendable>(
        _ path: String, operator operatorName: String, state: String, as type: Element.Type,
        where filter: EntryFilter = .all, matching condition: String? = nil
    ) throws -> SavepointSource<Element> where Self == SavepointSource<Element> {
        try SavepointSource(
            path, operator: operatorName, state: state, as: type, where: filter, matching: condition)
    }
}

/// Reads the splits of one subtask, one after another.
public final class SavepointRowReader<Element: Codable & Sendable>: SourceReader {
    private let context: SourceReaderContext
    private let rows: EntryRows<Element>
    private let open: (SavepointSplit) throws -> SavepointEntries
    private var splits: [AssignedSplit<SavepointSplit>] = []
    private var entries: SavepointEntries?
    /// Records of the entry that did not fit into the last batch.
    private var waiting: ArraySlice<Element> = []
    /// Records of the split that were read before it was taken up again.
    private var leftToSkip = 0
    private var paused: Set<Int32> = []
    private var isComplete = false
    private var hasAsked = false

    init(
        _ context: SourceReaderContext, _ rows: EntryRows<Element>,
        _ open: @escaping (SavepointSplit) throws -> SavepointEntries
    ) {
        self.context = context
        self.rows = rows
        self.open = open
    }

    public var openSplitsMax: Int { 1 }

    public func addSplits(_ splits: [AssignedSplit<SavepointSplit>]) {
        self.splits += splits
        hasAsked = false
    }

    public func noMoreSplits() { isComplete = true }
    public func pause(_ splits: Set<Int32>) { paused = splits }
    public func snapshot() -> [SavepointSplit] { splits.map(\.split) }
    public func close() { entries = nil }

    public func poll(into batch: Batch<Element>) throws -> ReadStatus {
        guard let number = splits.first?.number else {
            if isComplete { return .finished }
            if !hasAsked {
                hasAsked = true
                try context.requestSplit()
            }
            return .nothing
        }
        if paused.contains(number) { return .nothing }
        let entries = try self.entries ?? begin()
        self.entries = entries
        var count = 0
        do {
            while count < batch.capacity {
                guard let row = waiting.popFirst() else {
                    guard let entry = try entries.next() else { break }
                    waiting = try rows.rows(of: entry)[...]
                    continue
                }
                if leftToSkip > 0 {
                    leftToSkip -= 1
                } else {
                    (batch.rows + count).initialize(to: row)
                    count += 1
                }
            }
        } catch {
            batch.rows.deinitialize(count: count)
            throw error
        }
        batch.count = count
        guard count > 0 else {
            splits.removeFirst()
            self.entries = nil
            return .splitFinished(number)
        }
        splits[0].split.recordsRead += count
        batch.split = number
        return .records
    }

    private func begin() throws -> SavepointEntries {
        let split = splits[0].split
        leftToSkip = split.recordsRead
        waiting = []
        return try open(split)
    }
}
