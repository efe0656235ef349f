import Foundation

/// What a character is, by tables instead of by the Unicode version that a system was built with.
///
/// The tables say what Hugging Face's tokenizers does. A later Unicode changes nothing here: how the letters that exist
/// are decomposed never changes, and what is newer than the tables is left as it is.
enum Characters {
    /// A set of characters: where it begins, ends (excluded), begins again.
    struct Kind: Sendable {
        private let ends: [UInt32]

        init(_ table: String) {
            ends = numbers(table).map { UInt32(clamping: $0) }
        }

        /// Whether a character is in the set: an odd number of its ends lies at or below it.
        func contains(_ character: Unicode.Scalar) -> Bool {
            var (low, high) = (0, ends.count)
            while low < high {
                let middle = (low + high) / 2
                if ends[middle] <= character.value { low = middle + 1 } else { high = middle }
            }
            return low % 2 == 1
        }
    }

    static let dropped = Kind(UnicodeTables.dropped)
    static let space = Kind(UnicodeTables.space)
    static let chinese = Kind(UnicodeTables.chinese)
    static let marks = Kind(UnicodeTables.marks)
    static let punctuation = Kind(UnicodeTables.punctuation)
    static let decomposes = Kind(UnicodeTables.decomposes)
    private static let letters = smallLetters()

    /// The small letter of a character, by itself: no language's rules, no final sigma.
    static func small(_ character: Unicode.Scalar) -> [Unicode.Scalar] {
        letters[character] ?? [character]
    }

    /// The characters canonically decomposed, without the marks that take no space of their own.
    static func withoutMarks(_ characters: [Unicode.Scalar]) -> [Unicode.Scalar] {
        var found: [Unicode.Scalar] = []
        var run = String.UnicodeScalarView()
        func end() {
            found += String(run).decomposedStringWithCanonicalMapping.unicodeScalars
            run = String.UnicodeScalarView()
        }
        for each in characters {
            if decomposes.contains(each) {
                run.append(each)
                continue
            }
            end()  // what is newer than the tables neither decomposes nor lets a mark move past it
            found.append(each)
        }
        end()
        return found.filter { !marks.contains($0) }
    }

    private static func smallLetters() -> [Unicode.Scalar: [Unicode.Scalar]] {
        var found: [Unicode.Scalar: [Unicode.Scalar]] = [:]
        for run in UnicodeTables.lowercase.split(separator: ";").map({ numbers(String($0)) }) where run.count == 4 {
            for code in stride(from: run[0], through: run[1], by: max(1, run[2])) {
                guard let letter = scalar(code), let small = scalar(code + run[3]) else { continue }
                found[letter] = [small]
            }
        }
        for longer in UnicodeTables.lowercaseLonger.split(separator: ";").map({ numbers(String($0)) }) {
            if let letter = longer.first.flatMap(scalar) { found[letter] = longer.dropFirst().compactMap(scalar) }
        }
        return found
    }

    private static func scalar(_ code: Int) -> Unicode.Scalar? {
        UInt32(exactly: code).flatMap(Unicode.Scalar.init)
    }
}

/// The numbers of a table, which is written as text because an array of thousands compiles slowly.
private func numbers(_ table: String) -> [Int] {
    table.split(separator: " ").compactMap { Int($0) }
}
