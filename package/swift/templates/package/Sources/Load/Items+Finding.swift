import Foundation

/// An item, as an app shows it.
public struct Item<ID: ItemIdentifier>: Hashable, Sendable, Identifiable {
    /// Its place in the vocabulary.
    public let id: ID

    /// Its stable key.
    public let token: String

    /// What people read; the token where the vocabulary has no title for it.
    public let title: String
}

extension Loaded {
    /// The item of a token or a title; nil where there is none.
    ///
    /// - Throws: ``CallError`` `ambiguousTitle`, and ``LoadError``.
    func item<ID: ItemIdentifier>(_ word: String, in vocabulary: String) throws -> Item<ID>? {
        let found: [Item<ID>] = try found(in: vocabulary) { try $0.find(word).map { [$0] } ?? [] }
        return found.first
    }

    /// Items that a text may be the beginning of, the best matches first, then in the order of their ids.
    func suggest<ID: ItemIdentifier>(_ text: String, limit: Int, in vocabulary: String) throws -> [Item<ID>] {
        try found(in: vocabulary) { try $0.beginning(with: text, limit: limit) }
    }

    private func found<ID: ItemIdentifier>(
        in vocabulary: String, _ find: (Items) throws -> [Int]
    ) throws -> [Item<ID>] {
        do {
            guard let items = vocabularies[vocabulary] else {
                throw LoadError(.badContract, "there is no vocabulary \(vocabulary); generate the package again")
            }
            return try find(items).map {
                Item(id: ID(rawValue: $0), token: try items.token($0), title: try items.shown($0))
            }
        } catch {
            throw failure(of: error)
        }
    }
}

extension Items {
    /// The ids whose title or token begins with a text, then those in which a word does, then those that hold it.
    func beginning(with text: String, limit: Int) throws -> [Int] {
        let given = plain(text).trimmingCharacters(in: .whitespacesAndNewlines)
        if given.isEmpty || limit < 1 { return [] }
        var ranked: [[Int]] = [[], [], []]
        for place in 0..<count where isItem(place) {
            let rank = min(rank(of: plain(try shown(place)), given), rank(of: plain(try token(place)), given))
            if rank < ranked.count { ranked[rank].append(place) }
            if ranked[0].count >= limit { break }
        }
        return Array(ranked.joined().prefix(limit))
    }

    private func rank(of word: String, _ given: String) -> Int {
        guard let range = word.range(of: given, options: .literal) else { return 3 }
        if range.lowerBound == word.startIndex { return 0 }
        let before = word[word.index(before: range.lowerBound)]
        return (before.isLetter || before.isNumber) && !word.contains(" \(given)") ? 2 : 1
    }
}

/// A text without case and accents, whatever the user's language.
private func plain(_ text: String) -> String {
    text.folding(options: [.caseInsensitive, .diacriticInsensitive, .widthInsensitive], locale: nil)
}
