#if !os(Linux)
import CoreML
import Foundation

/// A model that Core ML opens from memory: its program, and its weights under the paths by which the program names them.
@available(iOS 18, macOS 15, tvOS 18, visionOS 2, *)
struct MemoryModel {
    private let program: Data
    private let weights: [URL: Data]

    private static let data = "Data/com.apple.CoreML/"

    /// The files of an artifact, each compared with its digest once more, as these bytes are what runs.
    init(package: String, manifest: Manifest, folder: URL) throws {
        var program: Data?
        var weights: [URL: Data] = [:]
        for name in manifest.files(of: package) {
            guard let range = name.range(of: "\(package)/\(MemoryModel.data)"), range.lowerBound == name.startIndex else { continue }
            let bytes = try Data(contentsOf: folder.appendingPathComponent(name), options: .alwaysMapped)
            var digest = Digest()
            digest.update(bytes)
            guard digest.finish() == manifest.files[name]?.sha256 else {
                throw LoadError(.alteredFile, "\(name) has changed since it was checked; \(Manifest.next)")
            }
            let path = String(name[range.upperBound...])
            if path.hasSuffix(".mlmodel") { program = bytes } else { weights[URL(fileURLWithPath: path)] = bytes }
        }
        guard let program else {
            throw LoadError(.sessionFailed, "\(package) has no program; build the bundle again")
        }
        self.program = program
        self.weights = weights
    }

    /// The model on compute units.
    func load(_ units: ComputeUnits, function: String?) async throws -> HeldModel {
        do {
            let asset = try MLModelAsset(specification: program, blobMapping: weights)
            let configuration = try MLModelConfiguration(units, function: function)
            return try await withCheckedThrowingContinuation { continuation in
                MLModel.load(asset, configuration: configuration) { model, error in
                    if let model {
                        continuation.resume(returning: HeldModel(model: model))
                    } else {
                        continuation.resume(throwing: error ?? LoadError(.sessionFailed, "Core ML gave no model; load it again"))
                    }
                }
            }
        } catch {
            throw LoadError(.sessionFailed, "the model cannot be opened from memory (\(reason(of: error))); load it from files")
        }
    }
}
#endif
