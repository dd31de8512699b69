// SPDX-License-Identifier: Apache-2.0
//  The unit that flows: records of one type with a column of timestamps.

/// Up to `capacity` records with their timestamps, owned by one task at a time.
///
/// Operators take `rows` once and loop over it; nothing here is called per record. Rows `0..<count` are initialised.
///
/// - Ownership: whoever is handed a batch may change, reorder or move out its rows as long as `count` stays true; the
///   one who handed it over calls ``removeAll()`` afterwards.
public final class Batch<Element> {
    /// The default number of records in a batch.
    @inlinable public static var defaultCapacity: Int { 1024 }

    // One task at a time touches a batch (ownership moves with it), so dynamic exclusivity checks would only cost time.
    // The attribute holds only for accesses compiled in this module: hence stored properties behind inlined accessors.
    @exclusivity(unchecked) @usableFromInline var storedRows: UnsafeMutablePointer<Element>
    @exclusivity(unchecked) @usableFromInline var storedTimes: UnsafeMutablePointer<Int64>
    @exclusivity(unchecked) @usableFromInline var storedCapacity: Int
    @exclusivity(unchecked) @usableFromInline var storedCount = 0
    @exclusivity(unchecked) @usableFromInline var storedIsTimed = false
    @exclusivity(unchecked) @usableFromInline var storedSplit: Int32 = -1

    /// The records; valid for `0..<count`.
    @inlinable public var rows: UnsafeMutablePointer<Element> { storedRows }
    /// Milliseconds of event time per record; meaningful only when ``isTimed``.
    @inlinable public var times: UnsafeMutablePointer<Int64> { storedTimes }
    /// The number of records that fit.
    @inlinable public var capacity: Int { storedCapacity }
    /// The number of records present.
    @inlinable public var count: Int {
        get { storedCount }
        set { storedCount = newValue }
    }
    /// Whether `times` holds timestamps. A record of an untimed batch has the time `EventTime.min`.
    @inlinable public var isTimed: Bool {
        get { storedIsTimed }
        set { storedIsTimed = newValue }
    }
    /// The reader-local number of the split the records come from; -1 behind an exchange or a keyed operator.
    @inlinable public var split: Int32 {
        get { storedSplit }
        set { storedSplit = newValue }
    }

    @inlinable
    public convenience init() { self.init(capacity: Self.defaultCapacity) }

    public init(capacity: Int) {
        precondition(capacity > 0, "a batch needs room for at least one record")
        storedCapacity = capacity
        storedRows = .allocate(capacity: capacity)
        storedTimes = .allocate(capacity: capacity)
    }

    deinit {
        rows.deinitialize(count: count)
        rows.deallocate()
        times.deallocate()
    }

    /// Whether no further record fits.
    @inlinable public var isFull: Bool { count == capacity }
    @inlinable public var isEmpty: Bool { count == 0 }

    /// The timestamp of a record, `Int64.min` when the batch has none.
    @inlinable @inline(__always)
    public func time(at index: Int) -> Int64 { isTimed ? times[index] : .min }

    /// Adds a record; the caller knows that there is room.
    @inlinable @inline(__always)
    public func append(_ element: consuming Element, time: Int64) {
        let index = count
        assert(index < capacity)
        (rows + index).initialize(to: element)
        times[index] = time
        count = index &+ 1
    }

    /// Moves each record out and hands it to `body` with its index. The batch is empty afterwards, also when `body`
    /// throws; timestamps and split stay readable.
    ///
    /// A record that is read where it lies must be copied before foreign code sees it, which costs a reference count
    /// for each string in it; one that is moved out costs none.
    @inlinable @inline(__always)
    public func drain(_ body: (_ index: Int, _ element: Element) throws -> Void) rethrows {
        let (rows, end) = (self.rows, count)
        count = 0
        var index = 0
        defer { if index < end { (rows + index).deinitialize(count: end &- index) } }
        while index < end {
            let element = (rows + index).move()
            index &+= 1
            try body(index &- 1, element)
        }
    }

    /// Destroys the records and forgets the split.
    @inlinable
    public func removeAll() {
        if count > 0 {
            rows.deinitialize(count: count)
            count = 0
        }
        isTimed = false
        split = -1
    }

    /// Makes this batch a copy of another's records, time and split.
    @inlinable
    public func copy(from other: Batch<Element>) {
        precondition(isEmpty && capacity >= other.count)
        rows.initialize(from: other.rows, count: other.count)
        copyHeader(from: other, count: other.count)
    }

    /// Takes over timestamps, split and count: for operators that produce one record for each input record.
    @inlinable
    public func copyHeader(from other: Batch<some Any>, count: Int) {
        if other.isTimed { times.update(from: other.times, count: count) }
        isTimed = other.isTimed
        split = other.split
        self.count = count
    }

    /// Exchanges contents with another batch without touching a record.
    public func swapContents(with other: Batch<Element>) {
        swap(&storedRows, &other.storedRows)
        swap(&storedTimes, &other.storedTimes)
        swap(&storedCapacity, &other.storedCapacity)
        swap(&storedCount, &other.storedCount)
        swap(&storedIsTimed, &other.storedIsTimed)
        swap(&storedSplit, &other.storedSplit)
    }
}

// A batch is handed from task to task whole; at any time one task alone holds it.
extension Batch: @unchecked Sendable where Element: Sendable {}

extension UnsafeMutablePointer {
    /// Hands the value to a function as it lies, without a copy: it is moved out and put back.
    @inlinable @inline(__always)
    public func lend<Result>(_ body: (Pointee) throws -> Result) rethrows -> Result {
        // Decided at compile time: what holds no references is as cheaply copied as moved out and back.
        if _isPOD(Pointee.self) { return try body(pointee) }
        let value = move()
        do {
            let result = try body(value)
            initialize(to: consume value)
            return result
        } catch {
            initialize(to: consume value)
            throw error
        }
    }
}
