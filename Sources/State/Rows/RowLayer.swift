// SPDX-License-Identifier: Apache-2.0
//  One layer of a store's rows, and what a snapshot makes of the layers.

import Synchronization
import ThalwegBase
import ThalwegStorage

/// A file with the newest contents of some rows, over older layers. It is known once it has been written.
public final class RowLayer: Sendable {
    private enum Outcome: Sendable {
        case pending
        case written(HeldSegment?, Run?)
        case failed
    }

    /// Its age: that of a newer layer is higher.
    public let sequence: Int64
    /// How many rows it has, those that are gone included.
    public let rowCount: Int
    /// The names of the states that it may have entries of.
    let states: Set<String>
    private let outcome = Guarded<Outcome>(.pending)
    /// How the file is made durable; nil once it is.
    private struct Durability {
        var sync: (@Sendable () throws -> Void)?
    }

    private let durability: Guarded<Durability>
    private let notes = Guarded<[TimerNotes]>([])

    /// - Parameter sync: makes the file durable, if that is not done by who writes it.
    init(sequence: Int64, rowCount: Int, states: Set<String>, sync: (@Sendable () throws -> Void)? = nil) {
        self.sequence = sequence
        self.rowCount = rowCount
        self.states = states
        durability = Guarded(Durability(sync: sync))
    }

    /// Waits until the file survives a loss of power.
    public func sync() throws {
        guard let sync = durability.withLock(\.sync) else { return }
        try sync()
        durability.withLock { $0.sync = nil }
    }

    /// When its timers are due, known once it has been written.
    var timers: [TimerStretch] { notes.withLock { $0 }.flatMap(\.stretches) }
    func add(_ timers: TimerNotes) { notes.withLock { $0.append(timers) } }

    /// The file is there; nil when there was nothing to write.
    ///
    /// - Parameter run: the file, open for looking up rows; nil: whoever wants that opens it.
    public func written(_ file: HeldSegment?, run: Run? = nil) { outcome.withLock { $0 = .written(file, run) } }

    /// There will be no file.
    public func failed() { outcome.withLock { $0 = .failed } }

    var isWritten: Bool {
        outcome.withLock { if case .written = $0 { true } else { false } }
    }

    /// The file as whoever wrote it has left it open.
    var run: Run? {
        outcome.withLock { if case .written(_, let run) = $0 { run } else { nil } }
    }

    /// The file; nil when there was nothing to write.
    ///
    /// - Throws: kind `retry` when it has not been written.
    public func file() throws(ThalwegError) -> HeldSegment? {
        let found: HeldSegment?? = outcome.withLock { if case .written(let file, _) = $0 { .some(file) } else { nil } }
        guard let found else {
            throw ThalwegError(
                .retry, "a checkpoint builds on one that could not be written",
                hint: "the next one holds all that it would have held")
        }
        return found
    }
}

/// A layer that is to be written.
public struct NewLayer: Sendable {
    /// Its states.
    public let parts: [StatePart]
    /// What they become.
    public let layer: RowLayer

    init(parts: [StatePart], layer: RowLayer) {
        self.parts = parts
        self.layer = layer
    }
}

/// The rows of one keyed store at a barrier: new layers, and those that they lie over.
public struct RowSnapshot: Sendable {
    /// What is to be written, the lowest first. If one of them cannot be written, all have failed.
    public let added: [NewLayer]
    /// The layers below, the oldest first.
    public let base: [RowLayer]
    /// Whether it is to hold the layers below itself: they are copied.
    public let isSelfContained: Bool
    /// Whether rows will be looked up in the layer: those that leave memory.
    public let isLookedInto: Bool

    /// The operators whose state it is.
    public var operators: [String] { Set(added.flatMap(\.parts).map(\.descriptor.operatorName)).sorted() }
}
