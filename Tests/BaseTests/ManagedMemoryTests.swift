// SPDX-License-Identifier: Apache-2.0
//  Reservations against a naive twin; what is refused, what leaks.

import Testing
import ThalwegBase

@Suite struct ManagedMemoryTests {
    /// Random owners of random tasks, which reserve, give back, close and fail.
    @Test(arguments: 0..<20 as Range<UInt64>)
    func againstATwin(_ seed: UInt64) {
        var random = SeededRandom(seed: seed)
        func draw(_ count: Int) -> Int { Int(random.next() % UInt64(count)) }
        let budget = 1000
        let memory = ManagedMemory(budgetBytes: budget)
        var twin: [(lease: MemoryLease, task: String, limit: Int, held: Int)] = []
        var peak = 0
        for step in 0..<3000 {
            switch draw(10) {
            case 0:
                let (task, limit) = ("task \(draw(4))", draw(600))
                let lease = memory.open("owner \(step)", of: .operator, task: task, limitBytes: limit)
                twin.append((lease, task, limit, 0))
            case 1...6 where !twin.isEmpty:
                let (index, bytes) = (draw(twin.count), draw(200))
                let sum = twin.reduce(0) { $0 + $1.held }
                let fits = twin[index].held + bytes <= twin[index].limit && sum + bytes <= budget
                #expect(twin[index].lease.tryReserve(bytes) == fits)
                if fits { twin[index].held += bytes }
            case 7...8 where !twin.isEmpty:
                let index = draw(twin.count)
                let bytes = draw(twin[index].held + 1)
                twin[index].lease.release(bytes)
                twin[index].held -= bytes
            case 9 where !twin.isEmpty:
                if draw(2) == 0 {
                    let entry = twin.remove(at: draw(twin.count))
                    #expect(entry.lease.close() == entry.held)
                } else {
                    let task = "task \(draw(4))"
                    let leaks = memory.endTask(task).map(\.bytes)
                    #expect(leaks == twin.filter { $0.task == task && $0.held > 0 }.map(\.held))
                    twin.removeAll { $0.task == task }
                }
            default: break
            }
            let sum = twin.reduce(0) { $0 + $1.held }
            peak = max(peak, sum)
            guard memory.heldBytes == sum, memory.availableBytes == budget - sum, memory.peakBytes == peak,
                twin.allSatisfy({ $0.lease.heldBytes == $0.held })
            else {
                Issue.record("step \(step): \(memory.heldBytes) in place of \(sum)")
                return
            }
        }
    }

    /// Two owners with shares of 3 to 1: one page too much is refused, and the other feels nothing of it.
    @Test func oneOwnerCannotStarveAnother() throws {
        let page = 32 << 10
        let memory = ManagedMemory(budgetBytes: 400 << 20)
        let large = memory.open("sort", of: .operator, task: "sort 1/1", limitBytes: 300 << 20)
        let small = memory.open("count", of: .stateBackend, task: "count 1/1", limitBytes: 100 << 20)
        try large.reserve(300 << 20)
        #expect(!large.tryReserve(page))
        #expect {
            try large.reserve(page)
        } throws: { error in
            let text = "\(error)"
            return (error as? ThalwegError)?.kind == .job && text.contains("sort of sort 1/1 (OPERATOR) asks for 32768")
                && text.contains("\(100 << 20) of \(400 << 20) are free") && text.contains("managed.size")
        }
        try small.reserve(100 << 20)
        #expect { try small.reserve(1) } throws: { error in
            "\(error)".contains("sort of sort 1/1 holds \(300 << 20), count of count 1/1 holds \(100 << 20)")
        }
        #expect(memory.availableBytes == 0)
        large.release(page)
        #expect(large.tryReserve(page) && !small.tryReserve(1))
    }

    /// After a thousand failed tasks everything is free again; late calls of a dead owner change nothing.
    @Test func failuresLeaveNothingBehind() {
        let memory = ManagedMemory(budgetBytes: 1 << 20)
        for attempt in 1...1000 {
            let lease = memory.open("state", of: .stateBackend, task: "count 1/1 #\(attempt)")
            #expect(lease.tryReserve(1 << 20))
            lease.release(attempt)
            let leaks = memory.endTask("count 1/1 #\(attempt)")
            #expect(leaks.map(\.bytes) == [1 << 20 - attempt] && leaks.first?.owner == "state")
            lease.release(1)
            #expect(!lease.tryReserve(1) && lease.close() == 0 && lease.heldBytes == 0)
        }
        #expect(memory.availableBytes == 1 << 20)
        #expect(memory.endTask("count 1/1 #1000").isEmpty)
    }

    // MARK: Weights

    @Test func weightsCountForThoseWhoAreThere() throws {
        let weights = ConsumerWeights()
        #expect(
            weights.shares(of: 1700, among: [.operator, .stateBackend, .python])
                == [.operator: 700, .stateBackend: 700, .python: 300])
        #expect(weights.shares(of: 1001, among: [.operator, .stateBackend]) == [.operator: 500, .stateBackend: 500])
        #expect(weights.shares(of: 1000, among: [.python]) == [.python: 1000])
        #expect(weights.shares(of: 1000, among: []) == [:])
        let one = try ConsumerWeights(text: "STATE_BACKEND:5, OPERATOR:0")
        #expect(
            one.shares(of: 1000, among: [.operator, .stateBackend, .python])
                == [.operator: 0, .stateBackend: 1000, .python: 0])
        #expect(one.without([.operator, .stateBackend, .python]) == [.operator, .python])
    }

    @Test(arguments: [
        "", "OPERATOR", "OPERATOR:x", "OPERATOR:-1", "OPERATOR:1,OPERATOR:2", "JAVA:3", "OPERATOR:1000001",
    ])
    func weightsThatCannotBeReadAreRefused(_ text: String) {
        #expect(throws: ThalwegError.self) { _ = try ConsumerWeights(text: text) }
    }
}
