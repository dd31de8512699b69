// swift-tools-version: 6.1
import PackageDescription

let package = Package(
    name: "benchmarks",
    traits: [
        .trait(name: "RocksDB", description: "Keyed state in RocksDB; needs librocksdb (Debian: librocksdb-dev).")
    ],
    dependencies: [
        .package(
            name: "thalweg", path: "..", traits: [.trait(name: "RocksDB", condition: .when(traits: ["RocksDB"]))]),
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.0"),
    ],
    targets: [
        .executableTarget(
            name: "thalweg-bench",
            dependencies: [
                .product(name: "Thalweg", package: "thalweg"),
                .product(name: "ThalwegNexmark", package: "thalweg"),
                .product(name: "ThalwegSavepoint", package: "thalweg"),
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
            ])
    ],
    swiftLanguageModes: [.v6]
)
