import Foundation

/// Files of a model folder, each compared with its digest before it is used.
struct Checking {
    let folder: URL
    let manifest: Manifest
    let store: Store
    let onState: OnState

    private static let part = 1 << 20  // bytes that are read at once

    /// Compares every file with its digest; one that was compared before and has not changed since is remembered.
    ///
    /// - Returns: bytes that were read.
    /// - Throws: ``LoadError`` `missingFile` or `alteredFile`, and `CancellationError`.
    func check() throws -> Int {
        let interval = Interval("Check")
        defer { interval.end() }
        var remembered = store.checked()
        var (done, read) = (0, 0)
        let total = manifest.bytes
        for (name, entry) in manifest.files.sorted(by: { $0.key < $1.key }) {
            onState(.checking(file: name, done: done, total: total))
            let seen = try stamp(name, entry)
            if remembered[seen.path] != seen.stamp {
                try compare(name, entry, at: URL(fileURLWithPath: seen.path))
                remembered[seen.path] = seen.stamp
                read += entry.bytes
            }
            done += entry.bytes
        }
        onState(.checking(file: Manifest.name, done: done, total: total))
        if read > 0 { store.remember(remembered) }
        try checkNothingElse()
        return read
    }

    /// A file's path, and what tells whether it has changed: its size, the time of its last change, and the digest.
    private func stamp(_ name: String, _ entry: Manifest.Entry) throws -> (path: String, stamp: String) {
        let root = folder.resolvingSymlinksInPath().path
        let path = folder.appendingPathComponent(name).resolvingSymlinksInPath().path
        guard path.hasPrefix("\(root)/") else {
            throw LoadError(.alteredFile, "\(name) leads out of the model folder; \(Manifest.next)")
        }
        guard let found = try? FileManager.default.attributesOfItem(atPath: path) else {
            throw LoadError(.missingFile, "\(name) is not in \(folder.path); \(Manifest.next)")
        }
        let bytes = (found[.size] as? NSNumber)?.intValue ?? -1
        guard found[.type] as? FileAttributeType == .typeRegular, bytes == entry.bytes else {
            throw altered(name, "has \(bytes) bytes, expected \(entry.bytes)")
        }
        return (path, "\(bytes) \(changes(of: path)) \(entry.sha256)")
    }

    /// When a file was last written, and when anything of it last changed, which no program can set back.
    private func changes(of path: String) -> String {
        var found = stat()
        guard stat(path, &found) == 0 else { return UUID().uuidString }
        #if canImport(Darwin)
        let (written, changed) = (found.st_mtimespec, found.st_ctimespec)
        #else
        let (written, changed) = (found.st_mtim, found.st_ctim)
        #endif
        return "\(written.tv_sec).\(written.tv_nsec) \(changed.tv_sec).\(changed.tv_nsec)"
    }

    private func compare(_ name: String, _ entry: Manifest.Entry, at url: URL) throws {
        guard let file = try? FileHandle(forReadingFrom: url) else {
            throw LoadError(.missingFile, "\(name) cannot be opened; \(Manifest.next)")
        }
        defer { try? file.close() }
        var digest = Digest()
        while let part = try file.read(upToCount: Checking.part), !part.isEmpty {
            try Task.checkCancellation()
            digest.update(part)
        }
        let came = digest.finish()
        guard came == entry.sha256 else {
            throw altered(name, "has sha256 \(came.prefix(12))…, expected \(entry.sha256.prefix(12))…")
        }
    }

    /// Checks that an artifact has no file that the manifest does not list, as Core ML might read it.
    private func checkNothingElse() throws {
        for package in Set(manifest.functions.values.map(\.package)).sorted() {
            let root = folder.appendingPathComponent(package, isDirectory: true)
            for path in FileManager.default.enumerator(atPath: root.path)?.compactMap({ $0 as? String }) ?? [] {
                let hidden = path.split(separator: "/").contains { $0.hasPrefix(".") }
                var isFolder = ObjCBool(false)
                let there = FileManager.default.fileExists(
                    atPath: root.appendingPathComponent(path).path, isDirectory: &isFolder)
                guard hidden || isFolder.boolValue || !there || manifest.files["\(package)/\(path)"] != nil else {
                    throw altered("\(package)/\(path)", "is not listed in manifest.json")
                }
            }
        }
    }

    private func altered(_ name: String, _ what: String) -> LoadError {
        LoadError(.alteredFile, "\(name) \(what); \(Manifest.next)")
    }
}
