// SPDX-License-Identifier: Apache-2.0
//  Which windows a state was kept for.

import ThalwegBase

/// The windows that the content of a state belongs to, as its description in snapshots says: content of other windows
/// must not be taken for theirs.
public struct StoredWindow: Hashable, Sendable {
    public enum Shape: Hashable, Sendable {
        /// Windows of fixed size. Panes are shared by windows that overlap; whole windows are not.
        case grid(size: Int64, slide: Int64, offset: Int64, isInPanes: Bool)
        case session(gap: Int64)
        case global
        /// Records that wait for partners whose time lies in `lower...upper` after theirs.
        case interval(lower: Int64, upper: Int64)
    }

    public var shape: Shape
    public var isProcessingTime: Bool
    /// How long closed windows are kept for late records, in milliseconds.
    public var lateness: Int64

    public init(_ shape: Shape, isProcessingTime: Bool, lateness: Int64) {
        self.shape = shape
        self.isProcessingTime = isProcessingTime
        self.lateness = lateness
    }

    /// The name of the property in a state's description.
    public static var propertyName: String { "window" }

    /// As a text for ``propertyName``, all in milliseconds: `panes 10000 2000 0 eventTime 0` (size, slide, offset,
    /// clock, lateness), `windows …` alike, `session 5000 eventTime 0`, `global eventTime 0`, `interval -500 500 …`.
    public var text: String {
        let shape =
            switch self.shape {
            case .grid(let size, let slide, let offset, let isInPanes):
                "\(isInPanes ? "panes" : "windows") \(size) \(slide) \(offset)"
            case .session(let gap): "session \(gap)"
            case .global: "global"
            case .interval(let lower, let upper): "interval \(lower) \(upper)"
            }
        return "\(shape) \(isProcessingTime ? "processingTime" : "eventTime") \(lateness)"
    }

    /// Reads what ``text`` wrote; nil when it is something else.
    public init?(text: String) {
        let words = text.split(separator: " ").map(String.init)
        guard words.count >= 3, let lateness = Int64(words[words.count - 1]),
            let clock = ["eventTime": false, "processingTime": true][words[words.count - 2]]
        else { return nil }
        let numbers = words[1..<words.count - 2].compactMap { Int64($0) }
        guard numbers.count == words.count - 3 else { return nil }
        switch (words[0], numbers.count) {
        case ("panes", 3), ("windows", 3):
            shape = .grid(size: numbers[0], slide: numbers[1], offset: numbers[2], isInPanes: words[0] == "panes")
        case ("session", 1): shape = .session(gap: numbers[0])
        case ("global", 0): shape = .global
        case ("interval", 2): shape = .interval(lower: numbers[0], upper: numbers[1])
        default: return nil
        }
        isProcessingTime = clock
        self.lateness = lateness
    }

    enum Takeover: Hashable {
        /// The content goes on under the new windows; what changes for it.
        case note(String)
        case refusal(String)
    }

    /// Whether content kept for other windows is what these would have kept by now.
    func takesOver(_ old: StoredWindow) -> Takeover {
        guard old.isProcessingTime == isProcessingTime else {
            return .refusal("the windows went by another clock")
        }
        var notes: [String] = []
        switch (old.shape, shape) {
        case (.session(let was), .session(let now)):
            if was != now {
                notes.append(
                    "the gap was \(was) ms, is \(now) ms: open sessions end by the old one until a record comes")
            }
        case (
            .grid(let oldSize, let oldSlide, let oldOffset, let wasInPanes),
            .grid(let size, let slide, let offset, let isInPanes)
        ):
            let isSame = oldSize == size && oldSlide == slide && oldOffset == offset
            guard wasInPanes == isInPanes else { return .refusal("the windows were kept in another way") }
            // Smaller windows need only panes that are still there.
            let isPart =
                isInPanes && size <= oldSize && slide == oldSlide && offset == oldOffset
                && Self.pane(size, slide) == Self.pane(oldSize, oldSlide)
            guard isSame || isPart else {
                return .refusal(
                    "the windows were \(oldSize) ms long, one every \(oldSlide) ms (offset \(oldOffset) ms), are "
                        + "\(size) ms long, one every \(slide) ms (offset \(offset) ms)")
            }
            if !isSame {
                notes.append(
                    "the windows were \(oldSize) ms long, are \(size) ms: those that have fired do not fire again")
            }
        case (.global, .global): break
        case (.interval(let oldLower, let oldUpper), .interval(let lower, let upper)):
            guard oldLower <= lower && upper <= oldUpper else {
                return .refusal(
                    "partners were \(oldLower) to \(oldUpper) ms apart, are \(lower) to \(upper) ms: some that would "
                        + "be needed are gone")
            }
            if (oldLower, oldUpper) != (lower, upper) {
                notes.append("partners were \(oldLower) to \(oldUpper) ms apart, are \(lower) to \(upper) ms")
            }
        default: return .refusal("the windows were of another kind")
        }
        guard lateness <= old.lateness else {
            return .refusal(
                "the allowed lateness was \(old.lateness) ms, is \(lateness) ms: late records would open windows again "
                    + "whose content is gone")
        }
        return .note(notes.isEmpty ? "the allowed lateness is shorter" : notes.joined(separator: "; "))
    }

    private static func pane(_ size: Int64, _ slide: Int64) -> Int64 {
        var (a, b) = (size, slide)
        while b != 0 { (a, b) = (b, a % b) }
        return a
    }
}
