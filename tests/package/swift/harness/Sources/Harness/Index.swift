import Foundation

@testable import Host

private struct Given: Decodable {
    let spec: VocabularySpec
    let words: [String]
    let indexes: [String]
}

/// What is found of every word by every index of the folder, or how it is refused.
func lookUp(_ given: Data, _ folder: URL) throws -> Data {
    let given = try JSONDecoder().decode(Given.self, from: given)
    var found: [String: [String]] = [:]
    for name in given.indexes {
        func file(_ path: String) throws -> Data {
            try Data(contentsOf: folder.appendingPathComponent(path), options: .alwaysMapped)
        }
        do {
            let (tokens, titles) = (try file("item.txt"), try file("item.titles.txt"))
            let index = try file(name)
            let items = try Items(name: "item", spec: given.spec, index: index, tokens: tokens, titles: titles)
            var said = given.words.map { word in answer { try items.find(word).map(String.init) ?? "nothing" } }
            said.append(
                answer {
                    try VocabularyIndex(name: "item", index: index, tokens: tokens, titles: titles).check()
                    return "whole"
                })
            said.append(answer { try (0..<items.count).map(items.shown).joined(separator: "|") })
            found[name] = said
        } catch {
            found[name] = [answer { throw error }]
        }
    }
    return try JSONEncoder().encode(found)
}

private func answer(_ body: () throws -> String) -> String {
    do {
        return try body()
    } catch let error as CallError {
        return error.code.rawValue
    } catch let error as ModelError {
        return error.code.rawValue
    } catch {
        return "\(error)"
    }
}
