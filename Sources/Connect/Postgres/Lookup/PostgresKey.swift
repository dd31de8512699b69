// SPDX-License-Identifier: Apache-2.0
//  What rows of PostgreSQL are looked up by.

#if Postgres
    import Foundation

    /// A key as PostgreSQL writes and reads it: whole numbers, text and UUIDs, or a type of your own.
    ///
    /// A key of several columns gives a text for each:
    ///
    ///     struct Shelf: PostgresKey {
    ///         var shop: Int32
    ///         var number: Int64
    ///         var postgresTexts: [String] { ["\(shop)", "\(number)"] }
    ///         init?(postgresTexts: [String]) { ... }
    ///     }
    ///
    /// The same key must have the same texts, and the other way round: rows come back with the texts of their keys.
    public protocol PostgresKey: Hashable, Sendable {
        /// The key's columns, in the order in which the look-up names them.
        var postgresTexts: [String] { get }
        /// The key with these columns; nil when there is none.
        init?(postgresTexts: [String])
    }

    extension PostgresKey where Self: LosslessStringConvertible {
        public var postgresTexts: [String] { [description] }

        public init?(postgresTexts: [String]) {
            guard postgresTexts.count == 1 else { return nil }
            self.init(postgresTexts[0])
        }
    }

    extension Int: PostgresKey {}
    extension Int16: PostgresKey {}
    extension Int32: PostgresKey {}
    extension Int64: PostgresKey {}
    extension String: PostgresKey {}

    extension UUID: PostgresKey {
        public var postgresTexts: [String] { [uuidString.lowercased()] }

        public init?(postgresTexts: [String]) {
            guard postgresTexts.count == 1 else { return nil }
            self.init(uuidString: postgresTexts[0])
        }
    }
#endif
