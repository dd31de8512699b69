// SPDX-License-Identifier: Apache-2.0
//  What goes wrong in a simulation, and when: values.

import Thalweg

/// Something that goes wrong at a moment; each happens once.
///
/// As text, `kind-amount@moment:number`: `crash@disk:120`, `fullDisk-8@record:40`.
public struct Fault: Sendable, Hashable {
    /// What happens.
    public enum Kind: String, Sendable, Hashable, CaseIterable {
        /// The process is killed; the disk keeps all that was written.
        case crash
        /// The machine loses power: of what was not made durable, nothing is left.
        case powerLoss
        /// The machine loses power in the midst of writing: a part of what was not made durable is left. The amount is
        /// a seed.
        case tornWrite
        /// The process is killed, and a bit of its newest checkpoint flips before it starts again. The start has to be
        /// refused; then the file is brought back from a copy. The amount is a seed.
        case corruption
        /// A task throws.
        case failure
        /// The disk is full for that many operations.
        case fullDisk
        /// Each of the next 20 operations of the disk takes that many milliseconds.
        case slowDisk
        /// Sources are not polled for that many turns.
        case stall
        /// One task is not polled for that many turns: the one whose turn it was.
        case pause
        /// The clock jumps forwards by that many milliseconds.
        case clockJump
        /// From the next start on the job has that many subtasks.
        case rescale
    }

    /// What the number of a moment counts, over all lives of the process.
    public enum Moment: String, Sendable, Hashable, CaseIterable {
        /// Turns that the scheduler gave, to tasks, to the master, to the background.
        case turn
        /// Changes of the disk.
        case disk
        /// Records read from simulated logs, repetitions included.
        case record
    }

    public var kind: Kind
    public var amount: Int
    public var moment: Moment
    public var number: Int

    public init(_ kind: Kind, _ amount: Int = 0, at moment: Moment, _ number: Int) {
        self.kind = kind
        self.amount = amount
        self.moment = moment
        self.number = number
    }
}

extension Fault: LosslessStringConvertible {
    public var description: String {
        "\(kind.rawValue)\(amount == 0 ? "" : "-\(amount)")@\(moment.rawValue):\(number)"
    }

    public init?(_ text: String) {
        let parts = text.split(separator: "@", maxSplits: 1)
        guard parts.count == 2 else { return nil }
        let what = parts[0].split(separator: "-", maxSplits: 1)
        let when = parts[1].split(separator: ":", maxSplits: 1)
        guard let kind = what.first.flatMap({ Kind(rawValue: String($0)) }), when.count == 2,
            let moment = Moment(rawValue: String(when[0])), let number = Int(when[1]), number >= 0
        else { return nil }
        guard let amount = what.count == 2 ? Int(what[1]) : 0, amount >= 0 else { return nil }
        self.init(kind, amount, at: moment, number)
    }
}

/// The faults of one run, and how much work it has.
public struct FaultPlan: Sendable, Hashable {
    public var faults: [Fault]
    /// The number of records of the workload.
    public var records: Int

    public init(_ faults: [Fault] = [], records: Int) {
        self.faults = faults
        self.records = records
    }

    /// One to four faults, of which one at least ends the process in the midst of the input.
    public static func drawn(_ seed: UInt64, records: Int) -> FaultPlan {
        var random = SeededRandom(seed: seed &* 0x9E37_79B9 &+ 17)
        func draw(_ range: ClosedRange<Int>) -> Int {
            range.lowerBound + Int(random.next() % UInt64(range.upperBound - range.lowerBound + 1))
        }
        func amount(_ kind: Fault.Kind) -> Int {
            switch kind {
            case .tornWrite, .corruption: draw(1...1_000)
            case .fullDisk: draw(1...12)
            case .slowDisk: draw(1...100)
            case .stall, .pause: draw(1...300)
            case .clockJump: draw(1...2_000)
            case .rescale: draw(1...4)
            case .crash, .powerLoss, .failure: 0
            }
        }
        let deadly: [Fault.Kind] = [.crash, .powerLoss, .tornWrite, .corruption]
        let first = deadly[draw(0...3)]
        var faults = [Fault(first, amount(first), at: .record, draw(1...max(1, records)))]
        for _ in 0..<draw(0...3) {
            let kind = Fault.Kind.allCases[draw(0...(Fault.Kind.allCases.count - 1))]
            let moment = Fault.Moment.allCases[draw(0...2)]
            let last = moment == .turn ? records * 4 : moment == .disk ? records : records * 3 / 2
            faults.append(Fault(kind, amount(kind), at: moment, draw(1...max(1, last))))
        }
        return FaultPlan(faults, records: records)
    }
}

extension FaultPlan: CustomStringConvertible {
    /// The faults, separated by commas.
    public var description: String { faults.map(\.description).joined(separator: ",") }
}
