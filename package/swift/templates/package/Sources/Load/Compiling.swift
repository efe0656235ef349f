import CoreML
import Foundation

/// Artifacts as Core ML compiles them, once for each digest of their files.
struct Compiling: Sendable {
    let folder: URL
    let manifest: Manifest
    let store: Store

    /// Where every function is, and which artifacts were compiled just now.
    struct Places: Sendable {
        var functions: [String: FunctionPlace] = [:]
        var compiled: Set<String> = []
    }

    /// Every function's compiled artifact.
    ///
    /// - Parameter again: whether what was kept is compiled anew.
    /// - Throws: ``LoadError`` `sessionFailed` where Core ML refuses one.
    func places(again: Bool) async throws -> Places {
        var places = Places()
        var known: [String: URL] = [:]
        for (name, function) in manifest.functions.sorted(by: { $0.key < $1.key }) {
            if known[function.package] == nil {
                let (url, compiled) = try await place(of: function.package, again: again)
                known[function.package] = url
                if compiled { places.compiled.insert(function.package) }
            }
            places.functions[name] = known[function.package].map { FunctionPlace(url: $0, function: function.function) }
        }
        return places
    }

    func hasCompiled(_ places: Places) -> Bool { !places.compiled.isEmpty }

    private func place(of package: String, again: Bool) async throws -> (URL, compiled: Bool) {
        let source = folder.appendingPathComponent(package)
        if source.pathExtension == "mlmodelc" { return (source, false) }
        let name = source.deletingPathExtension().lastPathComponent
        let place = store.place(of: digest(of: package), name: name)
        if !again, FileManager.default.fileExists(atPath: place.path) {
            store.touch(place)
            return (place, false)
        }
        try Task.checkCancellation()
        do {
            let compiled = try await MLModel.compileModel(at: source)
            return (store.keep(compiled, at: place, replacing: again), true)
        } catch {
            throw LoadError(
                .sessionFailed,
                "Core ML cannot compile \(package) (\(reason(of: error))); build the bundle for this system's version")
        }
    }

    private func digest(of package: String) -> String {
        sha256(of: manifest.files(of: package).map { "\($0) \(manifest.files[$0]?.sha256 ?? "")" }.joined(separator: "\n"))
    }
}
