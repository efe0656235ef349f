import Foundation

/// The lines of a vocabulary's file, found by their number and by what they say, without reading the others.
///
/// The text stays where it is, such as in a memory map; where its lines begin, and the sorted hashes of the lines, are
/// in the vocabulary's index. Every place that the index names is checked before it is read.
struct Lines: Sendable {
    /// Where an index holds what belongs to one file.
    struct Layout: Sendable {
        /// How many lines there are.
        let count: Int
        /// How many of them can be found: all that are not empty.
        let entries: Int
        /// The first byte of `count + 1` 32-bit places of the text.
        let offsets: Int
        /// The first byte of `entries` sorted 64-bit hashes.
        let hashes: Int
        /// The first byte of the 32-bit numbers of the lines that have these hashes.
        let rows: Int
    }

    let name: String
    let text: Data
    let index: Data
    let layout: Layout

    var count: Int { layout.count }

    /// What a line says.
    func line(_ place: Int) throws -> String {
        try withLine(place) { String(decoding: $0, as: UTF8.self) }
    }

    /// What `body` makes of the bytes of a line, which are valid while it runs.
    func withLine<Found>(_ place: Int, _ body: (UnsafeRawBufferPointer) throws -> Found) throws -> Found {
        let range = try self.range(of: place)
        return try text.withUnsafeBytes { try body(UnsafeRawBufferPointer(rebasing: $0[range])) }
    }

    /// The numbers of the lines that say a word, ascending.
    func places(of word: UnsafeRawBufferPointer) throws -> [Int] {
        if word.isEmpty { return [] }
        let hash = fnv1a(word)
        var found: [Int] = []
        var entry = try firstEntry(from: hash)
        while entry < layout.entries, try self.hash(entry) == hash {
            let place = Int(number(at: layout.rows + 4 * entry, as: UInt32.self))
            if try withLine(place, { $0.elementsEqual(word) }) { found.append(place) }
            entry += 1
        }
        return found
    }

    /// Goes through the whole index; throws where it does not say what the text does.
    func check() throws {
        var (end, entries) = (0, 0)
        for place in 0..<layout.count {
            let range = try range(of: place)
            guard range.lowerBound == end else { throw damaged("line \(place) begins at \(range.lowerBound)") }
            end = range.upperBound + 1
            entries += range.isEmpty ? 0 : 1
        }
        guard end == text.count, entries == layout.entries else {
            throw damaged("\(layout.entries) of \(entries) lines in \(end) of \(text.count) bytes")
        }
        var before: (hash: UInt64, place: Int)?
        for entry in 0..<layout.entries {
            let found = (hash: try hash(entry), place: Int(number(at: layout.rows + 4 * entry, as: UInt32.self)))
            guard try withLine(found.place, fnv1a) == found.hash else { throw damaged("hash \(entry) is of another line") }
            if let before, before >= found { throw damaged("hash \(entry) is not in order") }
            before = found
        }
    }

    /// The first entry whose hash is not below one.
    private func firstEntry(from hash: UInt64) throws -> Int {
        var (low, high) = (0, layout.entries)
        var (least, most) = (UInt64.min, UInt64.max)
        while low < high {
            let middle = low + (high - low) / 2
            let found = try self.hash(middle)
            guard least <= found, found <= most else { throw damaged("hash \(middle) is not in order") }
            if found < hash {
                (low, least) = (middle + 1, found)
            } else {
                (high, most) = (middle, found)
            }
        }
        return low
    }

    private func hash(_ entry: Int) throws -> UInt64 {
        number(at: layout.hashes + 8 * entry, as: UInt64.self)
    }

    /// Where a line is in the text, its line feed left out.
    private func range(of place: Int) throws -> Range<Int> {
        guard 0 <= place, place < layout.count else {
            throw damaged("line \(place) is asked for, of \(layout.count)")
        }
        let start = Int(number(at: layout.offsets + 4 * place, as: UInt32.self))
        let next = Int(number(at: layout.offsets + 4 * (place + 1), as: UInt32.self))
        guard start < next, next <= text.count, text[next - 1] == 0x0a else {
            throw damaged("line \(place) is said to be at \(start) to \(next)")
        }
        return start..<next - 1
    }

    /// A number of the index, whose layout lies within it.
    private func number<Number: FixedWidthInteger>(at place: Int, as type: Number.Type) -> Number {
        index.withUnsafeBytes { Number(littleEndian: $0.loadUnaligned(fromByteOffset: place, as: type)) }
    }

    private func damaged(_ what: String) -> ModelError {
        ModelError(.badVocabulary, "the index of \(name) is damaged: \(what); generate the package again")
    }
}

/// The 64-bit FNV-1a hash of some bytes.
///
/// Source: Fowler, Noll, Vo and Eastlake, "The FNV Non-Cryptographic Hash Algorithm", 2019.
func fnv1a(_ bytes: UnsafeRawBufferPointer) -> UInt64 {
    var hash: UInt64 = 0xcbf2_9ce4_8422_2325
    for byte in bytes { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01b3 }
    return hash
}
