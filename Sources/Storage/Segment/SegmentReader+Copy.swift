// SPDX-License-Identifier: Apache-2.0
//  Copies a segment without some of its states: the others are taken over block by block.

import ThalwegBase

extension SegmentReader {
    /// Writes all entries to another segment whose table has as many states, in the same order. Blocks are copied as
    /// they are, after a look at their checksums.
    ///
    /// - Parameter leavingOut: places in the table whose entries are not copied.
    func copy(to writer: SegmentWriter, leavingOut: Set<Int>) throws {
        for state in footer.states.indices where !leavingOut.contains(state) {
            let blocks = footer.blocks.range(of: state)
            if blocks.isEmpty { continue }
            try writer.beginCopy(of: state, footer.statistics[state])
            for index in blocks {
                let isLast = index + 1 == blocks.upperBound
                let last = isLast ? footer.statistics[state].lastKey : footer.blocks.firstKey(of: index)
                let (stored, filter) = try storedBytes(of: index)
                try writer.adopt(
                    footer.blocks[index], firstKey: footer.blocks.firstKey(of: index), stored: stored, filter: filter,
                    last: last)
            }
        }
    }
}
