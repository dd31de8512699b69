// SPDX-License-Identifier: Apache-2.0
//  Finds the declared state and side outputs of a user's function and connects them.

import ThalwegBase
import ThalwegOperator
import ThalwegState
import ThalwegStorage

/// The `@State` and `@Side` properties of a function, found by reflection once per subtask.
public struct FunctionBinding {
    /// The declared states in order, by name.
    public private(set) var states: [(name: String, handle: any DeclaredState)] = []
    private var pasts: [(name: String, past: StatePast)] = []
    public private(set) var sides: [any BindableSideOutput] = []
    /// Those of the states that belong to the subtask rather than to keys, once they are bound.
    private let operatorStates = OperatorStates()

    public init(of function: Any) {
        for child in Mirror(reflecting: function).children {
            // A wrapped property is stored under its name with an underscore before it.
            let label = child.label.map { $0.hasPrefix("_") ? String($0.dropFirst()) : $0 } ?? "state"
            if let declaration = child.value as? any AnyStateDeclaration {
                states.append((declaration.name ?? label, declaration.handle))
                pasts.append((declaration.name ?? label, declaration.past))
            } else if let declaration = child.value as? any AnySideDeclaration {
                sides.append(declaration.output)
            }
        }
    }

    /// The side outputs as the graph knows them.
    public var outputs: [OutputDeclaration] { sides.map(\.declaration) }

    /// Connects states to a store or to the subtask, and side outputs to their readers.
    ///
    /// - Parameters:
    ///   - store: of the keyed states; nil when the stream is not keyed.
    ///   - takesBroadcast: whether the function has a broadcast input, which can write broadcast state.
    public func bind(to store: AnyKeyedStore?, in context: OperatorContext, takesBroadcast: Bool = false) throws {
        for (name, handle) in states {
            if let state = handle as? any OperatorState {
                try bind(state, name, store, context, takesBroadcast)
            } else if let store, let keyed = handle as? any BindableState {
                if operatorStates.names.contains(name) { throw taken(name, context) }
                try keyed.bind(name, to: store)
            } else {
                throw ThalwegError(
                    .job, "a function declares keyed state but its stream is not keyed",
                    detail: "state \"\(name)\" in operator \"\(context.name)\"",
                    hint: "call keyed(by:) before process")
            }
        }
        for side in sides { try side.bind(context.outlets[side.declaration.id], in: context) }
    }

    private func bind(
        _ state: any OperatorState, _ name: String, _ store: AnyKeyedStore?, _ context: OperatorContext,
        _ takesBroadcast: Bool
    ) throws {
        if state.isBroadcast && !takesBroadcast {
            throw ThalwegError(
                .job, "a function declares broadcast state but has no broadcast input",
                detail: "state \"\(name)\" in operator \"\(context.name)\"",
                hint: "call connect(broadcast:) before process")
        }
        if store?.columns.contains(where: { $0.name == name }) == true { throw taken(name, context) }
        let seat = OperatorSeat(
            operatorName: context.name, subtask: context.subtask, parallelism: context.parallelism,
            maxParallelism: context.maxParallelism)
        try operatorStates.bind(name, state, to: seat)
    }

    private func taken(_ name: String, _ context: OperatorContext) -> ThalwegError {
        ThalwegError(
            .job, "two states have the same name", detail: "\"\(name)\" in operator \"\(context.name)\"",
            hint: "give each state its own name")
    }

    /// Freezes the operator states.
    public func snapshot(into snapshot: inout OperatorSnapshot) throws {
        for part in try operatorStates.freeze() { snapshot.add(part) }
    }

    /// Declares the operator states, and what the properties say of earlier forms of all states.
    public func declare(_ declarations: inout StateDeclarations) throws {
        try operatorStates.declare(&declarations)
        for (name, past) in pasts {
            try declarations.update(name) { state throws(ThalwegError) in try past.complete(&state) }
        }
    }

    /// Takes over the operator states.
    public func restore(from state: any RestoredState) throws { try operatorStates.restore(from: state) }

    /// The function has been opened: what was restored is not to be asked for any more.
    public func closeRestored() { operatorStates.closeRestored() }

    /// Hands on what was emitted to side outputs and counts what nobody reads.
    public func flushSides(_ metrics: OperatorMetrics) throws {
        for side in sides {
            try side.flush()
            let unread = side.takeUnread()
            if unread > 0 { metrics.droppedNoConsumer.add(unread) }
        }
    }
}
