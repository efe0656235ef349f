import Foundation

/// What a model's inputs and outputs mean.
struct Contract: Codable, Sendable {
    let schema: Int
    let functions: [String: Signature]
    let dims: [String: Dim]
    let vocabularies: [String: VocabularySpec]
}

/// The types of numbers.
enum Dtype: String, Codable, Sendable {
    case int32, int64, float32, bool
}

/// What an input holds.
enum Kind: String, Codable, Sendable {
    case id, dense, mask, length, state
    case idSequence = "id_sequence"
    case idBag = "id_bag"
}

/// What an output's numbers are.
enum Meaning: String, Codable, Sendable {
    case score, logit, probability, embedding, state
    case topKIds = "top_k_ids"
    case topKScores = "top_k_scores"
}

/// What a function is called for.
enum Role: String, Codable, Sendable {
    case recommend, rank, search, embed, arrange, decide, predict, generate
}

/// Where shorter sequences are filled.
enum Side: String, Codable, Sendable {
    case left, right
}

/// What stands for a word that is no item.
enum Policy: String, Codable, Sendable {
    case padding, unknown, forbid
}

/// One entry of a shape: a number, or the name of a dim.
enum Size: Hashable, Sendable, Codable {
    case fixed(Int)
    case dim(String)

    init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        if let number = try? container.decode(Int.self) {
            self = .fixed(number)
        } else {
            self = .dim(try container.decode(String.self))
        }
    }

    func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        switch self {
        case let .fixed(number): try container.encode(number)
        case let .dim(name): try container.encode(name)
        }
    }
}

/// The smallest and the largest value of a named size.
struct Dim: Codable, Sendable {
    let min: Int
    let max: Int
}

/// How text is cut into tokens.
struct Tokenizer: Codable, Sendable {
    let kind: String
    let lowercase: Bool
    let stripAccents: Bool?
    let tokenizeChineseChars: Bool
    let unknown: String
    let start: String
    let end: String
    let mask: String
    let maxCharactersPerWord: Int

    private enum CodingKeys: String, CodingKey {
        case kind, lowercase, unknown, start, end, mask
        case stripAccents = "strip_accents"
        case tokenizeChineseChars = "tokenize_chinese_chars"
        case maxCharactersPerWord = "max_characters_per_word"
    }
}

/// An id space: `size` ids from 0, of which padding and unknown may be set aside.
struct VocabularySpec: Codable, Sendable {
    let size: Int
    let paddingId: Int?
    let unknownId: Int?
    let sha256: String
    let titlesSha256: String?
    let spelledIn: String?
    let spellingsSha256: String?
    let tokenizer: Tokenizer?

    /// The ids that stand for no item.
    var aside: Set<Int> { Set([paddingId, unknownId].compactMap { $0 }) }

    private enum CodingKeys: String, CodingKey {
        case size, sha256, tokenizer
        case paddingId = "padding_id"
        case unknownId = "unknown_id"
        case titlesSha256 = "titles_sha256"
        case spelledIn = "spelled_in"
        case spellingsSha256 = "spellings_sha256"
    }
}

/// What has a shape: an input or an output.
protocol Shaped {
    var name: String { get }
    var shape: [Size] { get }
}

/// One input.
struct Feature: Codable, Sendable, Shaped {
    let name: String
    let kind: Kind
    let dtype: Dtype
    let shape: [Size]
    let vocabulary: String?
    let paddingSide: Side?
    let outOfVocabulary: Policy
    let minimum: Double
    let maximum: Double

    private enum CodingKeys: String, CodingKey {
        case name, kind, dtype, shape, vocabulary, minimum, maximum
        case paddingSide = "padding_side"
        case outOfVocabulary = "out_of_vocabulary"
    }
}

/// One output.
struct Output: Codable, Sendable, Shaped {
    let name: String
    let meaning: Meaning
    let dtype: Dtype
    let shape: [Size]
    let vocabulary: String?
    let unit: String
    let updates: String?
}

/// One function: its inputs and outputs in order.
struct Signature: Codable, Sendable {
    let method: String
    let inputs: [Feature]
    let outputs: [Output]
    let role: Role?
    let items: String?
}

extension Contract {
    /// The contract that a JSON text holds.
    ///
    /// - Throws: ``ModelError`` `badContract`, naming the first key that is not as it should be.
    init(json: String) throws {
        do {
            self = try JSONDecoder().decode(Contract.self, from: Data(json.utf8))
        } catch {
            throw ModelError(.badContract, "the contract cannot be read: \(error); generate the package again")
        }
    }

    /// The smallest and the largest value of one entry of a shape.
    func bounds(_ size: Size) throws -> ClosedRange<Int> {
        let (low, high) =
            switch size {
            case let .fixed(number): (number, number)
            case let .dim(name): (try known(dims[name], "dim", name).min, try known(dims[name], "dim", name).max)
            }
        guard 0 <= low, low <= high else {
            throw ModelError(.badContract, "a size is \(low) to \(high); expected one from 0, ascending")
        }
        return low...high
    }

    /// The vocabulary of that name.
    func vocabulary(_ name: String) throws -> VocabularySpec {
        try known(vocabularies[name], "vocabulary", name)
    }

    /// The function of that name.
    func signature(_ name: String) throws -> Signature {
        try known(functions[name], "function", name)
    }

    private func known<Found>(_ found: Found?, _ what: String, _ name: String) throws -> Found {
        guard let found else {
            throw ModelError(.badContract, "the contract has no \(what) \(name); generate the package again")
        }
        return found
    }
}

extension Signature {
    /// The input of that name.
    func input(_ name: String) throws -> Feature {
        guard let found = inputs.first(where: { $0.name == name }) else {
            throw ModelError(.badContract, "the contract has no input \(name); generate the package again")
        }
        return found
    }

    /// Whether calls hand something on to the next one.
    var hasStates: Bool { inputs.contains { $0.kind == .state } }
}
