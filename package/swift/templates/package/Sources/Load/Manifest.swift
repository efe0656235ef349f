import Foundation

/// The manifest of a model folder, read as if it came from a stranger.
struct Manifest: Sendable {
    struct Entry: Decodable, Sendable {
        let sha256: String
        let bytes: Int
    }

    struct Function: Decodable, Sendable {
        /// The `.mlpackage` or `.mlmodelc`.
        let package: String
        /// Its function in there, where there are several.
        let function: String?
    }

    struct Vocabulary: Decodable, Sendable {
        let tokens: String
        let titles: String?
        let spellings: String?
        let index: String
    }

    static let name = "manifest.json"
    private static let longest = 16_000_000

    let functions: [String: Function]
    let vocabularies: [String: Vocabulary]
    let files: [String: Entry]

    /// Bytes of all files together.
    var bytes: Int { files.values.reduce(0) { $0 + $1.bytes } }

    /// The files of an artifact in their order.
    func files(of package: String) -> [String] {
        files.keys.filter { $0 == package || $0.hasPrefix("\(package)/") }.sorted()
    }

    /// The manifest of a folder, if it is whole, stays in its folder, and is of this contract.
    ///
    /// - Throws: ``LoadError`` `missingFile`, `badManifest` or `otherContract`.
    init(folder: URL, contract: Contract, spec: ModelSpec) throws {
        let url = folder.appendingPathComponent(Manifest.name)
        guard let data = try? Data(contentsOf: url), data.count <= Manifest.longest else {
            throw LoadError(.missingFile, "\(url.path) cannot be read; \(Manifest.next)")
        }
        try self.init(data, contract: contract, spec: spec)
    }

    init(_ data: Data, contract: Contract, spec: ModelSpec) throws {
        let table: Table
        do {
            table = try JSONDecoder().decode(Table.self, from: data)
        } catch {
            throw Manifest.bad("is not as it should be (\(reason(of: error)))")
        }
        guard table.schema == 1 else { throw Manifest.bad("has schema \(table.schema); expected 1") }
        guard table.contractSha256 == spec.sha256 else {
            throw otherContract("manifest.json", table.contractSha256, spec.sha256)
        }
        functions = table.functions
        vocabularies = table.vocabularies
        files = table.files
        try checkFiles()
        try checkFunctions(contract)
        try checkVocabularies(contract, spec.indexes)
    }

    private struct Table: Decodable {
        let schema: Int
        let contractSha256: String
        let functions: [String: Function]
        let vocabularies: [String: Vocabulary]
        let files: [String: Entry]

        private enum CodingKeys: String, CodingKey {
            case schema, functions, vocabularies, files
            case contractSha256 = "contract_sha256"
        }
    }

    private func checkFiles() throws {
        for (path, entry) in files.sorted(by: { $0.key < $1.key }) {
            guard isPlain(path) else {
                throw Manifest.bad("lists \(quoted(path)), which is no plain path inside of the model folder")
            }
            guard isDigest(entry.sha256) else { throw Manifest.bad("has no sha256 for \(path)") }
            guard (0..<1 << 40).contains(entry.bytes) else { throw Manifest.bad("has no size for \(path)") }
        }
    }

    private func checkFunctions(_ contract: Contract) throws {
        if let other = functions.keys.sorted().first(where: { contract.functions[$0] == nil }) {
            throw Manifest.bad("has functions.\(other), which the contract has not")
        }
        for name in contract.functions.keys.sorted() {
            guard let function = functions[name] else { throw Manifest.bad("lacks functions.\(name)") }
            guard isPlain(function.package), !files(of: function.package).isEmpty else {
                throw Manifest.bad("names \(quoted(function.package)), which is not among its files")
            }
        }
    }

    /// Checks that vocabularies are those of the contract, which the package itself holds, and so are their indexes.
    private func checkVocabularies(_ contract: Contract, _ indexes: [String: String]) throws {
        for (name, spec) in contract.vocabularies.sorted(by: { $0.key < $1.key }) {
            guard let found = vocabularies[name] else { throw Manifest.bad("lacks vocabularies.\(name)") }
            let expected: [(String?, String?)] = [
                (found.tokens, spec.sha256), (found.titles, spec.titlesSha256), (found.spellings, spec.spellingsSha256),
                (found.index, indexes[name] ?? "none"),
            ]
            for (file, digest) in expected where file.flatMap({ files[$0]?.sha256 }) ?? "" != digest ?? "" {
                throw Manifest.bad(
                    "lists \(file.map(quoted) ?? "no file") for vocabulary \(name), which is not the one of the contract")
            }
        }
    }

    static let next = "copy the package's model folder again"

    static func bad(_ what: String) -> LoadError {
        LoadError(.badManifest, "manifest.json \(what); \(next)")
    }
}

/// What to throw for a model of another contract than the package's.
func otherContract(_ what: String, _ came: String, _ expected: String) -> LoadError {
    LoadError(
        .otherContract,
        "\(what) is of a model with another contract (\(came.prefix(12))…, expected \(expected.prefix(12))…); generate "
            + "the package again from the model's bundle, or use the model that came with this package")
}

/// Whether a path has letters of one kind only and stays in its folder: no scheme, no escape, no step up.
func isPlain(_ path: String) -> Bool {
    let letters = path.unicodeScalars.allSatisfy { each in
        ("a"..."z").contains(each) || ("A"..."Z").contains(each) || ("0"..."9").contains(each)
            || "_./ -".unicodeScalars.contains(each)
    }
    let parts = path.split(separator: "/", omittingEmptySubsequences: false)
    return letters && parts.allSatisfy { !$0.isEmpty && $0 != "." && $0 != ".." }
}

private func isDigest(_ text: String) -> Bool {
    text.utf8.count == 64 && text.utf8.allSatisfy { (0x30...0x39).contains($0) || (0x61...0x66).contains($0) }
}
