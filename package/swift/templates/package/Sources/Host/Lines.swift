import Foundation

/// The lines of a vocabulary's file, found by their number and by what they say, without reading the others.
///
/// The text stays where it is, such as in a memory map; where its lines begin, and the sorted hashes of the lines, are
/// in the vocabulary's index.
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

    /// What `body` makes of the lines' bytes, which are valid while it runs.
    func read<Found>(_ body: (LineBytes) throws -> Found) rethrows -> Found {
        try text.withUnsafeBytes { text in
            try index.withUnsafeBytes { try body(LineBytes(name: name, text: text, index: $0, layout: layout)) }
        }
    }

    /// What a line says.
    func line(_ place: Int) throws -> String {
        try read { String(decoding: try $0.line(place), as: UTF8.self) }
    }

    /// The numbers of the lines that say a word, ascending.
    func places(of word: UnsafeRawBufferPointer) throws -> [Int] {
        word.isEmpty ? [] : try read { try $0.places(of: word) }
    }

    /// Goes through the whole index; throws where it does not say what the text does.
    func check() throws {
        try read { try $0.check() }
    }
}

/// The bytes of lines and of their index. Every place that the index names is checked before it is read.
struct LineBytes {
    let name: String
    let text: UnsafeRawBufferPointer
    let index: UnsafeRawBufferPointer
    let layout: Lines.Layout

    /// The bytes of a line, its line feed left out.
    func line(_ place: Int) throws -> UnsafeRawBufferPointer {
        guard 0 <= place, place < layout.count else {
            throw damaged("line \(place) is asked for, of \(layout.count)")
        }
        let start = Int(number(at: layout.offsets + 4 * place, as: UInt32.self))
        let next = Int(number(at: layout.offsets + 4 * (place + 1), as: UInt32.self))
        guard start < next, next <= text.count, text[next - 1] == 0x0a else {
            throw damaged("line \(place) is said to be at \(start) to \(next)")
        }
        return UnsafeRawBufferPointer(rebasing: text[start..<next - 1])
    }

    func places(of word: UnsafeRawBufferPointer) throws -> [Int] {
        let hash = fnv1a(word)
        var found: [Int] = []
        var entry = try firstEntry(from: hash)
        while entry < layout.entries, self.hash(entry) == hash {
            let row = row(entry)
            if try line(row).elementsEqual(word) { found.append(row) }
            entry += 1
        }
        return found
    }

    func check() throws {
        var (end, entries) = (0, 0)
        for place in 0..<layout.count {
            let length = try line(place).count
            let start = Int(number(at: layout.offsets + 4 * place, as: UInt32.self))
            guard start == end else { throw damaged("line \(place) begins at \(start)") }
            end += length + 1
            entries += length > 0 ? 1 : 0
        }
        guard end == text.count, entries == layout.entries else {
            throw damaged("\(layout.entries) of \(entries) lines in \(end) of \(text.count) bytes")
        }
        for entry in 0..<layout.entries {
            guard fnv1a(try line(row(entry))) == hash(entry) else { throw damaged("hash \(entry) is of another line") }
            if entry > 0, (hash(entry - 1), row(entry - 1)) >= (hash(entry), row(entry)) { throw unsorted(entry) }
        }
    }

    /// The first entry whose hash is not below one.
    private func firstEntry(from hash: UInt64) throws -> Int {
        var (low, high) = (0, layout.entries)
        var (least, most) = (UInt64.min, UInt64.max)
        while low < high {
            let middle = low + (high - low) / 2
            let found = self.hash(middle)
            guard least <= found, found <= most else { throw unsorted(middle) }
            if found < hash {
                (low, least) = (middle + 1, found)
            } else {
                (high, most) = (middle, found)
            }
        }
        return low
    }

    private func hash(_ entry: Int) -> UInt64 {
        number(at: layout.hashes + 8 * entry, as: UInt64.self)
    }

    private func row(_ entry: Int) -> Int {
        Int(number(at: layout.rows + 4 * entry, as: UInt32.self))
    }

    /// A number of the index, whose layout lies within it.
    private func number<Number: FixedWidthInteger>(at place: Int, as type: Number.Type) -> Number {
        Number(littleEndian: index.loadUnaligned(fromByteOffset: place, as: type))
    }

    private func unsorted(_ entry: Int) -> ModelError {
        damaged("hash \(entry) is not in order")
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
