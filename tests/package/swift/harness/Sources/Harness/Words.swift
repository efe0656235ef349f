import Foundation

@testable import Host

private struct Given: Decodable {
    let spec: VocabularySpec
    let texts: [Text]
    let searches: [Search]

    struct Text: Decodable {
        let text: String
        let tokenizer: Tokenizer
        let most: Int
    }

    struct Search: Decodable {
        let catalogue: [[Int]]
        let logits: [String: [Double]]
        let beamWidth: Int
    }
}

private struct Answers: Encodable {
    struct One: Encodable {
        let item: Int
        let score: Float
    }

    var cut: [[Int]] = []
    var found: [[One]] = []
    var aborted = ""
    var steps = 0
    var refused: [String: String] = [:]
}

/// Texts cut, and items found.
func answerWords(_ given: Data, _ folder: URL) async throws -> Data {
    let given = try JSONDecoder().decode(Given.self, from: given)
    let vocabulary = try items("word", given.spec, in: folder)
    var answers = Answers()
    answers.cut = try given.texts.map { try WordPiece.tokenize($0.text, $0.tokenizer, vocabulary, $0.most) }
    for each in given.searches {
        let found = try await beamSearch(trie(each.catalogue), width: each.beamWidth) { prefixes in
            prefixes.map { each.logits[$0.dropFirst().map(String.init).joined(separator: ",")] ?? [] }
        }
        answers.found.append(found.map { Answers.One(item: $0.item, score: $0.score) })
    }
    (answers.aborted, answers.steps) = await cancelled()
    for (name, row) in ["nan": [Double](repeating: .nan, count: 9), "short": [0]] {
        answers.refused[name] = try await refusal { _ = try await beamSearch(trie([[1, 2]])) { $0.map { _ in row } } }
    }
    for (name, catalogue) in ["uneven": [[1, 2], [1]], "twice": [[1, 2], [1, 2]], "negative": [[-1]]] {
        answers.refused[name] = try await refusal { _ = try trie(catalogue) }
    }
    return try JSONEncoder().encode(answers)
}

private func trie(_ catalogue: [[Int]]) throws -> PrefixTrie {
    try PrefixTrie(catalogue.enumerated().map { PrefixTrie.Item(place: $0, tokens: $1) })
}

private func refusal(_ body: () async throws -> Void) async throws -> String {
    do {
        try await body()
        return ""
    } catch let error as CallError {
        return error.code.rawValue
    } catch let error as ModelError {
        return error.code.rawValue
    }
}

/// How a search ends whose task is cancelled in its first step, and how many steps it made.
private func cancelled() async -> (String, Int) {
    let search = Task {
        var steps = 0
        do {
            _ = try await beamSearch(trie([[1, 2]])) { prefixes in
                steps += 1
                withUnsafeCurrentTask { $0?.cancel() }
                return prefixes.map { _ in [Double](repeating: 0, count: 9) }
            }
            return ("", steps)
        } catch {
            return (String(describing: type(of: error)), steps)
        }
    }
    return await search.value
}
