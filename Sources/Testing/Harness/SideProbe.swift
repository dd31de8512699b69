// SPDX-License-Identifier: Apache-2.0
//  Reads a side output in a harness.

import Thalweg

/// Gathers what an operator emits to one tag. Hand it to the harness, then look at `elements`.
public final class SideProbe<Element: Sendable>: AnySideProbe {
    public let tag: OutputTag<Element>
    /// What was emitted so far, with timestamps.
    public private(set) var timed: [(element: Element, time: EventTime)] = []
    public var elements: [Element] { timed.map(\.element) }

    public init(_ tag: OutputTag<Element>) { self.tag = tag }

    public var id: String { tag.id }
    public var outlet: Any {
        Inlet<Element>(push: { [self] in timed += $0.timedElements }, signal: { _ in })
    }
}

/// A side probe seen without its type.
public protocol AnySideProbe {
    var id: String { get }
    /// The inlet that the operator emits to.
    var outlet: Any { get }
}

extension Batch {
    /// The records with their timestamps, as an array.
    var timedElements: [(element: Element, time: EventTime)] {
        (0..<count).map { (rows[$0], EventTime(milliseconds: time(at: $0))) }
    }
}
