// swift-tools-version: 5.9
import PackageDescription

// On Apple's systems the framework itself is imported; no package there depends on this one.
let package = Package(
    name: "CoreMLLinux",
    products: [.library(name: "CoreML", targets: ["CoreML"])],
    targets: [
        .target(name: "CoreML"),
        .testTarget(name: "CoreMLTests", dependencies: ["CoreML"]),
    ]
)
