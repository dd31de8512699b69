// SPDX-License-Identifier: Apache-2.0
//  The door into a step: one call per batch.

import ThalwegBase
import ThalwegData
import ThalwegState
import ThalwegStorage

/// Where batches and signals of one input go. The only indirect call between operators: per batch, never per record.
///
/// `push` lends a batch: the callee may change or move out its rows; the caller empties it afterwards.
@frozen
public struct Inlet<Element> {
    public let push: (Batch<Element>) throws -> Void
    public let signal: (Signal) throws -> Void

    @inlinable
    public init(push: @escaping (Batch<Element>) throws -> Void, signal: @escaping (Signal) throws -> Void) {
        self.push = push
        self.signal = signal
    }

    /// An inlet that swallows everything.
    @inlinable
    public static var drain: Inlet { Inlet(push: { _ in }, signal: { _ in }) }
}

/// What an operator of one subtask looks like to the runtime.
public final class OperatorInstance {
    /// A push closure `(Batch<Input>) throws -> Void` per input, in order of the node's inputs.
    public let pushes: [Any]
    /// Takes the merged signals of all inputs.
    public let signal: (Signal) throws -> Void
    /// For sources: produces a batch and pushes it down the chain.
    public let poll: (() throws -> PollResult)?
    /// Whether the operator cannot take more for now (a sink whose outside is slow).
    public let isHeldUp: (() -> Bool)?
    /// Emits what became ready outside the task; called at each poll of the task, also while this operator is held up,
    /// but not while what lies behind it is. Returns whether it did something. Nil for most operators.
    public let pump: (() throws -> Bool)?
    /// Whether nothing that came in is still to come out: only then the task may end. Nil: always.
    public let isDrained: (() -> Bool)?
    /// Called once, when the task ends for whatever reason: releases what the operator holds outside memory.
    public let close: () -> Void
    /// Freezes the state at a barrier, after the barrier has been forwarded. Nil for operators without state.
    public let snapshot: ((inout OperatorSnapshot) throws -> Void)?
    /// Declares the states that `snapshot` freezes. Nil for operators without state, and for those whose node declares
    /// them.
    public let declare: ((inout StateDeclarations) throws -> Void)?
    /// Takes state over before the first record. Nil for operators without state.
    public let restore: ((any RestoredState) throws -> Void)?
    /// A checkpoint is complete and its output committed. Nil for operators that need not know.
    public let completed: ((_ checkpoint: Int64) -> Void)?
    /// Whether the snapshot also publishes output: then it is asked for at the end even if nothing is stored.
    public let isSink: Bool

    public init(
        pushes: [Any], signal: @escaping (Signal) throws -> Void, poll: (() throws -> PollResult)? = nil,
        isHeldUp: (() -> Bool)? = nil, pump: (() throws -> Bool)? = nil, isDrained: (() -> Bool)? = nil,
        isSink: Bool = false,
        snapshot: ((inout OperatorSnapshot) throws -> Void)? = nil,
        declare: ((inout StateDeclarations) throws -> Void)? = nil,
        restore: ((any RestoredState) throws -> Void)? = nil,
        completed: ((_ checkpoint: Int64) -> Void)? = nil, close: @escaping () -> Void = {}
    ) {
        self.isSink = isSink
        self.snapshot = snapshot
        self.declare = declare
        self.restore = restore
        self.completed = completed
        self.pushes = pushes
        self.signal = signal
        self.poll = poll
        self.isHeldUp = isHeldUp
        self.pump = pump
        self.isDrained = isDrained
        self.close = close
    }
}

/// What a poll of a source or a task achieved.
@frozen
public enum PollResult: Sendable {
    /// Something was done; there may be more.
    case progress
    /// Nothing to do until woken or until a timer is due.
    case idle
    /// Nothing will ever be done again.
    case finished
}
