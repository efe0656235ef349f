import Foundation

/// What is kept between starts of an app, in its caches: compiled models, and which files were compared with their digests.
///
/// All of it can be deleted at any time; nothing here is needed to load a model, only to load it quickly.
struct Store: Sendable {
    let folder: URL

    private static let kept: TimeInterval = 30 * 24 * 3600  // seconds that a compiled model stays after its last use
    private static let list = "checked.json"

    /// A store in a folder, which need not be there.
    init(folder: URL) {
        self.folder = folder
    }

    /// The store of a package.
    init(package: String) {
        let caches = FileManager.default.urls(for: .cachesDirectory, in: .userDomainMask).first
        let root = caches ?? FileManager.default.temporaryDirectory
        self.init(folder: root.appendingPathComponent("pocketrec/\(package)", isDirectory: true))
    }

    /// What was remembered of files: a path to its size, time of change and digest.
    func checked() -> [String: String] {
        let data = try? Data(contentsOf: folder.appendingPathComponent(Store.list))
        return data.flatMap { try? JSONDecoder().decode([String: String].self, from: $0) } ?? [:]
    }

    /// Remembers files that are still there; a store that cannot be written remembers nothing.
    func remember(_ files: [String: String]) {
        let there = files.filter { FileManager.default.fileExists(atPath: $0.key) }
        guard let data = try? JSONEncoder().encode(there) else { return }
        try? FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        try? data.write(to: folder.appendingPathComponent(Store.list), options: .atomic)
    }

    /// Where a model that was compiled from some files is kept, on this version of the system.
    func place(of digest: String, name: String) -> URL {
        let system = sha256(of: "\(digest) \(ProcessInfo.processInfo.operatingSystemVersionString)")
        return folder.appendingPathComponent(system, isDirectory: true).appendingPathComponent("\(name).mlmodelc")
    }

    /// Moves a compiled model to its place, and forgets those that were not used for long.
    ///
    /// From another volume it comes as a copy: it is whole before it gets its name, by which another process may open it.
    ///
    /// - Parameter replacing: whether what is there is damaged; else it is another process's, and stays.
    /// - Returns: where it is: at the place, or where it was compiled if nothing can be kept.
    func keep(_ compiled: URL, at place: URL, replacing: Bool) -> URL {
        let files = FileManager.default
        let whole = folder.appendingPathComponent(UUID().uuidString, isDirectory: true)
        do {
            try files.createDirectory(at: place.deletingLastPathComponent(), withIntermediateDirectories: true)
            try files.moveItem(at: compiled, to: whole)
        } catch {
            try? files.removeItem(at: whole)
            return compiled
        }
        if replacing { try? files.removeItem(at: place) }
        do {
            try files.moveItem(at: whole, to: place)
        } catch {
            guard !replacing, files.fileExists(atPath: place.path) else { return whole }
            try? files.removeItem(at: whole)
            return place
        }
        forgetOld(but: place.deletingLastPathComponent())
        return place
    }

    /// Says that a compiled model was used now.
    func touch(_ place: URL) {
        let path = place.deletingLastPathComponent().path
        try? FileManager.default.setAttributes([.modificationDate: Date()], ofItemAtPath: path)
    }

    private func forgetOld(but current: URL) {
        let keys: [URLResourceKey] = [.contentModificationDateKey]
        let found = try? FileManager.default.contentsOfDirectory(at: folder, includingPropertiesForKeys: keys)
        for each in found ?? [] where each.hasDirectoryPath && each.lastPathComponent != current.lastPathComponent {
            let used = try? each.resourceValues(forKeys: Set(keys)).contentModificationDate
            if let used, Date().timeIntervalSince(used) > Store.kept { try? FileManager.default.removeItem(at: each) }
        }
    }
}
