// SPDX-License-Identifier: Apache-2.0
//  Rules about what code may say: ambient time, chance and disk, unchecked casts, promises to the compiler.

extension Rule {
    /// What is banned, and what to write in its place.
    static let replacements: [(call: String, instead: String)] = [
        ("Date()", "take the clock as a parameter"),
        ("Date.now", "take the clock as a parameter"),
        ("ContinuousClock", "take the clock as a parameter"),
        ("SuspendingClock", "take the clock as a parameter"),
        ("clock_gettime(", "take the clock as a parameter"),
        ("gettimeofday(", "take the clock as a parameter"),
        (".random(", "draw from the SeededRandom you were given, with your own arithmetic"),
        (".randomElement(", "draw from the SeededRandom you were given, with your own arithmetic"),
        (".shuffled(", "draw from the SeededRandom you were given, with your own arithmetic"),
        ("SystemRandomNumberGenerator", "draw from the SeededRandom you were given"),
        ("FileManager", "go through the file system you were given"),
        ("Task.sleep", "return from poll and ask the scheduler for a wake-up"),
        ("Task.detached", "let the worker threads poll a tasklet"),
        ("usleep(", "return from poll and ask the scheduler for a wake-up"),
        ("nanosleep(", "return from poll and ask the scheduler for a wake-up"),
        ("Thread.sleep", "return from poll and ask the scheduler for a wake-up"),
        ("try!", "throw a ThalwegError, or handle it"),
        ("as!", "use 'as?' and throw a ThalwegError of kind bug"),
        ("fatalError(", "throw a ThalwegError; for what the caller must guarantee, 'precondition'"),
        ("Guarded<@Sendable", "put the function into a struct: by itself it is wrapped once more at each look"),
        ("Guarded<(@Sendable", "put the function into a struct: by itself it is wrapped once more at each look"),
        ("-Ounchecked", "move the check out of the loop, one precondition before it"),
    ]

    static let bannedCalls = Rule(name: "banned calls") { tree in
        let code = tree.sources.map { ($0, $0.code) }
        // Build files have no Swift code to blank: their lines are read as they are.
        let build = tree.files.filter { file in
            file.path == "Package.swift" || ["Makefile", "run"].contains(file.name) || file.path.hasSuffix(".sh")
        }
        return (code + build.map { ($0, $0.lines) }).flatMap { file, lines in
            lines.enumerated().flatMap { index, line in
                replacements.filter { contains($0.call, in: line) }.map {
                    Finding(
                        path: file.path, line: index + 1, subject: $0.call,
                        message: "'\($0.call)' is banned: \($0.instead)")
                }
            }
        }
    }

    static let promises = Rule(name: "promises") { tree in
        tree.sources.flatMap { file in
            file.code.enumerated().compactMap { index, line in
                guard let promise = ["@unchecked Sendable", "nonisolated(unsafe)"].first(where: line.contains),
                    !isExplained(index, in: file)
                else { return nil }
                return Finding(
                    path: file.path, line: index + 1, subject: promise,
                    message: "'\(promise)' needs a comment that says why it holds, here or on the line above")
            }
        }
    }

    /// Whether a comment stands on the line or above it; lines with attributes only may come between.
    private static func isExplained(_ index: Int, in file: SourceFile) -> Bool {
        if file.commented.contains(index) { return true }
        var above = index - 1
        while above >= 0, !file.commented.contains(above), isAttributes(file.code[above]) { above -= 1 }
        return file.commented.contains(above)
    }

    private static func isAttributes(_ line: String) -> Bool {
        let words = line.split(separator: " ")
        return !words.isEmpty && words.allSatisfy { $0.hasPrefix("@") }
    }

    /// Whether `needle` stands in `line` by itself, not as a part of a longer word.
    static func contains(_ needle: String, in line: String) -> Bool {
        func isWord(_ character: Character?) -> Bool {
            character.map { $0.isLetter || $0.isNumber || $0 == "_" } ?? false
        }
        var rest = line[...]
        while let range = rest.firstRange(of: needle) {
            let before = line[..<range.lowerBound].last
            let after = line[range.upperBound...].first
            let joined = isWord(needle.first) && isWord(before) || isWord(needle.last) && isWord(after)
            if !joined { return true }
            rest = line[range.upperBound...]
        }
        return false
    }
}
