import Foundation

@testable import Host

/// The items of a vocabulary whose files the test wrote into a folder, mapped.
func items(_ name: String, _ spec: VocabularySpec, in folder: URL) throws -> Items {
    func file(_ suffix: String) throws -> Data? {
        let url = folder.appendingPathComponent(name + suffix)
        guard FileManager.default.fileExists(atPath: url.path) else { return nil }
        return try Data(contentsOf: url, options: .alwaysMapped)
    }
    return try Items(
        name: name, spec: spec, index: file(".index") ?? Data(), tokens: file(".txt") ?? Data(),
        titles: file(".titles.txt"), spellings: file(".spellings.txt"))
}
