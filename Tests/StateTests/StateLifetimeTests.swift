// SPDX-License-Identifier: Apache-2.0
//  State goes when its operator goes.

import Testing
import ThalwegBase
import ThalwegData
import ThalwegState

@Suite struct StateLifetimeTests {
    private func isReleased(_ make: (KeyedStore<Int64>) throws -> any KeyedColumn) throws -> Bool {
        weak var store: KeyedStore<Int64>?
        weak var column: (any KeyedColumn)?
        try {
            let held = try KeyedStore<Int64>(.learn())
            let state = try make(held)
            (store, column) = (held, state)
        }()
        return store == nil && column == nil
    }

    @Test func aStoreAndItsStatesDoNotKeepEachOtherAlive() throws {
        #expect(
            try isReleased { store in
                let state = ValueState<Int64>()
                try state.bind("value", to: store)
                return state
            })
        #expect(
            try isReleased { store in
                let state = ListState<Int64>()
                try state.bind("list", to: store)
                return state
            })
        #expect(
            try isReleased { store in
                let state = MapState<Int64, Int64>()
                try state.bind("map", to: store)
                return state
            })
        #expect(
            try isReleased { store in
                let state = SortedMapState<Int64, Int64>()
                try state.bind("sorted", to: store)
                return state
            })
    }
}
