// SPDX-License-Identifier: Apache-2.0
//  What a state is: its name, its kind, and the schemas of what it holds.

import ThalwegBase
import ThalwegData

/// One state of one operator, described by data so that a snapshot can be read without the program that wrote it.
///
/// Entries of a keyed state begin with their key group (2 bytes, big-endian); see ``StateKind`` for what follows.
public struct StateDescriptor: Codable, Hashable, Sendable {
    /// The operator's name: its identity in snapshots (D11).
    public var operatorName: String
    /// The state's name, unique in its operator. Names of the engine's own states begin with `$`.
    public var name: String
    public var kind: StateKind
    /// The schema of the key; nil for states that are not keyed.
    public var key: RecordSchema?
    /// The schema of the namespace (a window) or of a map's own key.
    public var userKey: RecordSchema?
    /// The schema of the value; nil when entries have none.
    public var value: RecordSchema?
    /// Further facts by name, such as the time to live.
    public var properties: [String: String]

    public init(
        operatorName: String, name: String, kind: StateKind, key: RecordSchema? = nil, userKey: RecordSchema? = nil,
        value: RecordSchema? = nil, properties: [String: String] = [:]
    ) {
        self.operatorName = operatorName
        self.name = name
        self.kind = kind
        self.key = key
        self.userKey = userKey
        self.value = value
        self.properties = properties
    }

    /// The property that says that entries expire, and how.
    public static let lifeName = "ttl"

    /// Whether values carry the times at which they were last touched.
    public var hasStamps: Bool { properties[Self.lifeName] != nil }

    /// What decides how the bytes of entries are read, as a text: kind, schemas, and whether values carry stamps.
    public var form: String {
        let schemas = [key, userKey, value].compactMap { $0?.description }
        return ([kind.rawValue] + schemas + (hasStamps ? ["with stamps"] : [])).joined(separator: " ")
    }
}

extension StateDescriptor {
    /// The name of a property that holds of one file alone: the starts of the panes that it has, in milliseconds,
    /// ascending, with spaces between. Without it a file may have any.
    public static var paneStartsName: String { "starts" }

    /// The starts of the panes in the file that describes the state like this; nil when it does not say.
    public var paneStarts: [Int64]? {
        get {
            guard let words = properties[Self.paneStartsName]?.split(separator: " ") else { return nil }
            let starts = words.compactMap { Int64($0) }
            let isSound =
                !starts.isEmpty && starts.count == words.count && zip(starts, starts.dropFirst()).allSatisfy(<)
            return isSound ? starts : nil
        }
        set { properties[Self.paneStartsName] = newValue.map { $0.map(String.init).joined(separator: " ") } }
    }

    /// Without what holds of one file alone.
    public var ofAllFiles: StateDescriptor {
        guard properties[Self.paneStartsName] != nil else { return self }
        var state = self
        state.properties[Self.paneStartsName] = nil
        return state
    }
}

/// What the entries of a state mean. `group` is the key group, `key` the order-preserving encoding of the key
/// (`KeyEncoder`), numbers in keys are big-endian, signed ones with the sign bit flipped.
public enum StateKind: String, Codable, Hashable, Sendable, CaseIterable {
    /// Keyed: `group key` → value.
    case value
    /// Keyed: `group key chunk(u32)` → values, one after another, preceded by their number as a varint.
    case list
    /// Keyed: `group key userKey` → value.
    case map
    /// Keyed: `group key windowStart(i64)` → accumulator.
    case pane
    /// Keyed: `group key time(i64)` → nothing.
    case timers
    /// Keyed: `group key time(i64) sequence(u32)` → record. The buffers of joins.
    case buffer
    /// Not keyed: `subtask(u32) index(u32)` → element. Split evenly when parallelism changes (FLIP-8).
    case split
    /// Not keyed: `subtask(u32) index(u32)` → element. Every subtask gets all of them (FLIP-8).
    case union
    /// Not keyed: `userKey` → value, the same in every subtask, stored once (FLIP-8).
    case broadcast
    /// Not keyed: `group id(u64)` → element, to the subtask that owns the key group of the id.
    case keyedList
    /// Not keyed: `subtask(u32) index(u32)` → packet. What lay in channels (unaligned checkpoints).
    case inFlight

    /// Whether entries begin with a key group and go to the subtask that owns it.
    public var isKeyed: Bool {
        switch self {
        case .value, .list, .map, .pane, .timers, .buffer, .keyedList: true
        case .split, .union, .broadcast, .inFlight: false
        }
    }
}
