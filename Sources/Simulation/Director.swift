// SPDX-License-Identifier: Apache-2.0
//  Turns faults into decisions about turns.

import Synchronization
import Thalweg

/// Why a life of the process ended before its time.
enum LifeEnd: Error {
    case killed
    case hung(String)
}

/// What a task throws that a fault has struck.
struct SimulatedFailure: Error, CustomStringConvertible {
    var description: String { "a simulated failure" }
}

/// Watches one life of a process: fires faults, keeps the trace, checks watermarks.
final class Director: StepObserver {
    private let world: SimulatedWorld
    private let execution: JobExecution
    private let turnsMax: Int
    /// The last watermark of each operator and subtask.
    private let watermarks = Guarded<(failovers: Int, all: [[Int]])>((0, []))
    /// Watermarks are compared once in so many turns.
    private static let watermarkTurns = 64

    init(_ world: SimulatedWorld, _ execution: JobExecution, turnsMax: Int) {
        self.world = world
        self.execution = execution
        self.turnsMax = turnsMax
    }

    var wantsNotes: Bool { world.isTracing }

    func willTake(_ turn: StepTurn) -> StepDecision {
        if world.state.withLock({ $0.death != nil }) { return .die(LifeEnd.killed) }
        let number = world.state.withLock { state in
            state.turns += 1
            return state.turns
        }
        world.fire(.turn, number)
        if number % Self.watermarkTurns == 0 { checkWatermarks() }
        if number > turnsMax { return .die(LifeEnd.hung("no end after \(turnsMax) turns")) }
        let decision = world.state.withLock { $0.decide(turn) }
        switch decision {
        case .die: world.trace("#\(number) killed")
        case .fail: world.trace("#\(number) \(turn.text) fails")
        case .go, .skip: break
        }
        return decision
    }

    func didTake(_ turn: StepTurn, _ result: PollResult) {
        guard result != .idle else { return }
        world.trace("\(turn.text) \(result)")
        world.clock.advance(by: .milliseconds(1))
    }

    func note(_ text: String) { world.trace("master: \(text)") }

    private func checkWatermarks() {
        let graph = execution.graph.streamGraph
        let now = graph.nodes.map { node in execution.metrics.subtasks(of: node.id).map(\.watermark.value) }
        let failovers = execution.checkpoints.failovers.value
        let before = watermarks.withLock { old -> [[Int]] in
            defer { old = (failovers, now) }
            // Tasks that started again go back to where their checkpoint was.
            return old.failovers == failovers ? old.all : []
        }
        for (node, (old, new)) in zip(before, now).enumerated() {
            // A task that could not be started again yet has none.
            for (subtask, (before, after)) in zip(old, new).enumerated() where after < before && after != .min {
                world.report("the watermark of \(graph.nodes[node].name)/\(subtask) went from \(before) to \(after)")
            }
        }
    }
}

extension SimulatedWorld.State {
    /// What becomes of a turn.
    mutating func decide(_ turn: StepTurn) -> StepDecision {
        if death != nil { return .die(LifeEnd.killed) }
        guard case .task(_, _, let isSource) = turn else { return .go }
        if owedFailures > 0 {
            owedFailures -= 1
            // It may have struck in an earlier life.
            firedInLife += 1
            return .fail(SimulatedFailure())
        }
        if owedPause > 0 {
            (paused, pausedUntil, owedPause) = (turn, turns + owedPause, 0)
        }
        if isSource && turns <= stalledUntil { return .skip }
        if turn == paused && turns <= pausedUntil { return .skip }
        return .go
    }
}

extension StepTurn {
    var text: String {
        switch self {
        case .task(let name, let subtask, _): "\(name)/\(subtask)"
        case .master: "master"
        case .background: "background"
        }
    }
}
