// swift-tools-version: 6.1
// Jobs to read, run and copy from: one folder, one executable each.
import PackageDescription

let thalweg: Target.Dependency = .product(name: "Thalweg", package: "thalweg")

let postgres: Target.Dependency = .product(name: "ThalwegPostgres", package: "thalweg")

let simulation: Target.Dependency = .product(name: "ThalwegSimulation", package: "thalweg")

let package = Package(
    name: "thalweg-examples",
    traits: [.trait(name: "Postgres", description: "The examples with PostgreSQL; need libpq (Debian: libpq-dev).")],
    dependencies: [
        .package(
            name: "thalweg", path: "..", traits: [.trait(name: "Postgres", condition: .when(traits: ["Postgres"]))]),
        .package(url: "https://github.com/apple/swift-log", from: "1.16.0"),
        .package(url: "https://github.com/swift-server/swift-service-lifecycle", from: "2.13.0"),
    ],
    targets: [
        .executableTarget(name: "first-job", dependencies: [thalweg]),
        .executableTarget(name: "hot-items", dependencies: [thalweg]),
        .executableTarget(name: "hourly-delays", dependencies: [thalweg]),
        .executableTarget(name: "sessions", dependencies: [thalweg]),
        .executableTarget(name: "dead-letters", dependencies: [thalweg]),
        .executableTarget(name: "enrich", dependencies: [thalweg]),
        .executableTarget(name: "enrich-table", dependencies: [thalweg, postgres]),
        .executableTarget(name: "pricing", dependencies: [thalweg]),
        .executableTarget(name: "under-faults", dependencies: [thalweg, simulation]),
        .executableTarget(
            name: "embedded",
            dependencies: [
                thalweg,
                .product(name: "Logging", package: "swift-log"),
                .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
            ]),
        // The code of the documentation, so that it compiles.
        .target(
            name: "Snippets",
            dependencies: [
                thalweg, postgres, .product(name: "ThalwegSavepoint", package: "thalweg"),
                .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
            ]),
        .testTarget(
            name: "ExamplesTests",
            dependencies: [
                "first-job", "hot-items", "hourly-delays", "sessions", "dead-letters", "enrich", "pricing", "embedded",
                "under-faults", "Snippets", thalweg, simulation,
                .product(name: "ThalwegTesting", package: "thalweg"),
                .product(name: "Logging", package: "swift-log"),
                .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
            ],
            resources: [.copy("Fixtures")]),
    ],
    swiftLanguageModes: [.v6]
)
