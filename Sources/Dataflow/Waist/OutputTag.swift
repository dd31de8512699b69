// SPDX-License-Identifier: Apache-2.0
//  Names and types of side outputs (FLIP-13).

import ThalwegBase
import ThalwegData

/// The name and type of a side output. Two tags are the same output when their ids are equal; one id has one type.
@frozen
public struct OutputTag<Element: Sendable>: Sendable, Hashable {
    /// Unique within the operator; never empty.
    public let id: String

    public init(_ id: String) {
        precondition(!id.isEmpty, "an output tag needs an id")
        self.id = id
    }

    /// The declaration without its type.
    public var declaration: OutputDeclaration { OutputDeclaration(id: id, type: String(describing: Element.self)) }
}

/// A side output as the graph knows it.
public struct OutputDeclaration: Hashable, Sendable {
    public let id: String
    public let type: String
}

/// A side output that a process function declares as a property and emits to:
/// `@Side var rejected = SideOutput(Rejects.tag)`.
public final class SideOutput<Element: Sendable>: BindableSideOutput {
    public let tag: OutputTag<Element>
    @exclusivity(unchecked) @usableFromInline var collector: Collector<Element>?
    @exclusivity(unchecked) @usableFromInline var unread = 0

    public init(_ tag: OutputTag<Element>) { self.tag = tag }

    /// Emits a record with the timestamp of the record (or timer) being processed. Without a reader it is counted and
    /// dropped.
    @inlinable
    public func emit(_ element: Element) {
        guard let collector else {
            unread &+= 1
            return
        }
        collector.emit(element)
    }

    public var declaration: OutputDeclaration { tag.declaration }

    public func bind(_ outlet: Any?, in context: OperatorContext) throws {
        if let outlet {
            guard let inlet = outlet as? Inlet<Element> else {
                throw ThalwegError(
                    .job, "a side output is read with another type than it is written",
                    detail: "tag \"\(tag.id)\" carries \(Element.self)", hint: "use one OutputTag value on both sides")
            }
            collector = Collector(inlet, clock: context.recordClock, capacity: context.batchCapacity)
        }
    }

    public func flush() throws { try collector?.flush() }
    public func takeUnread() -> Int {
        defer { unread = 0 }
        return unread
    }
}

/// A side output seen without its type.
public protocol BindableSideOutput: AnyObject {
    var declaration: OutputDeclaration { get }
    /// Connects to the outlet that reads this tag, nil when nobody does.
    func bind(_ outlet: Any?, in context: OperatorContext) throws
    /// Hands on what was emitted.
    func flush() throws
    /// The number of records emitted to nobody since the last call.
    func takeUnread() -> Int
}

/// Declares a side output of a process function.
@propertyWrapper
@frozen
public struct Side<Output: BindableSideOutput> {
    public let wrappedValue: Output
    @inlinable
    public init(wrappedValue: Output) { self.wrappedValue = wrappedValue }
}

extension Side: AnySideDeclaration {
    public var output: any BindableSideOutput { wrappedValue }
}

/// A `@Side` property seen without its type.
public protocol AnySideDeclaration {
    var output: any BindableSideOutput { get }
}
