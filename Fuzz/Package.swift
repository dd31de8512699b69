// swift-tools-version: 6.1
// Targets for libFuzzer: they are built with its sanitizer only, see README.md.
import PackageDescription

let package = Package(
    name: "fuzz",
    dependencies: [.package(name: "thalweg", path: "..")],
    targets: [
        .executableTarget(
            name: "thalweg-fuzz",
            dependencies: [
                .product(name: "ThalwegFormats", package: "thalweg"),
                .product(name: "ThalwegSavepoint", package: "thalweg"),
            ])
    ],
    swiftLanguageModes: [.v6]
)
