// SPDX-License-Identifier: Apache-2.0
//  What travels between batches.

import ThalwegBase

/// A message in the stream that is not a record. Signals keep their place between the batches of their channel.
@frozen
public enum Signal: Hashable, Sendable {
    /// Event time has come this far.
    case watermark(Watermark)
    /// The input has nothing to say for now: it does not hold back event time until it is active again.
    case idle
    /// The input is active again.
    case active
    /// The reader-local split has been assigned: event time waits for its first record.
    case splitStarted(Int32)
    /// The reader-local split has ended: it no longer holds back event time.
    case splitFinished(Int32)
    /// Nothing is coming for the moment: buffers should be handed on.
    case flush
    /// What came before belongs to the checkpoint, what follows does not.
    case barrier(CheckpointBarrier)
    /// Nothing follows this signal: the input is finished, which holds back nothing and promises nothing.
    case end
}

/// The state of one input of a task. A finished input is neither active nor idle: it must not let event time leap to
/// the end while others are merely idle (FLIP-27, 27.d4).
@frozen
public enum InputStatus: String, Hashable, Sendable {
    case active, idle, finished
}

/// Merges the watermarks and statuses of several inputs into one.
///
/// Event time is the minimum over the active inputs. With none active but some idle it goes as far as any input has
/// been, and stays; when all are finished it goes to the end, once. An input whose watermark is the end has nothing
/// more to promise: it counts as finished. A value: it decides, its caller acts.
public struct SignalMerger: Sendable {
    private var watermarks: [Watermark]
    private var statuses: [InputStatus]
    private var merged = Watermark.none
    /// The highest watermark of any input, but for the end.
    private var highest = Watermark.none
    private var isIdle = false
    private var isFinished = false
    /// The inputs that the barrier being passed has come from. Barriers of one task pass it in one go.
    private var barrierInputs = 0

    public init(inputs: Int) {
        watermarks = Array(repeating: .none, count: inputs)
        statuses = Array(repeating: .active, count: inputs)
    }

    /// The merged watermark so far.
    public var watermark: Watermark { merged }

    /// Takes a signal of one input and says what the merged stream signals, in order (at most two signals).
    public mutating func merge(_ signal: Signal, from input: Int) -> [Signal] {
        switch signal {
        case .watermark(let watermark):
            guard watermark > watermarks[input] else { return [] }
            watermarks[input] = watermark
            if watermark != .end { highest = max(highest, watermark) }
            // A watermark from an idle input shows that it is active.
            if statuses[input] == .idle { statuses[input] = .active }
            return outcome()
        case .idle:
            if statuses[input] == .active { statuses[input] = .idle }
            return outcome()
        case .active:
            if statuses[input] == .idle { statuses[input] = .active }
            return outcome()
        case .end:
            guard statuses[input] != .finished else { return [] }
            statuses[input] = .finished
            return outcome()
        case .flush:
            return [.flush]
        case .barrier:
            barrierInputs += 1
            guard barrierInputs == statuses.count else { return [] }
            barrierInputs = 0
            return [signal]
        case .splitStarted, .splitFinished:
            return []
        }
    }

    private mutating func outcome() -> [Signal] {
        if isFinished { return [] }
        if statuses.allSatisfy({ $0 == .finished }) {
            isFinished = true
            defer { merged = .end }
            return merged == .end ? [.end] : [.watermark(.end), .end]
        }
        var signals: [Signal] = []
        var low: Watermark?
        var isAnyIdle = false
        for (watermark, status) in zip(watermarks, statuses) {
            if status == .idle { isAnyIdle = true }
            // The end of one input must not let event time leap while another is merely idle.
            if status == .active && watermark != .end { low = min(low ?? watermark, watermark) }
        }
        if low == nil && !isAnyIdle { low = .end }
        if let low {
            if isIdle {
                isIdle = false
                signals.append(.active)
            }
            if low > merged {
                merged = low
                signals.append(.watermark(low))
            }
        } else if !isIdle {
            // Which input fell idle last must not matter: a subtask that heard of them in another order has come this
            // far, and for those behind both what this one still holds would be late.
            if highest > merged {
                merged = highest
                signals.append(.watermark(highest))
            }
            isIdle = true
            signals.append(.idle)
        }
        return signals
    }
}
