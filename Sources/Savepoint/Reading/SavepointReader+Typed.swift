// SPDX-License-Identifier: Apache-2.0
//  Entries as values of Swift types.

import ThalwegBase
import ThalwegData
import ThalwegStorage

/// The keys and values of a state of kind `value`, in the order in which they are stored.
public final class TypedEntries<Key: Codable & Sendable, Value: Codable & Sendable> {
    private let entries: SavepointEntries
    private let keys: KeyEncoder<Key>
    private let values: RecordCodec<Value>

    init(_ entries: SavepointEntries, _ keys: KeyEncoder<Key>, _ values: RecordCodec<Value>) {
        self.entries = entries
        self.keys = keys
        self.values = values
    }

    /// The next key with its value; nil at the end.
    public func next() throws -> (key: Key, value: Value)? {
        guard try entries.step(), let bytes = entries.bytes else { return nil }
        var reader = ByteReader(bytes.key)
        _ = try reader.read(UInt16.self)
        let key = try keys.decode(&reader)
        let stamp = entries.layout.hasStamps ? 8 : 0
        guard bytes.value.count >= stamp else {
            throw ThalwegError(.corrupt, "an entry of a snapshot is damaged", detail: "its stamp is cut off")
        }
        return (key, try values.decode(UnsafeRawBufferPointer(rebasing: bytes.value.dropFirst(stamp))))
    }
}

extension SavepointReader {
    /// Reads a state of kind `value` with the types that the job declares.
    ///
    /// - Throws: kind `job` when it was stored with others.
    public func read<Key: Codable & Sendable, Value: Codable & Sendable>(
        _ name: String, in operatorName: String, as _: Key.Type, _: Value.Type, where filter: EntryFilter = .all
    ) throws -> TypedEntries<Key, Value> {
        let descriptor = try state(name, in: operatorName).descriptor
        let (keys, values) = (try RecordType<Key>.learn(), try RecordType<Value>.learn())
        let found = [
            descriptor.kind.rawValue, "\(descriptor.key, or: "nothing")", "\(descriptor.value, or: "nothing")",
        ]
        let wanted = [StateKind.value.rawValue, "\(keys.schema)", "\(values.schema)"]
        guard found == wanted else {
            throw ThalwegError(
                .job, "a state has other types than asked for",
                detail: "state \"\(name)\" of \"\(operatorName)\" is \(found.joined(separator: " ")), "
                    + "not \(wanted.joined(separator: " "))",
                hint: "read it with those types, or as entries without types")
        }
        return TypedEntries(
            try entries(of: name, in: operatorName, where: filter), KeyEncoder(keys), RecordCodec(values))
    }
}

extension DefaultStringInterpolation {
    fileprivate mutating func appendInterpolation(_ schema: RecordSchema?, or text: String) {
        appendLiteral(schema?.description ?? text)
    }
}
