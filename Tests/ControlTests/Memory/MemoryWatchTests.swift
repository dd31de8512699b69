// SPDX-License-Identifier: Apache-2.0
//  When a process is warned of, and when its job fails.

import Testing
import ThalwegBase
import ThalwegControl

@Suite struct MemoryWatchTests {
    private static func replay(_ policy: MemoryLimitPolicy, _ samples: [Int]) -> (letters: String, texts: [String]) {
        var watch = MemoryWatch(limitBytes: 1000 << 20, policy: policy)
        var (letters, texts) = ("", [String]())
        for sample in samples {
            let use = MemoryUse(residentBytes: sample << 20, stateBytes: 600 << 20, networkBytes: 30 << 20)
            switch watch.handle(use) {
            case .nothing: letters += "."
            case .warn(let text):
                letters += "w"
                texts.append(text)
            case .fail(let error):
                letters += "f"
                texts.append(error.description)
            }
        }
        return (letters, texts)
    }

    @Test func onlyWhatIsAboveCounts() {
        #expect(Self.replay(.fail, [0, 500, 1000, 1000]).letters == "....")
    }

    @Test func aWarningComesOnceUntilMemoryHasGoneDown() {
        #expect(Self.replay(.fail, [1001, 1050, 990, 1002, 950, 1001]).letters == "w....w")
    }

    @Test func theJobFailsOnceATenthAbove() {
        let (letters, texts) = Self.replay(.fail, [1099, 1100, 1101, 2000, 900, 1200])
        #expect(letters == "w.f...")
        #expect(texts.last?.contains("1101 MiB of 1000 MiB: state 600 MiB, exchanges 30 MiB, all else 471 MiB") == true)
        #expect(texts.last?.contains("--memory") == true)
    }

    @Test func byWishItIsOnlyWarnedOf() {
        #expect(Self.replay(.warn, [1099, 5000, 900, 5000]).letters == "w..w")
    }
}
