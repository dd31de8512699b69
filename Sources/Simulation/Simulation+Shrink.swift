// SPDX-License-Identifier: Apache-2.0
//  From a plan that fails to a shorter one that still fails.

import Thalweg

extension Simulation {
    /// Looks for the smallest plan around a failing one: fewer faults, fewer records, earlier moments, smaller amounts.
    ///
    /// - Parameter runsMax: how many plans are tried at most.
    /// - Returns: the result of the smallest plan that fails; the given one if it cannot be made smaller.
    public func shrink(_ failing: SimulationResult, runsMax: Int = 200) async throws -> SimulationResult {
        var best = failing
        var runs = 0
        var isSmaller = true
        while isSmaller && runs < runsMax {
            isSmaller = false
            for plan in Self.smaller(best.plan) where runs < runsMax {
                runs += 1
                let result = try await run(seed: failing.seed, plan: plan)
                if !result.isPassed {
                    best = result
                    isSmaller = true
                    break
                }
            }
        }
        best.isShrunk = true
        return best
    }

    /// Plans that are a step smaller, the boldest first.
    private static func smaller(_ plan: FaultPlan) -> [FaultPlan] {
        var plans: [FaultPlan] = []
        for index in plan.faults.indices {
            var smaller = plan
            smaller.faults.remove(at: index)
            plans.append(smaller)
        }
        for records in [plan.records / 4, plan.records / 2, plan.records * 3 / 4, plan.records - 1]
        where records > 0 && records < plan.records {
            var smaller = plan
            smaller.records = records
            plans.append(smaller)
        }
        for index in plan.faults.indices {
            let fault = plan.faults[index]
            for number in [fault.number / 4, fault.number / 2, fault.number * 3 / 4, fault.number - 1]
            where number > 0 && number < fault.number {
                var smaller = plan
                smaller.faults[index].number = number
                plans.append(smaller)
            }
            if fault.amount > 1 && fault.kind != .tornWrite && fault.kind != .corruption {
                var smaller = plan
                smaller.faults[index].amount = fault.amount / 2
                plans.append(smaller)
            }
        }
        return plans
    }
}
