// SPDX-License-Identifier: Apache-2.0
//  Decides about the turns of a run.

import Synchronization
import Thalweg
import ThalwegTesting

/// Holds up turns, and ends a run that never would.
final class Holdup: StepObserver {
    let wantsNotes = true
    private let decide: @Sendable (StepTurn) -> StepDecision
    private let hear: @Sendable (String) -> Void
    private let turns = Mutex(0)
    private static let turnsMax = 400_000

    init(
        hear: @escaping @Sendable (String) -> Void = { _ in }, decide: @escaping @Sendable (StepTurn) -> StepDecision
    ) {
        self.hear = hear
        self.decide = decide
    }

    func willTake(_ turn: StepTurn) -> StepDecision {
        let count = turns.withLock { turns in
            turns += 1
            return turns
        }
        return count > Self.turnsMax ? .die(Mishap(text: "the job does not end")) : decide(turn)
    }
    func didTake(_ turn: StepTurn, _ result: PollResult) {}
    func note(_ text: String) { hear(text) }
}

extension CountingJob {
    /// Virtual time moves with every step, under the eyes of an observer.
    static func scheduler(_ seed: UInt64, _ observer: Holdup) -> StepScheduler {
        StepScheduler(seed: seed, afterStep: { $0.advance(to: $0.now + 1) }, observer: observer)
    }
}
