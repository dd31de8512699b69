// SPDX-License-Identifier: Apache-2.0
//  What the runtime must be able to do with a stream whose type it does not know.

import ThalwegBase
import ThalwegData

/// The typed actions of one edge, closed over the element type where the stream was declared, so that their loops are
/// specialised in the user's module.
public struct EdgeType: Sendable {
    /// The element type's name, for plans and errors.
    public let name: String
    /// What a record and its timestamp take in a batch, without what the record refers to.
    public let rowBytes: Int
    /// Joins a push closure of the consumer with a signal closure to an `Inlet`.
    public let makeInlet: @Sendable (_ push: Any, _ signal: @escaping (Signal) throws -> Void) -> Any
    /// One inlet that feeds several.
    public let fanOut: @Sendable (_ inlets: [Any]) -> Any
    /// An inlet that sends to the channels of an exchange.
    public let makeWriter:
        @Sendable (Partitioning, [any ExchangeChannel], _ subtask: Int, _ maxParallelism: Int, _ capacity: Int) -> Any
    /// Feeds an erased batch into an inlet and empties it.
    public let deliver: @Sendable (_ inlet: Any) -> ((AnyObject) throws -> Void)
    /// An inlet that deep-copies every record on its way into another (`COPY_PER_OPERATOR`); nil when there is nothing
    /// to copy deeply (plain memory) or the type is not `Codable`.
    public let copying: (@Sendable (_ inlet: Any, OperatorMetrics) throws -> Any)?
    /// What turns batches in a channel to bytes, for unaligned checkpoints; nil for types that are not `Codable`.
    public let makePacketCodec: (@Sendable () throws -> any PacketCodec)?

    /// - Parameters:
    ///   - hash: fills in the stable hashes of the keys of a batch; needed for hash partitioning.
    ///   - copying: see ``copying``; by default by way of the record's codec.
    @inlinable
    public init<Element: Sendable>(
        of type: Element.Type,
        hash: (@Sendable (Batch<Element>, UnsafeMutablePointer<UInt64>) throws -> Void)? = nil,
        copying: (@Sendable (_ inlet: Any, OperatorMetrics) throws -> Any)? = nil
    ) {
        name = String(describing: Element.self)
        rowBytes = MemoryLayout<Element>.stride + MemoryLayout<Int64>.stride
        self.copying = copying ?? DeepCopy.copying(Element.self)
        makePacketCodec = PacketCodecs.maker(of: Element.self, hash: hash)
        makeInlet = { push, signal in
            Inlet<Element>(push: connected(push, to: ((Batch<Element>) throws -> Void).self), signal: signal)
        }
        fanOut = { inlets in
            FanOut(inlets.map { connected($0, to: Inlet<Element>.self) }).inlet
        }
        makeWriter = { partitioning, channels, subtask, maxParallelism, capacity in
            ExchangeWriter<Element>(
                partitioning, to: channels, subtask: subtask, maxParallelism: maxParallelism, capacity: capacity,
                hash: hash
            ).inlet
        }
        deliver = { inlet in
            let push = connected(inlet, to: Inlet<Element>.self).push
            return { batch in
                // Both ends of a channel are made from the same edge.
                let batch = unsafeDowncast(batch, to: Batch<Element>.self)
                defer { batch.removeAll() }
                try push(batch)
            }
        }
    }
}

/// An erased end of an edge as what it is: both ends are made from one typed stream, so the types always agree.
@inlinable
public func connected<Value>(_ end: Any, to type: Value.Type) -> Value {
    guard let value = end as? Value else {
        preconditionFailure("the graph joined \(Swift.type(of: end)) to \(type): please report this defect")
    }
    return value
}

/// Feeds several consumers from one stream: the last gets the batch itself, the others copies (FLIP-21: consumers share
/// values but never each other's changes).
public final class FanOut<Element> {
    @usableFromInline let inlets: [Inlet<Element>]
    // Used by one task alone.
    @exclusivity(unchecked) @usableFromInline var spare: Batch<Element>?

    @inlinable
    public init(_ inlets: [Inlet<Element>]) { self.inlets = inlets }

    /// An empty batch as large as another: consumers exchange contents with what they are lent, so all batches of a job
    /// must have the same capacity.
    @inlinable
    func makeSpare(like batch: Batch<Element>) -> Batch<Element> {
        if let spare, spare.capacity == batch.capacity { return spare }
        let fresh = Batch<Element>(capacity: batch.capacity)
        spare = fresh
        return fresh
    }

    @inlinable
    public var inlet: Inlet<Element> {
        let inlets = self.inlets
        if inlets.count == 1 { return inlets[0] }
        return Inlet(
            push: { batch in
                for inlet in inlets.dropLast() {
                    let copy = self.makeSpare(like: batch)
                    copy.copy(from: batch)
                    defer { copy.removeAll() }
                    try inlet.push(copy)
                }
                try inlets[inlets.count - 1].push(batch)
            },
            signal: { signal in for inlet in inlets { try inlet.signal(signal) } })
    }
}
