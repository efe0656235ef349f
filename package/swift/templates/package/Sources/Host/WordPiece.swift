/// Text as the tokens of a BERT vocabulary: words and punctuation, then the longest pieces that are there.
///
///     text ─▶ special tokens apart ─▶ cleaned, small, without accents ─▶ words ─▶ pieces ─▶ start … end
///
/// The same as Hugging Face's tokenizers, code point by code point, by tables instead of the system's Unicode version.
/// Source: Devlin et al., "BERT", 2019; Wu et al., "Google's Neural Machine Translation System", 2016, 4.1.
struct WordPiece {
    let tokenizer: Tokenizer
    let vocabulary: Items

    private static let continues = Array("##".utf8)

    /// The ids of a text between the start and the end token, at most `most` of them: the text's end is cut.
    ///
    /// A special token that stands in the text as it is written in the vocabulary is that token. A word of more
    /// characters than the tokenizer allows, or with a piece that the vocabulary lacks, is the unknown token.
    @Sendable
    static func tokenize(_ text: String, _ tokenizer: Tokenizer, _ vocabulary: Items, _ most: Int) throws -> [Int] {
        try WordPiece(tokenizer: tokenizer, vocabulary: vocabulary).ids(of: text, most: most)
    }

    private func ids(of text: String, most: Int) throws -> [Int] {
        var found: [Int] = []
        for part in parts(Array(text.utf8), try specials()) {
            if part.isSpecial {
                found.append(try id(of: Array(part.bytes)))
            } else {
                for word in words(String(decoding: part.bytes, as: UTF8.self)) { found += try pieces(word) }
            }
        }
        let ends = (start: try id(of: Array(tokenizer.start.utf8)), end: try id(of: Array(tokenizer.end.utf8)))
        return Array(([ends.start] + found.prefix(max(most - 2, 0)) + [ends.end]).prefix(max(most, 0)))
    }

    /// The words and signs of punctuation of a text, normalized as the tokenizer says.
    func words(_ text: String) -> [[Unicode.Scalar]] {
        let clean = cleaned(text)
        let plain = tokenizer.stripAccents ?? tokenizer.lowercase ? Characters.withoutMarks(clean) : clean
        let normal = tokenizer.lowercase ? plain.flatMap(Characters.small) : plain
        var found: [[Unicode.Scalar]] = [[]]
        for each in normal {
            if each == " " {
                found.append([])
            } else if Characters.punctuation.contains(each) {
                found += [[each], []]
            } else {
                found[found.count - 1].append(each)
            }
        }
        return found.filter { !$0.isEmpty }
    }

    /// The characters without control characters, white space as blanks, Chinese ones between blanks.
    private func cleaned(_ text: String) -> [Unicode.Scalar] {
        var found: [Unicode.Scalar] = []
        for each in text.unicodeScalars where !Characters.dropped.contains(each) {
            if Characters.space.contains(each) {
                found.append(" ")
            } else if tokenizer.tokenizeChineseChars, Characters.chinese.contains(each) {
                found += [" ", each, " "]
            } else {
                found.append(each)
            }
        }
        return found
    }
}

// MARK: - Special tokens

extension WordPiece {
    private struct Part {
        let bytes: ArraySlice<UInt8>
        let isSpecial: Bool
    }

    /// The tokens that no text is cut into, longest first.
    private func specials() throws -> [[UInt8]] {
        let named = [tokenizer.unknown, tokenizer.start, tokenizer.end, tokenizer.mask].map { Array($0.utf8) }
        let known = try named.filter { try place(of: $0) != nil }
        let aside = try vocabulary.aside.map { Array(try vocabulary.token($0).utf8) }
        let length = { (each: [UInt8]) in String(decoding: each, as: UTF8.self).unicodeScalars.count }
        return Set(known + aside).filter { !$0.isEmpty }.sorted { left, right in
            length(left) == length(right) ? left.lexicographicallyPrecedes(right) : length(left) > length(right)
        }
    }

    /// The text cut at special tokens; in UTF-8 a character begins nowhere but where it does.
    private func parts(_ text: [UInt8], _ known: [[UInt8]]) -> [Part] {
        var found: [Part] = []
        var (start, place) = (0, 0)
        while place < text.count {
            guard let special = known.first(where: { text[place...].starts(with: $0) }) else {
                place += 1
                continue
            }
            found.append(Part(bytes: text[start..<place], isSpecial: false))
            found.append(Part(bytes: text[place..<place + special.count], isSpecial: true))
            place += special.count
            start = place
        }
        return found + [Part(bytes: text[start...], isSpecial: false)]
    }

    private func place(of token: [UInt8]) throws -> Int? {
        try token.withUnsafeBytes(vocabulary.place(ofToken:))
    }

    private func id(of token: [UInt8]) throws -> Int {
        guard let place = try place(of: token) else {
            let name = String(decoding: token, as: UTF8.self)
            throw ModelError(.badVocabulary, "\(vocabulary.name) has no token \(name), which its tokenizer names")
        }
        return place
    }
}

// MARK: - Pieces

extension WordPiece {
    /// The longest pieces from the left; the unknown token where one is missing, or the word is too long.
    private func pieces(_ word: [Unicode.Scalar]) throws -> [Int] {
        let unknown = Array(tokenizer.unknown.utf8)
        if word.count > tokenizer.maxCharactersPerWord { return [try id(of: unknown)] }
        var found: [Int] = []
        var rest = word[...]
        while !rest.isEmpty {
            guard let (piece, length) = try longest(rest, after: found.isEmpty ? [] : WordPiece.continues) else {
                return [try id(of: unknown)]
            }
            found.append(piece)
            rest = rest.dropFirst(length)
        }
        return found
    }

    /// The id of the longest piece that characters begin with, and how many it has.
    private func longest(_ rest: ArraySlice<Unicode.Scalar>, after prefix: [UInt8]) throws -> (Int, Int)? {
        var bytes = prefix
        var ends: [Int] = []
        for each in rest {
            bytes += UTF8.encode(each).map(Array.init) ?? []
            ends.append(bytes.count)
        }
        for (length, end) in ends.enumerated().reversed() {
            let piece = try bytes.withUnsafeBytes { bytes in
                try vocabulary.place(ofToken: UnsafeRawBufferPointer(rebasing: bytes[..<end]))
            }
            if let piece { return (piece, length + 1) }
        }
        return nil
    }
}
