// SPDX-License-Identifier: Apache-2.0
//  Deep copies of records on their way from operator to operator (FLIP-21, `COPY_PER_OPERATOR`).

import ThalwegBase
import ThalwegData

/// Copies records by encoding and decoding them, a batch at a time.
public enum DeepCopy {
    /// What wraps an inlet of this element type so that it gets deep copies; nil for plain memory, which every
    /// hand-over copies anyway, and for types that are not `Codable`.
    public static func copying<Element: Sendable>(
        _: Element.Type
    ) -> (@Sendable (_ inlet: Any, OperatorMetrics) throws -> Any)? {
        guard !_isPOD(Element.self), let codable = Element.self as? any Codable.Type else { return nil }
        // `Sendable` has no witness table, and `Element` is known to be `Sendable`.
        // "as" keeps the existential from being opened.
        return copying(of: unsafeBitCast(codable as any Codable.Type, to: (any SendableCodable.Type).self))
    }

    private typealias SendableCodable = Codable & Sendable

    private static func copying<Record: Codable & Sendable>(
        of _: Record.Type
    ) -> @Sendable (_ inlet: Any, OperatorMetrics) throws -> Any {
        { inlet, metrics in
            let inlet = connected(inlet, to: Inlet<Record>.self)
            let codec = RecordCodec(try RecordType<Record>.learn())
            var copy: Batch<Record>?
            return Inlet<Record>(
                push: { batch in
                    var writer = ByteWriter(capacity: 64 * batch.count)
                    try codec.encode(batch.rows, count: batch.count, into: &writer)
                    let target =
                        copy.flatMap { $0.capacity == batch.capacity ? $0 : nil } ?? Batch(capacity: batch.capacity)
                    copy = target
                    let bytes = writer.bytes()
                    try bytes.withUnsafeBytes { bytes throws in
                        var reader = ByteReader(bytes)
                        try codec.decode(&reader, count: batch.count, into: target.rows)
                    }
                    target.copyHeader(from: batch, count: batch.count)
                    defer { target.removeAll() }
                    metrics.deepCopies.add(batch.count)
                    try inlet.push(target)
                }, signal: inlet.signal)
        }
    }
}
