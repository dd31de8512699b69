// SPDX-License-Identifier: Apache-2.0
//  `thalweg state transform PATH OUT`: a copy of a snapshot with all entries of a state changed.

import ArgumentParser
import Thalweg
import ThalwegSavepoint

struct StateTransformCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "transform", abstract: "Copy a snapshot with other values of a state, by expressions.",
        discussion: """
            --set 'price = string(price)' gives a field of the value another value and type, or appends a field; --set \
            with an expression alone, such as '{price: price, who: key}', takes the place of the whole value. All \
            expressions see the entry as it was: key, mapKey, window, time and so on, and value. The type that follows \
            is written into the copy, and shown.

            There are + - * / %, == != < <= > >=, and or not, a ?? b, if a then b else c, casts such as string(x), \
            int64(x), or int64?(x), which is null where x is no number, and coalesce, abs, min, max, floor, ceil, \
            round, length, count, lower, upper, trim, substring, contains, startsWith, endsWith, replace.
            """)

    @OptionGroup var paths: CopyPaths
    @OptionGroup var name: StateName
    @Option(name: .customLong("set"), help: "FIELD = EXPRESSION, or EXPRESSION; may be given several times.")
    var assignments: [String] = []
    @Option(name: .customLong("drop"), help: "A field of the value that goes; may be given several times.")
    var dropped: [String] = []
    @Option(name: .customLong("where"), help: "Only entries for which this holds get new values, of the same type.")
    var condition: String?
    @Option(name: .customLong("delete-where"), help: "Entries for which this holds go; of lists, such values.")
    var deletion: String?

    func validate() throws {
        guard !edit.isEmpty else { throw ValidationError("give --set, --drop or --delete-where") }
        guard condition == nil || !assignments.isEmpty || !dropped.isEmpty else {
            throw ValidationError("--where goes with --set; entries are removed by --delete-where")
        }
    }

    private var edit: EntryEdit {
        var edit = EntryEdit()
        (edit.assignments, edit.dropped) = (assignments, dropped)
        (edit.condition, edit.deletion) = (condition, deletion)
        return edit
    }

    func run() throws {
        try paths.write { writer in
            let old = try writer.source.state(name.state, in: name.operatorName).descriptor
            let new = try writer.transform(name.state, in: name.operatorName, edit)
            guard let before = old.value, let after = new.value, before != after else { return }
            print("value: \(before)\n    to \(after)")
        }
    }
}
