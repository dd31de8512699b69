// SPDX-License-Identifier: Apache-2.0
//  What libFuzzer calls, and what is a finding.

import Glibc
import ThalwegBase

/// Something that reads bytes from outside.
///
/// Bytes may be refused: that is a `ThalwegError` of a kind that blames them. A finding is everything else: a trap, an
/// access out of bounds, memory without limit, an endless loop, an error of kind `bug`, or a broken promise.
protocol FuzzTarget: Sendable {
    func run(_ input: inout FuzzInput) throws
}

/// A promise of the engine that an input has broken.
struct BrokenPromise: Error {
    let what: String

    init(_ what: String) { self.what = what }
}

private let targets: [String: @Sendable () throws -> any FuzzTarget] = [
    "segment": { SegmentTarget() }, "snapshot": { try SnapshotTarget() }, "rows": { try RowsTarget() },
    "csv": { try CSVTarget() }, "json": { try JSONTarget() }, "expression": { try ExpressionTarget() },
]

/// The one that the environment names: libFuzzer's own options leave no room for it, and its children inherit it.
private let chosen: any FuzzTarget = {
    let name = getenv("FUZZ_TARGET").map { String(cString: $0) } ?? ""
    do {
        guard let make = targets[name] else {
            let known = targets.keys.sorted().joined(separator: ", ")
            throw ThalwegError(
                .input, "there is no such target", detail: "FUZZ_TARGET is '\(name)', not one of \(known)")
        }
        return try make()
    } catch {
        print(error)
        exit(64)
    }
}()

/// Ends the process. The message of a failed precondition is not printed in a release build.
func stop(at finding: any Error) -> Never {
    print("a finding: \(finding)")
    fflush(nil)
    abort()
}

@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzOneInput(_ bytes: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    var input = FuzzInput(Array(UnsafeBufferPointer(start: bytes, count: count)))
    do {
        try chosen.run(&input)
    } catch let error as ThalwegError where error.kind != .bug {
        // The bytes were refused.
    } catch {
        stop(at: error)
    }
    return 0
}
