// SPDX-License-Identifier: Apache-2.0
//  What is said of an input that has moved since the checkpoint that a job goes on from.

import Testing
import ThalwegTesting

@testable import Thalweg

@Suite struct MovedInputTests {
    private func failure(_ paths: [String], _ split: FileSplit) -> ThalwegError? {
        let metrics = OperatorMetrics()
        let reader = FileSource<String>(paths, format: .lines, fileSystem: MemoryFileSystem(["new/a.txt": "a\n"]))
            .makeReader(
                SourceReaderContext(
                    name: "lines", subtask: 0, parallelism: 1, processingTime: VirtualTime(),
                    errors: RecordErrorHandler(
                        operatorName: "lines", policy: .fail, letters: nil, rejected: metrics.rejected,
                        unread: metrics.rejected),
                    metrics: metrics, requestSplit: {}, wake: {}))
        reader.addSplits([AssignedSplit(number: 0, split: split)])
        return #expect(throws: ThalwegError.self) { _ = try reader.poll(into: Batch<String>(capacity: 4)) }
    }

    /// The job reads elsewhere now, or the file had been read in part.
    @Test(arguments: [
        (["new/a.txt"], "a.txt", false), (["new"], "old/a.txt", false), (["new/*.txt"], "a.txt", false),
        (["new"], "newer/a.txt", false), (["a.txt"], "a.txt", true), (["*.txt"], "./a.txt", true),
    ])
    func comesFromTheCheckpoint(_ paths: [String], _ path: String, _ isReadInPart: Bool) {
        var split = FileSplit(path: path)
        if isReadInPart { split.range.resume = ReadPosition(byteOffset: 7, line: 1) }
        let error = failure(paths, split)
        #expect(error?.kind == .input && error?.detail?.contains(path) == true, "\(error as Any)")
        #expect(error?.detail?.contains("the path comes from the checkpoint, the job reads \(paths[0])") == true)
        #expect(error?.hint?.contains("put the file back") == true)
    }

    /// One that the job is told to read, and that nobody has begun: it is not there, no more is known.
    @Test(arguments: [
        (["a.txt"], "a.txt"), (["new"], "new/b.txt"), (["new/*.txt"], "new/b.txt"), (["*.txt"], "./a.txt"),
    ])
    func isSimplyNotThere(_ paths: [String], _ path: String) {
        let error = failure(paths, FileSplit(path: path))
        #expect(error?.kind == .input && error?.detail?.contains("checkpoint") == false, "\(error as Any)")
    }
}
