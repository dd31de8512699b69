// SPDX-License-Identifier: Apache-2.0
//  Rules about who may import whom: the floors and the doors between them.

extension Rule {
    /// A module of the engine, the folder it lives in, and the modules of the engine it may import.
    struct Room: Sendable {
        let module: String
        let folder: String
        let mayImport: Set<String>
    }

    private static let floors = ["ThalwegBase", "ThalwegData", "ThalwegStorage", "ThalwegState", "ThalwegOperator"]
    private static let engine = Set(
        floors + [
            "ThalwegOperators", "ThalwegGraph", "ThalwegControl", "ThalwegRuntime", "ThalwegFormats",
            "ThalwegConnectors",
        ])

    /// Bottom-up, as in the manifest. Operators, Graph and Runtime stand on the waist; Operators and Runtime never meet.
    static let rooms: [Room] = [
        Room(module: "ThalwegBase", folder: "Sources/Base", mayImport: []),
        Room(module: "ThalwegData", folder: "Sources/Data", mayImport: Set(floors.prefix(1))),
        Room(module: "ThalwegStorage", folder: "Sources/Storage", mayImport: Set(floors.prefix(2))),
        Room(module: "ThalwegState", folder: "Sources/State", mayImport: Set(floors.prefix(3))),
        Room(module: "ThalwegSavepoint", folder: "Sources/Savepoint", mayImport: Set(floors.prefix(3))),
        Room(module: "ThalwegOperator", folder: "Sources/Dataflow/Waist", mayImport: Set(floors.prefix(4))),
        Room(module: "ThalwegOperators", folder: "Sources/Dataflow/Operators", mayImport: Set(floors)),
        Room(module: "ThalwegGraph", folder: "Sources/Dataflow/Graph", mayImport: Set(floors)),
        Room(module: "ThalwegControl", folder: "Sources/Control", mayImport: ["ThalwegBase", "ThalwegStorage"]),
        Room(
            module: "ThalwegRuntime", folder: "Sources/Runtime",
            mayImport: Set(floors + ["ThalwegGraph", "ThalwegControl"])),
        Room(module: "ThalwegFormats", folder: "Sources/Connect/Formats", mayImport: Set(floors.prefix(3))),
        Room(
            module: "ThalwegConnectors", folder: "Sources/Connect/Connectors",
            mayImport: ["ThalwegBase", "ThalwegData", "ThalwegStorage", "ThalwegOperator", "ThalwegFormats"]),
        Room(
            module: "ThalwegSavepointStreams", folder: "Sources/Connect/Savepoint",
            mayImport: ["ThalwegBase", "ThalwegData", "ThalwegStorage", "ThalwegOperator", "ThalwegSavepoint"]),
        Room(
            module: "ThalwegPostgres", folder: "Sources/Connect/Postgres",
            mayImport: ["ThalwegBase", "ThalwegData", "ThalwegOperator", "ThalwegFormats"]),
        Room(
            module: "ThalwegRocksDB", folder: "Sources/Connect/RocksDB",
            mayImport: ["ThalwegBase", "ThalwegStorage", "ThalwegState"]),
        Room(module: "Thalweg", folder: "Sources/Front", mayImport: engine.union(["ThalwegRocksDB"])),
        Room(module: "ThalwegNexmark", folder: "Sources/Nexmark", mayImport: engine.union(["Thalweg"])),
        Room(
            module: "the tools", folder: "Sources/Tools",
            mayImport: engine.union([
                "Thalweg", "ThalwegAllocator", "ThalwegNexmark", "ThalwegSavepoint", "ThalwegTesting",
                "ThalwegSimulation",
            ])),
        Room(module: "ThalwegTesting", folder: "Sources/Testing", mayImport: engine.union(["Thalweg"])),
        Room(
            module: "ThalwegSimulation", folder: "Sources/Simulation",
            mayImport: engine.union(["Thalweg", "ThalwegTesting"])),
    ]

    static let importDirection = Rule(name: "import direction") { tree in
        tree.sources.flatMap { file -> [Finding] in
            guard let room = rooms.first(where: { file.isBelow($0.folder) }) else {
                return [Finding(path: file.path, line: 0, message: "no room of the house: add its folder to the table")]
            }
            let foreign = imports(of: file).filter { isEngine($0.module) && !room.mayImport.contains($0.module) }
            return foreign.filter { $0.module != room.module }.map {
                Finding(
                    path: file.path, line: $0.line, subject: $0.module,
                    message: "\(room.module) must not import \($0.module)")
            }
        }
    }

    static let foreignImporters = Rule(name: "foreign importers") { tree in
        let owners = [
            (modules: ["CSimdjson", "CZlib"], folder: "Sources/Connect/Formats", importer: "ThalwegFormats"),
            (modules: ["CPostgres"], folder: "Sources/Connect/Postgres", importer: "ThalwegPostgres"),
            (modules: ["CRocksDB"], folder: "Sources/Connect/RocksDB", importer: "ThalwegRocksDB"),
        ]
        return owners.flatMap { owner in
            tree.files.filter { $0.isSwift && !$0.isBelow(owner.folder) }.flatMap { file in
                imports(of: file).filter { owner.modules.contains($0.module) }.map {
                    Finding(
                        path: file.path, line: $0.line, subject: $0.module,
                        message: "\($0.module) has one importer, \(owner.importer)")
                }
            }
        }
    }

    static let testingImporters = Rule(name: "testing importers") { tree in
        tree.files.filter { file in
            let folders = ["Tests", "Sources/Tools", "Sources/Simulation", "Examples/Sources/Snippets"]
            let mayTest = file.path.contains("/Tests/") || folders.contains(where: file.isBelow)
            return file.isSwift && !mayTest
        }.flatMap { file in
            imports(of: file).filter { $0.module == "ThalwegTesting" }.map {
                Finding(
                    path: file.path, line: $0.line, subject: $0.module,
                    message: "only tests, tools and the simulation import ThalwegTesting")
            }
        }
    }

    static let foundation = Rule(name: "foundation") { tree in
        let mayUse = ["Sources/Connect", "Sources/Front", "Sources/Tools", "Sources/Nexmark", "Sources/Testing"]
        return tree.sources.filter { file in !mayUse.contains(where: file.isBelow) }.flatMap { file in
            imports(of: file).filter { $0.module.hasPrefix("Foundation") }.map {
                Finding(
                    path: file.path, line: $0.line, subject: $0.module,
                    message: "\($0.module) stays above the engine: use the standard library or ThalwegBase")
            }
        }
    }

    private static func isEngine(_ module: String) -> Bool {
        module.hasPrefix("Thalweg")
    }

    private static let importKinds: Set<String> = [
        "struct", "class", "enum", "actor", "protocol", "typealias", "func", "var", "let",
    ]

    /// The modules a file imports, with their lines.
    static func imports(of file: SourceFile) -> [(module: String, line: Int)] {
        file.tokens.indices.compactMap { index in
            guard file.tokens[index].text == "import" else { return nil }
            let name = file.tokens[(index + 1)...].first { !importKinds.contains($0.text) }
            return name.map { ($0.text, $0.line + 1) }
        }
    }
}
