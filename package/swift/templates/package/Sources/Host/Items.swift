import Foundation

/// The items of one vocabulary: every id that is not set aside. Words are looked up by their code points, exactly.
final class Items: Sendable {
    let name: String
    let spec: VocabularySpec
    /// The ids that stand for no item.
    let aside: Set<Int>
    /// The items by the ids that spell them in another vocabulary; nil for most.
    let spelled: PrefixTrie?
    private let tokens: Lines
    private let titles: Lines?

    /// Suggestions for a word that is no item.
    private static let near = 3
    /// Code points from which on a part of a word tells anything.
    private static let shortestPart = 3
    /// Code points from which on a whole word does.
    private static let shortestWord = 4
    /// Items of which every one is compared letter by letter.
    private static let mostCompared = 20_000
    /// Tokens named for a title that several items have.
    private static let listed = 5

    /// The items of a vocabulary's files, which may be memory-mapped.
    ///
    /// - Throws: ``ModelError`` `badVocabulary` where the files do not fit each other or the contract.
    init(
        name: String, spec: VocabularySpec, index: Data, tokens: Data, titles: Data? = nil, spellings: Data? = nil
    ) throws {
        let index = try VocabularyIndex(name: name, index: index, tokens: tokens, titles: titles)
        guard index.tokens.count == spec.size else {
            throw ModelError(
                .badVocabulary,
                "\(name) has \(index.tokens.count) tokens and its contract \(spec.size); generate the package again")
        }
        self.name = name
        self.spec = spec
        self.tokens = index.tokens
        self.titles = index.titles
        aside = spec.aside
        spelled = try spellings.map { try PrefixTrie(vocabulary: name, lines: $0, aside: spec.aside) }
    }

    /// How many ids there are.
    var count: Int { tokens.count }

    /// The token of an id.
    func token(_ place: Int) throws -> String {
        try tokens.line(place)
    }

    /// The title of an id; its token where there is none.
    func shown(_ place: Int) throws -> String {
        let title = try titles?.line(place) ?? ""
        return title.isEmpty ? try token(place) : title
    }

    /// Whether an id is one of the vocabulary and not set aside.
    func isItem(_ place: Int) -> Bool {
        0 <= place && place < count && !aside.contains(place)
    }

    /// The id of a token, those that are set aside among them; nil where there is none.
    func place(ofToken token: UnsafeRawBufferPointer) throws -> Int? {
        try tokens.places(of: token).last
    }

    /// The id of a token, else of a title; nil where neither is there.
    ///
    /// - Throws: ``CallError`` `ambiguousTitle`, where several items have the title.
    func find(_ word: String) throws -> Int? {
        var word = word
        return try word.withUTF8 { bytes in
            let bytes = UnsafeRawBufferPointer(bytes)
            if let place = try tokens.places(of: bytes).last(where: isItem) { return place }
            let places = try titles?.places(of: bytes).filter(isItem) ?? []
            if places.count > 1 { throw try ambiguous(String(decoding: bytes, as: UTF8.self), places) }
            return places.first
        }
    }

    private func ambiguous(_ word: String, _ places: [Int]) throws -> CallError {
        let listed = try places.prefix(Items.listed).map(token).joined(separator: ", ")
        let more = places.count > Items.listed ? ", …" : ""
        return CallError(
            .ambiguousTitle, "\(quoted(word)) is the title of \(places.count) items: \(listed)\(more); pass a token")
    }

    /// What to throw for a word that is no item, where no id stands for the unknown.
    func refused(_ word: String) throws -> CallError {
        let near = try near(word).map(quoted).joined(separator: " or ")
        let said = near.isEmpty ? "" : "did you mean \(near)? "
        return CallError(
            .unknownItem, "\(quoted(word)) is no item of \(quoted(name)); \(said)pass a token or a title")
    }

    /// Up to three words that this one may have been meant for.
    ///
    /// Those that contain it, in the order of their ids; where there are none, those within two edits, the fewest
    /// edits first.
    func near(_ word: String) throws -> [String] {
        let letters = word.unicodeScalars.map(small)
        if letters.count >= Items.shortestPart {
            let found = try containing(word, most: Items.near)
            if !found.isEmpty { return try found.map(shown) }
        }
        if letters.count < Items.shortestWord || count > Items.mostCompared { return [] }
        var close: [(edits: Int, place: Int)] = []
        for place in 0..<count where isItem(place) {
            let edits = try words(place).map { editDistance(letters, $0.unicodeScalars.map(small)) }.min() ?? .max
            if edits <= mostEdits { close.append((edits, place)) }
        }
        return try close.sorted { $0 < $1 }.prefix(Items.near).map { try shown($0.place) }
    }

    /// The first ids, at most `most`, whose token or title contains a text, the case of ASCII letters ignored.
    func containing(_ text: String, most: Int) throws -> [Int] {
        let given = text.utf8.map(small)
        return try tokens.read { tokens in
            try titles.map { try $0.read { try self.containing(given, most, tokens, $0) } }
                ?? self.containing(given, most, tokens, nil)
        }
    }

    private func containing(_ given: [UInt8], _ most: Int, _ tokens: LineBytes, _ titles: LineBytes?) throws -> [Int] {
        var found: [Int] = []
        for place in 0..<count where isItem(place) {
            if found.count >= most { break }
            let isThere = try contains(tokens.line(place), given) || titles.map { contains(try $0.line(place), given) } == true
            if isThere { found.append(place) }
        }
        return found
    }

    private func words(_ place: Int) throws -> [String] {
        try [tokens.line(place)] + (titles.map { [try $0.line(place)] } ?? [])
    }
}

/// Whether some bytes contain others, whose ASCII letters are small; in UTF-8 that is so where code points do.
private func contains(_ line: UnsafeRawBufferPointer, _ given: [UInt8]) -> Bool {
    if line.count < given.count { return false }
    for start in 0...(line.count - given.count) {
        var length = 0
        while length < given.count, small(line[start + length]) == given[length] { length += 1 }
        if length == given.count { return true }
    }
    return false
}

/// The small letter of an ASCII letter; others stay, as languages differ in their case.
private func small(_ byte: UInt8) -> UInt8 {
    0x41 <= byte && byte <= 0x5a ? byte + 0x20 : byte
}

private func small(_ letter: Unicode.Scalar) -> UInt32 {
    letter.isASCII ? UInt32(small(UInt8(letter.value))) : letter.value
}

/// Edits from which on words are not close.
private let mostEdits = 2

/// Insertions, deletions and substitutions of code points from one word to the other, 3 for more than 2.
///
/// Source: Wagner and Fischer, "The String-to-String Correction Problem", 1974.
func editDistance(_ left: [UInt32], _ right: [UInt32]) -> Int {
    let more = mostEdits + 1
    if abs(left.count - right.count) > mostEdits { return more }
    var row = Array(0...right.count)
    for (place, letter) in left.enumerated() {
        var corner = row[0]
        row[0] = place + 1
        for (other, each) in right.enumerated() {
            let best = min(row[other + 1] + 1, row[other] + 1, corner + (letter == each ? 0 : 1))
            (corner, row[other + 1]) = (row[other + 1], best)
        }
        if row.allSatisfy({ $0 > mostEdits }) { return more }
    }
    return min(row[right.count], more)
}
