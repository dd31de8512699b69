// SPDX-License-Identifier: Apache-2.0
//  Keeps splits of a group in step (FLIP-27, FLIP-182), driven by events rather than by a timer.

import Synchronization
import ThalwegBase
import ThalwegOperator

/// The alignment groups of a job. A value inside a lock; it decides who must wait and tells whom to wake.
final class AlignmentGroups: Sendable {
    /// A split of a source subtask.
    struct Member: Hashable, Sendable {
        let node: Int
        let subtask: Int
        let split: Int32
    }

    /// A subtask of a source.
    struct Seat: Hashable, Sendable {
        let node: Int
        let subtask: Int
    }

    private struct Group {
        var drift: Int64
        var watermarks: [Member: Watermark] = [:]
        /// By source and subtask: an attempt takes the place of the one before.
        var wakers: [Seat: @Sendable () -> Void] = [:]

        var wakersInOrder: [@Sendable () -> Void] {
            wakers.sorted { ($0.key.node, $0.key.subtask) < ($1.key.node, $1.key.subtask) }.map(\.value)
        }

        /// The greatest watermark that may go on being read; nothing waits before every member has spoken.
        var allowed: Int64 {
            guard let low = watermarks.values.min() else { return .max }
            return low.time.advanced(byMilliseconds: drift).milliseconds
        }
    }

    private let groups = Guarded<[String: Group]>([:])

    /// Declares a group; several sources may, the smallest drift counts.
    func join(_ name: String, drift: Duration, as seat: Seat, wake: @escaping @Sendable () -> Void) {
        groups.withLock { groups in
            groups[name, default: Group(drift: .max)].drift = min(
                groups[name]?.drift ?? .max, max(0, drift.wholeMilliseconds))
            groups[name]?.wakers[seat] = wake
        }
    }

    /// Takes a member's watermark and returns the greatest watermark that may go on.
    func report(_ watermark: Watermark, of member: Member, in name: String) -> Int64 {
        change(name) { $0.watermarks[member] = watermark }
    }

    /// A member is idle or has ended: nobody waits for it.
    func leave(_ member: Member, of name: String) { _ = change(name) { $0.watermarks[member] = nil } }

    /// Subtasks start again: nobody waits for what they had read.
    func leave(node: Int, subtasks: Set<Int>) {
        for name in groups.withLock({ Array($0.keys) }) {
            _ = change(name) { group in
                for member in group.watermarks.keys where member.node == node && subtasks.contains(member.subtask) {
                    group.watermarks[member] = nil
                }
            }
        }
    }

    /// The greatest watermark of the group that may go on being read.
    func allowed(in name: String) -> Int64 { groups.withLock { $0[name]?.allowed ?? .max } }

    private func change(_ name: String, _ body: (inout Group) -> Void) -> Int64 {
        let (allowed, wakers) = groups.withLock { groups -> (Int64, [@Sendable () -> Void]) in
            guard var group = groups[name] else { return (.max, []) }
            let before = group.allowed
            body(&group)
            groups[name] = group
            return (group.allowed, group.allowed > before ? group.wakersInOrder : [])
        }
        for wake in wakers { wake() }
        return allowed
    }
}
