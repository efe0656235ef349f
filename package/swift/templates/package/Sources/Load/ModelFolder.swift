import Foundation

/// Where a model's files lie.
public struct ModelFolder: Sendable, Equatable {
    enum Place: Sendable, Equatable {
        case package
        case url(URL)
        case resource(String, in: URL)
    }

    let place: Place

    /// The model that came along with this package.
    public static let package = ModelFolder(place: .package)

    /// A model folder that was downloaded, or copied anywhere else.
    public static func url(_ folder: URL) -> ModelFolder {
        ModelFolder(place: .url(folder))
    }

    /// A model folder among the resources of a bundle, such as the app's.
    public static func resource(_ name: String, in bundle: Foundation.Bundle = .main) -> ModelFolder {
        ModelFolder(place: .resource(name, in: bundle.resourceURL ?? bundle.bundleURL))
    }

    /// The folder, if it has a manifest.
    ///
    /// - Throws: ``LoadError`` `missingFile`, which lists where it was looked for.
    func find(package: String) throws -> URL {
        let folders =
            switch place {
            case .package: ModelFolder.places(of: package)
            case let .url(folder): [folder]
            case let .resource(name, bundle): [bundle.appendingPathComponent(name, isDirectory: true)]
            }
        let found = folders.first { folder in
            FileManager.default.fileExists(atPath: folder.appendingPathComponent(Manifest.name).path)
        }
        guard let found else {
            let looked = folders.map(\.path).joined(separator: ", ")
            let step = place == .package ? "add the package's product to the target" : "copy the model folder there"
            throw LoadError(.missingFile, "no \(Manifest.name) in \(looked); \(step), or pass .url of the model folder")
        }
        return found
    }

    /// Where a package's resources may be. The accessor that SwiftPM generates ends the process where it finds nothing.
    private static func places(of package: String) -> [URL] {
        let own = Foundation.Bundle(for: Anchor.self)
        let main = Foundation.Bundle.main
        let roots = [main.resourceURL, own.resourceURL, own.bundleURL, own.bundleURL.deletingLastPathComponent(), main.bundleURL]
        let bundles = ["\(package)_\(package).bundle", "\(package)_\(package).resources"]
        var found: [URL] = []
        for root in roots.compactMap({ $0?.standardizedFileURL }) {
            for bundle in bundles {
                let resources = root.appendingPathComponent(bundle, isDirectory: true)
                let deep = resources.appendingPathComponent("Contents/Resources", isDirectory: true)
                found += [resources, deep].map { $0.appendingPathComponent("Model", isDirectory: true) }
            }
            found.append(root.appendingPathComponent("Model", isDirectory: true))
        }
        return found.reduce(into: []) { kept, each in if !kept.contains(each) { kept.append(each) } }
    }
}

/// A class of this module, by which its own bundle is found.
private final class Anchor {}
