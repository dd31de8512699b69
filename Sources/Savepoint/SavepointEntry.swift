// SPDX-License-Identifier: Apache-2.0
//  One entry of a state, as values.

import ThalwegBase
import ThalwegData

/// One entry of one state of a snapshot.
public struct SavepointEntry: Hashable, Sendable {
    /// Of a keyed state.
    public internal(set) var keyGroup: Int?
    /// Where it stands in its state, by the state's kind: `key`; `mapKey` of a map; `window` (its start) of a pane;
    /// `time` of a timer; `time` and `index` in a join's buffer; `chunk` of a list; `subtask` and `index`, or `id`,
    /// of state without keys.
    public internal(set) var place: [DynamicValue.Field] = []
    /// When it was last touched, of state that expires: milliseconds since 1970. Of a list one for each value.
    public internal(set) var stamps: [Int64] = []
    /// Nil for timers. Of a list the values of one chunk.
    public internal(set) var value: DynamicValue?

    /// The key; nil when the state is not keyed.
    public var key: DynamicValue? { place.first { $0.name == EntryLayout.keyName }?.value }

    /// All of it as a record: the place, the stamps, the value.
    public var record: DynamicValue {
        var fields = place
        // Which key group an element without a key belongs to may follow from its value.
        if let keyGroup, key == nil { fields.append(DynamicValue.Field("keyGroup", .integer(Int64(keyGroup)))) }
        if !stamps.isEmpty {
            let times = stamps.map { DynamicValue.time(EventTime(milliseconds: $0)) }
            if case .array? = value, place.contains(where: { $0.name == "chunk" }) {
                fields.append(DynamicValue.Field("stamps", .array(times)))
            } else {
                fields.append(DynamicValue.Field("stamp", times[0]))
            }
        }
        if let value { fields.append(DynamicValue.Field("value", value)) }
        return .record(fields)
    }
}
