import Foundation

/// The index of a vocabulary's files, as the package's generator writes it.
///
/// Little-endian: `PKTINDEX`, the version 1 and a zero of 32 bits each; six 64-bit numbers: lines, bytes of the tokens,
/// tokens that can be found, lines of titles (0 where there are none), bytes of the titles, titles that can be found.
/// Then for the tokens and for the titles: where every line begins and the last one ends (32 bits), the sorted hashes
/// of the lines (64 bits), and the lines that have these hashes (32 bits), each begun at a multiple of eight bytes.
struct VocabularyIndex: Sendable {
    let tokens: Lines
    let titles: Lines?

    /// Opens an index over the files that it was made of.
    ///
    /// - Throws: ``ModelError`` `badVocabulary` where it is damaged or is of other files.
    init(name: String, index: Data, tokens: Data, titles: Data?) throws {
        var reader = try Reader(name: name, index: index)
        self.tokens = try reader.lines("\(name)'s tokens", of: tokens, reader.sizes[0...2])
        if let titles {
            self.titles = try reader.lines("\(name)'s titles", of: titles, reader.sizes[3...5])
        } else {
            self.titles = nil
        }
        try reader.end(lines: self.tokens.count, titles: self.titles?.count)
    }

    /// Goes through the whole index; throws where it does not say what the files do.
    func check() throws {
        try tokens.check()
        try titles?.check()
    }
}

/// Reads the parts of an index one after another, none beyond its end.
private struct Reader {
    let name: String
    let index: Data
    let sizes: [Int]
    private var place = 64

    init(name: String, index: Data) throws {
        self.name = name
        self.index = index.startIndex == 0 ? index : Data(index)
        let head: [UInt64]? = index.withUnsafeBytes { bytes in
            guard bytes.count >= 64 else { return nil }
            return (0..<8).map { UInt64(littleEndian: bytes.loadUnaligned(fromByteOffset: 8 * $0, as: UInt64.self)) }
        }
        guard let head, head[0] == 0x5845_444e_4954_4b50, head[1] == 1 else {
            throw ModelError(.badVocabulary, "the index of \(name) is none of version 1; generate the package again")
        }
        sizes = head[2...].map { Int(exactly: $0) ?? .max }
    }

    /// The lines of one file: how many there are, how many bytes they have, and how many can be found.
    mutating func lines(_ name: String, of text: Data, _ sizes: ArraySlice<Int>) throws -> Lines {
        let (count, bytes, entries) = (sizes[sizes.startIndex], sizes[sizes.startIndex + 1], sizes[sizes.startIndex + 2])
        guard bytes == text.count, entries <= count, count <= index.count / 4 else {
            throw damaged("it is of \(bytes) bytes with \(entries) of \(count) lines, and \(name) have \(text.count) bytes")
        }
        let layout = Lines.Layout(
            count: count, entries: entries, offsets: try take(4 * (count + 1)), hashes: try take(8 * entries),
            rows: try take(4 * entries))
        return Lines(name: name, text: text.startIndex == 0 ? text : Data(text), index: index, layout: layout)
    }

    /// Checks that everything has been read, and that there are titles where the index has them.
    func end(lines: Int, titles: Int?) throws {
        guard place == index.count, titles ?? 0 == sizes[3], titles ?? lines == lines else {
            throw damaged("\(index.count) bytes, \(lines) tokens and \(titles ?? 0) titles of \(sizes[3])")
        }
    }

    private mutating func take(_ bytes: Int) throws -> Int {
        let start = place
        place += (bytes + 7) / 8 * 8
        guard place <= index.count else { throw damaged("it is cut at byte \(index.count)") }
        return start
    }

    private func damaged(_ what: String) -> ModelError {
        ModelError(.badVocabulary, "the index of \(name) does not fit: \(what); generate the package again")
    }
}
