// swift-tools-version: 6.0
import PackageDescription

// The host's sources beside a program that replays what Python has written; the test puts them together.
let strict: [SwiftSetting] = [.unsafeFlags(["-warnings-as-errors"])]
let package = Package(
    name: "Harness",
    targets: [
        .target(name: "Host", swiftSettings: strict),
        .executableTarget(name: "Harness", dependencies: ["Host"], swiftSettings: strict),
    ],
    swiftLanguageModes: [.v6]
)
