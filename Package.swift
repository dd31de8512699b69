// swift-tools-version: 6.1
// Targets are listed bottom-up, one MARK per floor: the manifest is the layering.
import PackageDescription

let house: [SwiftSetting] = [
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("MemberImportVisibility"),
]

func floor(_ name: String, at path: String, on dependencies: [Target.Dependency]) -> Target {
    .target(name: name, dependencies: dependencies, path: "Sources/\(path)", swiftSettings: house)
}

func proof(_ name: String, on dependencies: [Target.Dependency], resources: [Resource]? = nil) -> Target {
    .testTarget(
        name: name, dependencies: dependencies, path: "Tests/\(name)", resources: resources, swiftSettings: house)
}

let package = Package(
    name: "thalweg",
    products: [
        .library(name: "Thalweg", targets: ["Thalweg"]),
        .library(name: "ThalwegSavepoint", targets: ["ThalwegSavepoint", "ThalwegSavepointStreams"]),
        .library(name: "ThalwegFormats", targets: ["ThalwegFormats"]),
        .library(name: "ThalwegTesting", targets: ["ThalwegTesting"]),
        .library(name: "ThalwegSimulation", targets: ["ThalwegSimulation"]),
        .library(name: "ThalwegAllocator", targets: ["ThalwegAllocator"]),
        .library(name: "ThalwegNexmark", targets: ["ThalwegNexmark"]),
        .library(name: "ThalwegPostgres", targets: ["ThalwegPostgres"]),
        .library(name: "ThalwegRocksDB", targets: ["ThalwegRocksDB"]),
        .executable(name: "thalweg", targets: ["thalweg-cli"]),
    ],
    traits: [
        .trait(name: "Postgres", description: "The PostgreSQL connector; needs libpq (Debian: libpq-dev)."),
        .trait(name: "RocksDB", description: "Keyed state in RocksDB; needs librocksdb (Debian: librocksdb-dev)."),
    ],
    dependencies: [
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.0"),
        .package(url: "https://github.com/apple/swift-log", from: "1.16.0"),
        .package(url: "https://github.com/swift-server/swift-service-lifecycle", from: "2.13.0"),
    ],
    targets: [
        // MARK: Foreign
        .target(name: "CThalweg", path: "Sources/C/CThalweg"),
        .target(name: "CSimdjson", path: "Sources/C/CSimdjson", linkerSettings: [.linkedLibrary("simdjson")]),
        .target(name: "CAllocator", path: "Sources/C/CAllocator", linkerSettings: [.linkedLibrary("mimalloc")]),
        .target(name: "CXXHash", path: "Sources/C/CXXHash"),
        .systemLibrary(
            name: "CZstd", path: "Sources/C/CZstd", pkgConfig: "libzstd", providers: [.apt(["libzstd-dev"])]),
        .systemLibrary(name: "CZlib", path: "Sources/C/CZlib", pkgConfig: "zlib", providers: [.apt(["zlib1g-dev"])]),
        .systemLibrary(
            name: "CPostgres", path: "Sources/C/CPostgres", pkgConfig: "libpq", providers: [.apt(["libpq-dev"])]),
        .systemLibrary(
            name: "CRocksDB", path: "Sources/C/CRocksDB", pkgConfig: "rocksdb",
            providers: [.apt(["librocksdb-dev"])]),

        // MARK: Base: ids, time, errors, bytes
        floor("ThalwegBase", at: "Base", on: ["CThalweg"]),

        // MARK: Data: what a record is
        floor("ThalwegData", at: "Data", on: ["ThalwegBase", "CThalweg"]),

        // MARK: Storage: where bytes rest
        floor("ThalwegStorage", at: "Storage", on: ["ThalwegBase", "ThalwegData", "CXXHash", "CZstd"]),

        // MARK: State: what is remembered
        floor("ThalwegState", at: "State", on: ["ThalwegBase", "ThalwegData", "ThalwegStorage", "CThalweg"]),

        // MARK: Savepoint: snapshots that open
        floor("ThalwegSavepoint", at: "Savepoint", on: ["ThalwegBase", "ThalwegData", "ThalwegStorage"]),

        // MARK: Dataflow: what a step is (the waist, the built-in operators, the graph)
        floor(
            "ThalwegOperator", at: "Dataflow/Waist",
            on: ["ThalwegBase", "ThalwegData", "ThalwegStorage", "ThalwegState"]),
        floor(
            "ThalwegOperators", at: "Dataflow/Operators",
            on: ["ThalwegBase", "ThalwegData", "ThalwegStorage", "ThalwegState", "ThalwegOperator", "CThalweg"]),
        floor("ThalwegGraph", at: "Dataflow/Graph", on: ["ThalwegBase", "ThalwegStorage", "ThalwegOperator"]),

        // MARK: Control: who decides (pure values)
        floor("ThalwegControl", at: "Control", on: ["ThalwegBase", "ThalwegStorage"]),

        // MARK: Runtime: how a task runs
        floor(
            "ThalwegRuntime", at: "Runtime",
            on: [
                "ThalwegBase", "ThalwegData", "ThalwegStorage", "ThalwegState", "ThalwegOperator", "ThalwegGraph",
                "ThalwegControl",
            ]),

        // MARK: Connect: where water enters and leaves
        floor(
            "ThalwegFormats", at: "Connect/Formats",
            on: ["ThalwegBase", "ThalwegData", "ThalwegStorage", "CSimdjson", "CZlib"]),
        floor(
            "ThalwegConnectors", at: "Connect/Connectors",
            on: ["ThalwegBase", "ThalwegData", "ThalwegStorage", "ThalwegOperator", "ThalwegFormats"]),
        floor(
            "ThalwegSavepointStreams", at: "Connect/Savepoint",
            on: ["ThalwegBase", "ThalwegData", "ThalwegStorage", "ThalwegOperator", "ThalwegSavepoint"]),
        // Its sources are empty without the trait: a build of the rest needs no libpq.
        floor(
            "ThalwegPostgres", at: "Connect/Postgres",
            on: [
                "ThalwegBase", "ThalwegData", "ThalwegOperator", "ThalwegFormats",
                .target(name: "CPostgres", condition: .when(traits: ["Postgres"])),
            ]),
        // The same.
        floor(
            "ThalwegRocksDB", at: "Connect/RocksDB",
            on: [
                "ThalwegBase", "ThalwegStorage", "ThalwegState",
                .target(name: "CRocksDB", condition: .when(traits: ["RocksDB"])),
            ]),

        // MARK: Front: how a job is written
        floor(
            "Thalweg", at: "Front",
            on: [
                "ThalwegBase", "ThalwegData", "ThalwegStorage", "ThalwegState", "ThalwegOperator", "ThalwegOperators",
                "ThalwegGraph", "ThalwegControl", "ThalwegRuntime", "ThalwegFormats", "ThalwegConnectors",
                .target(name: "ThalwegRocksDB", condition: .when(traits: ["RocksDB"])),
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
                .product(name: "Logging", package: "swift-log"),
                .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
                .product(name: "UnixSignals", package: "swift-service-lifecycle"),
            ]),

        // MARK: Nexmark: the workload every engine is measured by
        floor("ThalwegNexmark", at: "Nexmark", on: ["Thalweg", "ThalwegGraph", "CZlib"]),

        // MARK: Tools and laboratory
        floor("ThalwegAllocator", at: "Tools/Allocator", on: ["CAllocator"]),
        .executableTarget(
            name: "thalweg-cli",
            dependencies: [
                "CThalweg", "Thalweg", "ThalwegAllocator", "ThalwegData", "ThalwegFormats", "ThalwegNexmark",
                "ThalwegSavepoint", "ThalwegSimulation",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
            ], path: "Sources/Tools/thalweg",
            swiftSettings: house),
        floor("ThalwegTesting", at: "Testing", on: ["Thalweg"]),
        floor(
            "ThalwegSimulation", at: "Simulation",
            on: [
                "Thalweg", "ThalwegControl", "ThalwegTesting",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
            ]),

        // MARK: Proofs
        proof("BaseTests", on: ["ThalwegBase"]),
        proof("DataTests", on: ["ThalwegData"]),
        proof("StorageTests", on: ["ThalwegStorage", "ThalwegTesting"], resources: [.copy("Fixtures")]),
        proof("ControlTests", on: ["ThalwegControl"]),
        proof("StateTests", on: ["ThalwegState", "ThalwegTesting"]),
        proof(
            "RuntimeTests",
            on: [
                "Thalweg", "ThalwegTesting", .product(name: "Logging", package: "swift-log"),
                .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
            ]),
        proof("SavepointTests", on: ["Thalweg", "ThalwegSavepoint", "ThalwegSavepointStreams", "ThalwegTesting"]),
        proof("UpgradeTests", on: ["Thalweg", "ThalwegTesting"]),
        proof("ConnectTests", on: ["Thalweg", "ThalwegTesting"]),
        proof("PostgresTests", on: ["Thalweg", "ThalwegTesting", "ThalwegPostgres"]),
        proof("BackendTests", on: ["Thalweg", "ThalwegTesting", "ThalwegRocksDB"]),
        proof("NexmarkTests", on: ["ThalwegNexmark", "ThalwegTesting"], resources: [.copy("Fixtures")]),
        proof("SimulationTests", on: ["ThalwegSimulation"]),
        // Runs the command line tool that the same build makes, with a job that is there for that.
        .executableTarget(name: "tool-job", dependencies: ["Thalweg"], path: "Tests/ToolJob", swiftSettings: house),
        proof("ToolTests", on: ["tool-job"]),
        proof("TidyTests", on: []),
    ],
    swiftLanguageModes: [.v6],
    cxxLanguageStandard: .cxx17
)
