// SPDX-License-Identifier: Apache-2.0
//  All entries of a state, changed.

import ThalwegBase
import ThalwegData
import ThalwegStorage

extension SavepointWriter {
    /// Gives the entries of a state other values, by expressions.
    ///
    /// - Returns: the state as it will be, with the schema that follows from the expressions.
    /// - Throws: kind `input` when an expression does not fit the state's schema; nothing has been written then.
    @discardableResult
    public mutating func transform(
        _ name: String, in operatorName: String, _ edit: EntryEdit
    ) throws -> StateDescriptor {
        let layout = try layout(name, operatorName)
        let rewrite = try edit.rewrite(layout)
        let texts =
            edit.assignments.map { "set \($0)" } + edit.dropped.map { "drop \($0)" }
            + [edit.condition.map { "where \($0)" }, edit.deletion.map { "delete where \($0)" }].compactMap { $0 }
        return try transform(rewrite, note: texts.joined(separator: ", "))
    }

    /// Gives the entries of a state other values, in Swift; of a list each element.
    ///
    ///     try writer.transform("offers", in: "auctions", as: OldOffer.self) { old in
    ///         Offer(price: String(old.price), bidder: old.bidder)
    ///     }
    ///
    /// - Parameter body: called for each value when the copy is written.
    /// - Throws: kind `job` when the state was stored with another type than `Old`.
    @discardableResult
    public mutating func transform<Old: Codable & Sendable, New: Codable & Sendable>(
        _ name: String, in operatorName: String, as _: Old.Type, _ body: @escaping (Old) throws -> New
    ) throws -> StateDescriptor {
        let layout = try layout(name, operatorName)
        let (oldType, newType) = (try RecordType<Old>.learn(), try RecordType<New>.learn())
        guard layout.value?.schema == oldType.schema else {
            throw ThalwegError(
                .job, "a state has other types than asked for",
                detail: "state \"\(name)\" of \"\(operatorName)\" holds "
                    + "\(layout.value?.schema.description ?? "nothing"), not \(oldType.schema)",
                hint: "declare the type with which it was stored")
        }
        var descriptor = layout.descriptor
        descriptor.value = newType.schema
        let (old, new) = (RecordCodec(oldType), RecordCodec(newType))
        let rewrite = EntryRewrite(descriptor: descriptor, needsPlace: false) { _, reader, writer in
            let memory = UnsafeMutablePointer<Old>.allocate(capacity: 1)
            defer { memory.deallocate() }
            try old.decode(&reader, count: 1, into: memory)
            try withUnsafePointer(to: try body(memory.move())) { try new.encode($0, count: 1, into: &writer) }
            return true
        }
        return try transform(rewrite, note: "\(Old.self) to \(New.self)")
    }

    private mutating func transform(_ rewrite: EntryRewrite, note: String) throws -> StateDescriptor {
        let state = rewrite.descriptor
        let id = StateID(operatorName: state.operatorName, name: state.name)
        try checkUntouched(id)
        rewrites[id] = rewrite
        notes.append("transform \(state.operatorName)/\(state.name): \(note)")
        return state
    }
}
