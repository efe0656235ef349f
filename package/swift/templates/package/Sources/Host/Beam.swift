import Foundation

// Beam search over semantic ids: items that the model spells, id by id, as far as the catalogue has them.
//
//     step(prefixes) ─▶ log-probabilities ─▶ what the trie allows ─▶ the best beams ─▶ items
//
// Source: Rajput et al., "Recommender Systems with Generative Retrieval", 2023.

/// A catalogue by the tokens that its items begin with: the items in the order of their tokens, so that those that begin
/// alike are neighbours.
struct PrefixTrie: Sendable {
    /// One item: its place in the catalogue and its tokens.
    struct Item: Sendable {
        let place: Int
        let tokens: [Int]
    }

    /// Tokens of an item.
    let length: Int
    /// The largest token of any item.
    let largest: Int
    /// In the order of their tokens.
    private let items: [Item]
    private let tokens: [Int: [Int]]

    /// The catalogue of items that are spelled in rows of tokens, all of one length.
    ///
    /// - Throws: ``ModelError`` `badVocabulary` where there is no token, one is negative, two items are equal, or lengths
    ///   differ.
    init(_ items: [Item]) throws {
        length = items.first?.tokens.count ?? 0
        largest = items.lazy.flatMap(\.tokens).max() ?? 0
        self.items = items.sorted { $0.tokens.lexicographicallyPrecedes($1.tokens) }
        tokens = Dictionary(items.map { ($0.place, $0.tokens) }) { first, _ in first }
        for each in items {
            guard each.tokens.count == length, length > 0, each.tokens.allSatisfy(PrefixTrie.isToken) else {
                throw PrefixTrie.misspelt("item \(each.place) is spelled \(each.tokens); expected \(length) ids from 0")
            }
        }
        for (left, right) in zip(self.items, self.items.dropFirst()) where left.tokens == right.tokens {
            throw PrefixTrie.misspelt("items \(left.place) and \(right.place) are spelled alike")
        }
    }

    /// The catalogue of a vocabulary's spellings: a line an item, with ids between blanks.
    init(vocabulary: String, lines: Data, aside: Set<Int>) throws {
        var lines = lines.split(separator: 0x0a, omittingEmptySubsequences: false)
        if lines.last?.isEmpty == true { lines.removeLast() }
        let items = try lines.enumerated().filter { !aside.contains($0.offset) }.map { place, line in
            let ids = line.split(separator: 0x20).map { Int(String(decoding: $0, as: UTF8.self)) }
            guard ids.allSatisfy({ $0 != nil }) else {
                throw PrefixTrie.misspelt("line \(place) of \(vocabulary)'s spellings holds no ids")
            }
            return Item(place: place, tokens: ids.compactMap { $0 })
        }
        try self.init(items)
    }

    private init(_ items: [Item], of whole: PrefixTrie) {
        self.items = items
        length = whole.length
        largest = whole.largest
        tokens = whole.tokens
    }

    /// Whether a model can be given a token.
    private static func isToken(_ token: Int) -> Bool {
        0 <= token && Int32(exactly: token) != nil
    }

    private static func misspelt(_ what: String) -> ModelError {
        ModelError(.badVocabulary, "\(what); generate the package again")
    }

    /// How many items there are.
    var count: Int { items.count }

    /// The tokens of the item at a place of the catalogue.
    func spelling(of place: Int) -> [Int] {
        tokens[place] ?? []
    }

    /// The catalogue without some places.
    func without(_ places: Set<Int>) -> PrefixTrie {
        PrefixTrie(items.filter { !places.contains($0.place) }, of: self)
    }

    /// The place of an item in the order of tokens.
    func place(at index: Int) -> Int {
        items[index].place
    }

    /// The tokens that may follow for items in `range`, which begin alike for `depth` tokens, ascending.
    func next(in range: Range<Int>, depth: Int) -> [(token: Int, range: Range<Int>)] {
        var found: [(Int, Range<Int>)] = []
        var start = range.lowerBound
        while start < range.upperBound {
            let token = items[start].tokens[depth]
            var (low, high) = (start + 1, range.upperBound)
            while low < high {
                let middle = low + (high - low) / 2
                if items[middle].tokens[depth] == token { low = middle + 1 } else { high = middle }
            }
            found.append((token, start..<low))
            start = low
        }
        return found
    }
}

/// What a search found: the item's place in the catalogue, and the natural logarithm of its probability.
struct Generated: Sendable, Equatable {
    let item: Int
    let score: Float
}

/// One prefix, and the items that begin with it.
private struct Beam {
    let prefix: [Int]
    let items: Range<Int>
    let score: Double
}

/// At most `width` items, best first, each the end of a beam that survived every step.
///
/// Probabilities are those of the model over its whole vocabulary. They are added in float64 and compared in float32,
/// since the last bit of a logarithm differs from language to language. Of equal scores the earlier beam wins, then the
/// smaller token.
///
/// - Parameters:
///   - trie: the catalogue.
///   - start: the token that every prefix begins with; no item holds it.
///   - width: how many prefixes live on after each step, one at least.
///   - step: prefixes, the start token among them, to a row of logits for each.
/// - Throws: ``CallError`` `badScore` for logits that are no numbers, ``ModelError`` `badOutput` for too few,
///   `CancellationError` between two steps.
func beamSearch(
    _ trie: PrefixTrie, start: Int = 0, width: Int = 10, step: ([[Int]]) async throws -> [[Double]]
) async throws -> [Generated] {
    var beams = [Beam(prefix: [start], items: 0..<trie.count, score: 0)]
    for depth in 0..<trie.length {
        try Task.checkCancellation()
        let rows = try await step(beams.map(\.prefix))
        beams = Array(try extended(beams, rows, trie, depth: depth).prefix(max(1, width)))
    }
    try Task.checkCancellation()
    return beams.map { Generated(item: trie.place(at: $0.items.lowerBound), score: Float($0.score)) }
}

/// All prefixes that are one token longer, best first.
private func extended(_ beams: [Beam], _ rows: [[Double]], _ trie: PrefixTrie, depth: Int) throws -> [Beam] {
    guard rows.count == beams.count else {
        throw ModelError(.badOutput, "\(rows.count) rows of logits for \(beams.count) prefixes; build the model again")
    }
    var found: [Beam] = []
    for (beam, row) in zip(beams, rows) {
        let logs = try logProbabilities(row, largest: trie.largest)
        for (token, items) in trie.next(in: beam.items, depth: depth) {
            found.append(Beam(prefix: beam.prefix + [token], items: items, score: beam.score + logs[token]))
        }
    }
    let order = found.indices.map { Placed(place: $0, score: Double(Float(found[$0].score))) }
    return order.sorted { $0.precedes($1) }.map { found[$0.place] }
}

private func logProbabilities(_ row: [Double], largest: Int) throws -> [Double] {
    guard row.count > largest else {
        throw ModelError(.badOutput, "\(row.count) logits; expected more than \(largest); build the model again")
    }
    let highest = row.contains(where: \.isNaN) ? .nan : row.max() ?? .nan
    guard highest.isFinite else {
        throw CallError(.badScore, "the model's logits are NaN or infinite in a whole row; check its masks")
    }
    let log = Foundation.log(row.reduce(0) { $0 + exp($1 - highest) })
    return row.map { $0 - highest - log }
}
