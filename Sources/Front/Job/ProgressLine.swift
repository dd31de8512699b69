// SPDX-License-Identifier: Apache-2.0
//  Progress of a job on standard error.

import Glibc
import ThalwegBase
import ThalwegRuntime

/// Prints how far a job has come, now and then.
final class ProgressLine: Sendable {
    private let execution: JobExecution
    private let began: MonotonicTime
    private let ticker = Ticker()
    private let isTerminal = isatty(STDERR_FILENO) == 1

    init(_ execution: JobExecution, start: MonotonicTime) {
        self.execution = execution
        began = start
    }

    /// Prints from a thread of its own until ``stop()``.
    func start() {
        let interval = isTerminal ? Duration.milliseconds(200) : .seconds(5)
        ticker.start(every: interval) { [self] in
            let line = Self.line(JobReport(of: execution, seconds: began.secondsSince))
            Self.write(isTerminal ? "\r\u{1B}[K\(line)" : line + "\n")
        }
    }

    func stop() {
        ticker.stop()
        if isTerminal { Self.write("\r\u{1B}[K") }
    }

    static func line(_ report: JobReport) -> String {
        let rate = report.seconds > 0 ? Double(report.records) / report.seconds : 0
        var line = "\(grouped(report.records)) records  \(short(rate))/s"
        if report.bytes > 0 { line += "  \(short(Double(report.bytes)))B" }
        if let time = report.eventTime { line += "  event time \(time)" }
        if report.rejected > 0 { line += "  \(grouped(report.rejected)) rejected" }
        return line
    }

    static func summary(_ report: JobReport) -> String {
        var text = "done: \(line(report))\n"
        text += "      \(grouped(report.recordsOut)) records out, \(rounded(report.seconds)) s, "
        text += "\(rounded(report.cpuSeconds)) CPU s, peak memory \(report.peakMemoryBytes >> 20) MiB\n"
        if report.checkpoints > 0 {
            text += "      \(grouped(report.checkpoints)) checkpoints, longest pause "
            text += "\(rounded(report.checkpointPauseMillis)) ms\n"
        }
        if report.lateDropped > 0 {
            text += "      \(grouped(report.lateDropped)) records were too late for their windows\n"
        }
        if report.droppedNoConsumer > 0 {
            text += "      \(grouped(report.droppedNoConsumer)) records went to side outputs that nobody reads\n"
        }
        return text
    }

    /// Writes to standard error.
    static func write(_ text: String) {
        var text = text
        text.withUTF8 { _ = Glibc.write(STDERR_FILENO, $0.baseAddress, $0.count) }
    }

    /// 1234567 as `1,234,567`.
    static func grouped(_ number: Int) -> String {
        var digits = Array(String(number.magnitude))
        var position = digits.count - 3
        while position > 0 {
            digits.insert(",", at: position)
            position -= 3
        }
        return (number < 0 ? "-" : "") + String(digits)
    }

    /// 1234567 as `1.23 M`.
    static func short(_ number: Double) -> String {
        for (unit, size) in [("G", 1e9), ("M", 1e6), ("K", 1e3)] where number >= size {
            return "\(rounded(number / size)) \(unit)"
        }
        return "\(Int(number)) "
    }

    static func rounded(_ number: Double) -> String { "\((number * 100).rounded() / 100)" }
}
