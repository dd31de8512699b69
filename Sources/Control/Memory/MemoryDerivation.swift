// SPDX-License-Identifier: Apache-2.0
//  From options to parts: the rules of FLIP-49, in whole bytes.

import ThalwegBase

/// Why options give no plan.
struct MemoryProblem: Error {
    var primary: String
    var detail: String
    var hint: String
    /// The total that a greater value of would help, perhaps.
    var tooSmall: MemoryOption?
}

/// The rules, applied to one configuration.
struct MemoryDerivation {
    private typealias Part = MemoryPlan.Part

    /// The three options that keep a share within limits.
    private struct Range {
        let use: MemoryPlan.Use
        let minimum: MemoryOption
        let maximum: MemoryOption
        let fraction: MemoryOption

        static let network = Range(
            use: .network, minimum: .networkMin, maximum: .networkMax, fraction: .networkFraction)
        static let overhead = Range(
            use: .overhead, minimum: .overheadMin, maximum: .overheadMax, fraction: .overheadFraction)
    }

    private let configuration: MemoryConfiguration
    private let defaults: MemoryDefaults
    private var notes: [String]

    init(_ configuration: MemoryConfiguration, _ defaults: MemoryDefaults) {
        self.configuration = configuration
        self.defaults = defaults
        notes = configuration.warnings
    }

    // MARK: The three ways in

    func plan() throws(MemoryProblem) -> MemoryPlan {
        var rules = self
        return try rules.derive()
    }

    private mutating func derive() throws(MemoryProblem) -> MemoryPlan {
        for range in [Range.network, .overhead] { try expectOrder(range) }
        if given(.managedSize) != nil && configuration.fractions[.managedFraction] != nil {
            notes.append(
                "\(MemoryOption.managedFraction.rawValue) is not used: \(MemoryOption.managedSize.rawValue) is given")
        }
        let inner: [Part]
        if given(.taskHeap) != nil, given(.managedSize) != nil {
            inner =
                try given(.flinkSize).map { (total) throws(MemoryProblem) in try split(total, as: .flinkSize) }
                ?? withoutTotal()
        } else if let total = given(.flinkSize) {
            inner = try split(total, as: .flinkSize)
        } else if let total = given(.processSize) {
            let overhead = share(
                .overhead, configuration.fraction(.overheadFraction, defaults).share(of: total),
                "total process")
            let rest = total - overhead.bytes - size(.metaspace)
            guard rest >= 0 else {
                throw tooSmall(.processSize, total, [part(.metaspace, .metaspace), overhead])
            }
            return makePlan(try split(rest, as: .processSize), overhead)
        } else {
            throw MemoryProblem(
                primary: "no memory size is given", detail: "there are three ways to give one",
                hint: "set \(MemoryOption.processSize.rawValue), or \(MemoryOption.flinkSize.rawValue), or both "
                    + "\(MemoryOption.taskHeap.rawValue) and \(MemoryOption.managedSize.rawValue)")
        }
        return makePlan(inner, try overhead(around: inner.reduce(0) { $0 + $1.bytes }))
    }

    private func makePlan(_ inner: [Part], _ overhead: Part) -> MemoryPlan {
        MemoryPlan(parts: inner + [part(.metaspace, .metaspace), overhead], notes: notes)
    }

    // MARK: Parts

    /// The parts of a total without overhead.
    private mutating func split(_ total: Int, as way: MemoryOption) throws(MemoryProblem) -> [Part] {
        let name = "total without overhead"
        let managed: Part
        if given(.managedSize) != nil {
            managed = part(.managed, .managedSize)
        } else {
            let fraction = configuration.fraction(.managedFraction, defaults)
            managed = Part(
                use: .managed, bytes: fraction.share(of: total),
                origin: "\(fraction) of the \(name) (\(label(.managedFraction)))")
        }
        let fixed = frameworkParts + [part(.taskOffHeap, .taskOffHeap), managed]
        let sum = fixed.reduce(0) { $0 + $1.bytes }
        let networkShare = configuration.fraction(.networkFraction, defaults).share(of: total)
        guard given(.taskHeap) != nil else {
            let network = share(.network, networkShare, name)
            let rest = total - sum - network.bytes
            guard rest >= 0 else { throw tooSmall(way, total, fixed + [network]) }
            let task = Part(use: .task, bytes: rest, origin: "what remains of the \(name)")
            return Self.ordered(fixed + [task, network])
        }
        let task = part(.task, .taskHeap)
        let rest = total - sum - task.bytes
        guard rest >= 0 else { throw tooSmall(way, total, fixed + [task]) }
        let network = Part(use: .network, bytes: rest, origin: "what remains of the \(name)")
        try expect(network, in: .network, total: way, parts: fixed + [task])
        if rest != share(.network, networkShare, name).bytes {
            notes.append(
                "\(MemoryOption.networkFraction.rawValue) is not met: network takes what "
                    + "\(MemoryOption.taskHeap.rawValue) leaves")
        }
        return Self.ordered(fixed + [task, network])
    }

    /// The parts when task and managed memory are all there is.
    private func withoutTotal() -> [Part] {
        let fixed =
            frameworkParts + [part(.task, .taskHeap), part(.taskOffHeap, .taskOffHeap), part(.managed, .managedSize)]
        let sum = fixed.reduce(0) { $0 + $1.bytes }
        let fraction = configuration.fraction(.networkFraction, defaults)
        return fixed + [share(.network, fraction.share(besides: sum), "total without overhead")]
    }

    /// The overhead of a total that is known.
    private func overhead(around inner: Int) throws(MemoryProblem) -> Part {
        let metaspace = size(.metaspace)
        guard let process = given(.processSize) else {
            let fraction = configuration.fraction(.overheadFraction, defaults)
            return share(.overhead, fraction.share(besides: inner + metaspace), "total process")
        }
        let rest = process - inner - metaspace
        let names = totals.map(\.rawValue).joined(separator: " and ")
        guard rest >= 0 else {
            throw MemoryProblem(
                primary: "memory options contradict each other",
                detail: "\(names): the process has \(MemorySize(bytes: process)), its parts take "
                    + "\(MemorySize(bytes: inner + metaspace)) without overhead",
                hint: "leave one of them out, or lower the parts", tooSmall: .processSize)
        }
        let part = Part(
            use: .overhead, bytes: rest, origin: "what remains of the total process (\(label(.processSize)))")
        try expect(part, in: .overhead, total: .processSize, parts: [])
        return part
    }

    private var frameworkParts: [Part] {
        [part(.framework, .frameworkHeap), part(.frameworkOffHeap, .frameworkOffHeap)]
    }

    private func part(_ use: MemoryPlan.Use, _ option: MemoryOption) -> Part {
        Part(use: use, bytes: size(option), origin: label(option))
    }

    /// A share kept within its limits.
    private func share(_ range: Range, _ bytes: Int, _ whole: String) -> Part {
        let fraction = configuration.fraction(range.fraction, defaults)
        let (least, most) = (size(range.minimum), size(range.maximum))
        let wish = "\(fraction) of the \(whole) (\(label(range.fraction)))"
        if bytes < least {
            return Part(
                use: range.use, bytes: least,
                origin: "\(label(range.minimum)), as \(wish) is only \(MemorySize(bytes: bytes))")
        }
        if bytes > most {
            return Part(
                use: range.use, bytes: most,
                origin: "\(label(range.maximum)), as \(wish) is \(MemorySize(bytes: bytes))")
        }
        return Part(use: range.use, bytes: bytes, origin: wish)
    }

    private static func ordered(_ parts: [Part]) -> [Part] {
        MemoryPlan.Use.allCases.compactMap { use in parts.first { $0.use == use } }
    }

    // MARK: What options say

    private func given(_ option: MemoryOption) -> Int? { configuration.sizes[option] }

    private func size(_ option: MemoryOption) -> Int { given(option) ?? defaults.sizes[option] ?? 0 }

    /// An option with whether somebody gave it.
    private func label(_ option: MemoryOption) -> String {
        let isGiven = configuration.sizes[option] != nil || configuration.fractions[option] != nil
        return "\(isGiven ? "given" : "default") \(option.rawValue)"
    }

    /// The options that together fix everything but the overhead.
    private var totals: [MemoryOption] {
        let parts = [MemoryOption.taskHeap, .managedSize].filter { given($0) != nil }
        return [.processSize] + (given(.flinkSize) != nil ? [.flinkSize] : parts)
    }

    // MARK: Problems

    private func expectOrder(_ range: Range) throws(MemoryProblem) {
        guard size(range.minimum) > size(range.maximum) else { return }
        throw MemoryProblem(
            primary: "memory options contradict each other",
            detail: "\(label(range.minimum)) = \(MemorySize(bytes: size(range.minimum))) is more than "
                + "\(label(range.maximum)) = \(MemorySize(bytes: size(range.maximum)))",
            hint: "lower \(range.minimum.rawValue) or raise \(range.maximum.rawValue)")
    }

    /// A part that takes what remains must be within its limits too.
    private func expect(
        _ part: Part, in range: Range, total: MemoryOption, parts: [Part]
    ) throws(MemoryProblem) {
        let (least, most) = (size(range.minimum), size(range.maximum))
        guard part.bytes < least || part.bytes > most else { return }
        let isSmall = part.bytes < least
        let limit = isSmall ? range.minimum : range.maximum
        let involved =
            range.use == .overhead ? totals : [total, .taskHeap] + (given(.managedSize) != nil ? [.managedSize] : [])
        let names = involved.map(\.rawValue).joined(separator: " and ")
        throw MemoryProblem(
            primary: "memory options contradict each other",
            detail: "\(names) leave \(MemorySize(bytes: part.bytes)) as \(range.use.rawValue), "
                + "\(isSmall ? "below" : "above") \(MemorySize(bytes: isSmall ? least : most)) (\(label(limit)))",
            hint: "leave one of them out, or set \(limit.rawValue) to \(isSmall ? "at most" : "at least") "
                + MemorySize(bytes: part.bytes).text,
            tooSmall: isSmall ? total : nil)
    }

    private func tooSmall(_ total: MemoryOption, _ bytes: Int, _ parts: [Part]) -> MemoryProblem {
        let sum = parts.reduce(0) { $0 + $1.bytes }
        let list = parts.filter { $0.bytes > 0 }.map {
            "\($0.use.rawValue) \(MemorySize(bytes: $0.bytes)), \($0.origin)"
        }
        let whole = given(total) ?? bytes
        var room = "\(total.rawValue) = \(MemorySize(bytes: whole))"
        if whole != bytes { room += ", of which \(MemorySize(bytes: bytes)) without overhead," }
        return MemoryProblem(
            primary: "the memory is too small for its parts",
            detail: "\(room) is less than \(MemorySize(bytes: sum)): \(list.joined(separator: "; "))",
            hint: "lower the options of the greatest parts", tooSmall: total)
    }

    /// The smallest total with which a configuration has a plan; nil when there is none.
    static func smallest(
        _ total: MemoryOption, in configuration: MemoryConfiguration, _ defaults: MemoryDefaults
    ) -> Int? {
        func isEnough(_ bytes: Int) -> Bool {
            var trial = configuration
            trial.sizes[total] = bytes
            do { _ = try MemoryDerivation(trial, defaults).plan() } catch { return error.tooSmall != total }
            return true
        }
        var (small, large) = (configuration.sizes[total] ?? 0, MemorySize.bytesMax)
        guard isEnough(large) else { return nil }
        while large - small > 1 {
            let middle = small + (large - small) / 2
            if isEnough(middle) { large = middle } else { small = middle }
        }
        var trial = configuration
        trial.sizes[total] = large
        return (try? MemoryDerivation(trial, defaults).plan()).map { _ in large }
    }
}

extension MemoryConfiguration {
    /// The fraction that holds for an option.
    fileprivate func fraction(_ option: MemoryOption, _ defaults: MemoryDefaults) -> MemoryFraction {
        fractions[option] ?? defaults.fractions[option] ?? MemoryFraction(thousandths: 0)
    }
}
