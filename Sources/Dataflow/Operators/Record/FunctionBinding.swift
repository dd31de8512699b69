// SPDX-License-Identifier: Apache-2.0
//  Finds the declared state and side outputs of a user's function and connects them.

import ThalwegBase
import ThalwegOperator
import ThalwegState

/// The `@State` and `@Side` properties of a function, found by reflection once per subtask.
public struct FunctionBinding {
    /// The declared states in order, by name.
    public private(set) var states: [(name: String, handle: any BindableState)] = []
    public private(set) var sides: [any BindableSideOutput] = []

    public init(of function: Any) {
        for child in Mirror(reflecting: function).children {
            // A wrapped property is stored under its name with an underscore before it.
            let label = child.label.map { $0.hasPrefix("_") ? String($0.dropFirst()) : $0 } ?? "state"
            if let declaration = child.value as? any AnyStateDeclaration {
                states.append((declaration.name ?? label, declaration.handle))
            } else if let declaration = child.value as? any AnySideDeclaration {
                sides.append(declaration.output)
            }
        }
    }

    /// The side outputs as the graph knows them.
    public var outputs: [OutputDeclaration] { sides.map(\.declaration) }

    /// Connects states to a store and side outputs to their readers.
    public func bind(to store: AnyKeyedStore?, in context: OperatorContext) throws {
        if let store {
            for (name, handle) in states { try handle.bind(name, to: store) }
        } else if let (name, _) = states.first {
            throw ThalwegError(
                .job, "a function declares keyed state but its stream is not keyed",
                detail: "state \"\(name)\" in operator \"\(context.name)\"", hint: "call keyed(by:) before process")
        }
        for side in sides { try side.bind(context.outlets[side.declaration.id], in: context) }
    }

    /// Hands on what was emitted to side outputs and counts what nobody reads.
    public func flushSides(_ metrics: OperatorMetrics) throws {
        for side in sides {
            try side.flush()
            let unread = side.takeUnread()
            if unread > 0 { metrics.droppedNoConsumer.add(unread) }
        }
    }
}
