// SPDX-License-Identifier: Apache-2.0
//  What is wrong with a command line itself.

import ArgumentParser
import ThalwegBase

/// Options that make no sense by themselves are wrong usage: the process ends with the exit code 64 (`EX_USAGE`), and
/// not with that of a job that failed.
public enum Usage {
    /// - Throws: `ValidationError` in place of a `ThalwegError`.
    public static func check<Result>(_ body: () throws -> Result) throws -> Result {
        do { return try body() } catch let error as ThalwegError { throw ValidationError(error.description) }
    }
}
