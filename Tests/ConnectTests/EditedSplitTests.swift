// SPDX-License-Identifier: Apache-2.0
//  Splits from snapshots that somebody has edited.

import Testing
import Thalweg
import ThalwegFormats

@Suite struct EditedSplitTests {
    @Test(arguments: [
        NumberSplit(id: "a", next: -5, limit: 2_000_000, step: 50, block: 50),
        NumberSplit(id: "b", next: 0, limit: 10, step: 0),
        NumberSplit(id: "c", next: 0, limit: 10, step: -1),
        NumberSplit(id: "d", next: 0, limit: 10, step: 5, block: 0),
        NumberSplit(id: "e", next: 0, limit: 10, step: 5, block: 6),
        NumberSplit(id: "f", next: 100, limit: 10, step: 5),
    ])
    func numbersThatNobodyDealsAreRefused(_ split: NumberSplit) {
        let error = #expect(throws: ThalwegError.self) { try split.check(from: 0) }
        #expect(error?.kind == .corrupt && error?.description.contains("split \(split.id): next \(split.next)") == true)
    }

    /// All that an enumerator deals, from the first number to the end.
    @Test(
        arguments: [0..<0, 0..<1, -7..<20, 100..<100, 0..<1000, 0..<Int64.max] as [Range<Int64>], [1, 3, 8] as [Int64])
    func numbersThatAreDealtAreNot(_ numbers: Range<Int64>, _ width: Int64) throws {
        for block in [1, 50] as [Int64] {
            for subtask in 0..<width {
                var split = NumberSplit(
                    id: "\(subtask)", next: numbers.lowerBound + subtask * block, limit: numbers.upperBound,
                    step: width * block, block: block)
                for _ in 0..<100 {
                    try split.check(from: numbers.lowerBound)
                    if split.next >= split.limit { break }
                    split.next += split.step
                }
            }
        }
    }

    @Test func placesThatNoFileHasAreNone() {
        #expect(ReadRange.all.isPossible)
        #expect(ReadRange(start: 5, end: 1 << 40, resume: ReadPosition(byteOffset: 1 << 39, line: 1 << 30)).isPossible)
        for place in [.max, 1 << 63] as [UInt64] {
            #expect(!ReadRange(start: place).isPossible && !ReadRange(end: place).isPossible)
            #expect(!ReadRange(resume: ReadPosition(byteOffset: place)).isPossible)
            #expect(!ReadRange(resume: ReadPosition(byteOffset: 12345, line: place)).isPossible)
        }
    }
}
