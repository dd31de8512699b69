// SPDX-License-Identifier: Apache-2.0
//  Memory that is asked for before it is used, with an account for each owner (FLIP-49).

import Synchronization

/// A budget of memory that owners reserve parts of before they allocate.
///
///     let lease = memory.open("count #0", of: .stateBackend, task: "count 1/2", limitBytes: share)
///     if !lease.tryReserve(pageBytes) { try spill() }
///     lease.release(pageBytes)
///
/// - Guarantees: what is reserved never exceeds ``budgetBytes``, nor that of one owner its limit; after
///   ``endTask(_:)`` nothing of that task is reserved.
/// - Not promised: that an owner allocates no more than it has reserved; that a limit is free when its owner wants it,
///   unless the limits of all owners add up to the budget at most, as those of ``ConsumerWeights`` do.
/// - Any thread may call anything.
public final class ManagedMemory: Sendable {
    fileprivate struct Account {
        let name: String
        let consumer: MemoryConsumer
        let task: String
        let limitBytes: Int
        var heldBytes = 0
    }

    private struct Book {
        var accounts: [Int: Account] = [:]
        var next = 0
        var heldBytes = 0
        var peakBytes = 0
    }

    /// What an owner had not given back when its task ended.
    public struct Leak: Sendable, Hashable {
        public let owner: String
        public let task: String
        public let bytes: Int
    }

    /// How many owners an error lists, the greatest first.
    private static let listedMax = 8

    /// All there is, in bytes.
    public let budgetBytes: Int
    private let book = Guarded(Book())

    /// - Precondition: not negative.
    public init(budgetBytes: Int) {
        precondition(budgetBytes >= 0, "a budget is not negative")
        self.budgetBytes = budgetBytes
    }

    /// What is reserved now, in bytes.
    public var heldBytes: Int { book.withLock { $0.heldBytes } }
    /// The most that was reserved at a time, in bytes.
    public var peakBytes: Int { book.withLock { $0.peakBytes } }
    /// What nobody has reserved, in bytes.
    public var availableBytes: Int { budgetBytes - heldBytes }

    /// Opens an account.
    ///
    /// - Parameters:
    ///   - owner: who holds the memory, for errors and leaks.
    ///   - task: with whose end the account ends.
    ///   - limitBytes: the most that this owner may hold; nil: the whole budget.
    public func open(
        _ owner: String, of consumer: MemoryConsumer, task: String, limitBytes: Int? = nil
    ) -> MemoryLease {
        let account = Account(
            name: owner, consumer: consumer, task: task, limitBytes: min(limitBytes ?? budgetBytes, budgetBytes))
        return book.withLock { book in
            book.accounts[book.next] = account
            book.next += 1
            return MemoryLease(self, book.next - 1, limitBytes: account.limitBytes)
        }
    }

    /// Closes the accounts of a task that has ended, and takes back what they hold.
    ///
    /// - Returns: what had not been given back, by owner: each is a defect of that owner.
    @discardableResult
    public func endTask(_ task: String) -> [Leak] {
        book.withLock { book in
            let ended = book.accounts.filter { $0.value.task == task }.sorted { $0.key < $1.key }
            for (id, account) in ended {
                book.accounts[id] = nil
                book.heldBytes -= account.heldBytes
            }
            return ended.filter { $0.value.heldBytes > 0 }.map {
                Leak(owner: $0.value.name, task: task, bytes: $0.value.heldBytes)
            }
        }
    }

    // MARK: For leases

    fileprivate func held(_ id: Int) -> Int { book.withLock { $0.accounts[id]?.heldBytes ?? 0 } }

    /// - Returns: nil when it was reserved, else all accounts, the greatest first.
    fileprivate func reserve(_ bytes: Int, _ id: Int) -> (own: Account?, all: [Account])? {
        precondition(bytes >= 0, "a reservation is not negative")
        return book.withLock { book in
            let own = book.accounts[id]
            guard let account = own, bytes <= account.limitBytes - account.heldBytes,
                bytes <= budgetBytes - book.heldBytes
            else {
                let held = book.accounts.filter { $0.value.heldBytes > 0 }.sorted {
                    ($1.value.heldBytes, $0.key) < ($0.value.heldBytes, $1.key)
                }
                return (own, held.map(\.value))
            }
            book.accounts[id]?.heldBytes += bytes
            book.heldBytes += bytes
            book.peakBytes = max(book.peakBytes, book.heldBytes)
            return nil
        }
    }

    fileprivate func release(_ bytes: Int, _ id: Int) {
        precondition(bytes >= 0, "a reservation is not negative")
        book.withLock { book in
            // After the end of its task there is nothing left to give back.
            guard let held = book.accounts[id]?.heldBytes else { return }
            precondition(bytes <= held, "more memory is given back than was reserved")
            book.accounts[id]?.heldBytes -= bytes
            book.heldBytes -= bytes
        }
    }

    fileprivate func close(_ id: Int) -> Int {
        book.withLock { book in
            guard let account = book.accounts.removeValue(forKey: id) else { return 0 }
            book.heldBytes -= account.heldBytes
            return account.heldBytes
        }
    }

    fileprivate func exhausted(_ bytes: Int, _ own: Account?, _ all: [Account]) -> ThalwegError {
        guard let own else {
            return ThalwegError(.bug, "managed memory is reserved for a task that has ended", detail: "\(bytes) bytes")
        }
        let free = budgetBytes - all.reduce(0) { $0 + $1.heldBytes }
        var holders = all.prefix(Self.listedMax).map { "\($0.name) of \($0.task) holds \($0.heldBytes)" }
        if all.count > Self.listedMax { holders.append("\(all.count - Self.listedMax) more owners the rest") }
        return ThalwegError(
            .job, "managed memory is exhausted",
            detail: "\(own.name) of \(own.task) (\(own.consumer.rawValue)) asks for \(bytes) bytes; it holds "
                + "\(own.heldBytes) of at most \(own.limitBytes), and \(free) of \(budgetBytes) are free; "
                + (holders.isEmpty ? "nobody holds any" : holders.joined(separator: ", ")),
            hint: "raise taskmanager.memory.managed.size or the memory of the process, or lower the parallelism")
    }
}

/// The account of one owner in a ``ManagedMemory``. Any thread.
public final class MemoryLease: Sendable {
    private let memory: ManagedMemory
    private let id: Int
    /// The most this owner may hold, in bytes.
    public let limitBytes: Int

    fileprivate init(_ memory: ManagedMemory, _ id: Int, limitBytes: Int) {
        self.memory = memory
        self.id = id
        self.limitBytes = limitBytes
    }

    /// What the owner has reserved, in bytes.
    public var heldBytes: Int { memory.held(id) }

    /// Reserves memory.
    ///
    /// - Throws: `ThalwegError(.job)` when the owner's limit or the budget does not allow it: it names all who hold
    ///   memory. Nothing is reserved then.
    public func reserve(_ bytes: Int) throws(ThalwegError) {
        if let refusal = memory.reserve(bytes, id) { throw memory.exhausted(bytes, refusal.own, refusal.all) }
    }

    /// Reserves memory if there is so much.
    public func tryReserve(_ bytes: Int) -> Bool { memory.reserve(bytes, id) == nil }

    /// Gives memory back. Nothing happens after the end of the task.
    ///
    /// - Precondition: no more than the owner holds.
    public func release(_ bytes: Int) { memory.release(bytes, id) }

    /// Closes the account.
    ///
    /// - Returns: what the owner still held, in bytes; it is free now.
    @discardableResult
    public func close() -> Int { memory.close(id) }
}
