// SPDX-License-Identifier: Apache-2.0
//  Whether and when a failed job or region starts again (FLIP-1).

/// When a failed region starts again.
public enum RestartStrategy: Hashable, Sendable {
    /// Never: the first failure ends the job.
    case none
}
