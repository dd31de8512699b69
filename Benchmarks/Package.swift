// swift-tools-version: 6.1
import PackageDescription

let package = Package(
    name: "benchmarks",
    dependencies: [.package(name: "thalweg", path: "..")],
    targets: [
        .executableTarget(name: "thalweg-bench", dependencies: [.product(name: "Thalweg", package: "thalweg")])
    ],
    swiftLanguageModes: [.v6]
)
