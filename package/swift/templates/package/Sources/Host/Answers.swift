/// The id of an item; a package has a type of its own for every vocabulary.
public protocol ItemIdentifier: RawRepresentable, Hashable, Sendable, Codable where RawValue == Int {
    /// The id of a number.
    init(rawValue: Int)
}

/// A word that no token or title is.
public struct Unknown: Hashable, Sendable {
    /// The word as it was given.
    public let given: String

    /// Up to three words that it may have been meant for.
    public let near: [String]
}

/// One item of an answer.
public struct Recommendation<ID: ItemIdentifier>: Hashable, Sendable, Identifiable {
    /// Its place in the vocabulary.
    public let id: ID

    /// Its stable key.
    public let token: String

    /// What people read; the token where the vocabulary has no title for it.
    public let title: String

    /// As the model gave it; nil where it gives ids alone.
    public let score: Float?

    /// Where the output is a logit or a probability.
    public let probability: Double?

    /// Of every output, where the model has several heads.
    public let scores: [String: Float]

    init(_ scored: Scored) {
        id = ID(rawValue: scored.id)
        token = scored.token
        title = scored.title
        score = scored.score
        probability = scored.probability
        scores = scored.scores
    }
}

/// Items, best first.
public struct Recommendations<ID: ItemIdentifier>: RandomAccessCollection, Hashable, Sendable {
    private let items: [Recommendation<ID>]

    /// The words of the call that the model does not know.
    public let unknown: [Unknown]

    init(_ items: [Scored], unknown: [Unknown]) {
        self.items = items.map { Recommendation($0) }
        self.unknown = unknown
    }

    /// The place of the best one.
    public var startIndex: Int { items.startIndex }

    /// The place after the last one.
    public var endIndex: Int { items.endIndex }

    /// The item at a place.
    public subscript(place: Int) -> Recommendation<ID> { items[place] }
}

/// A vector.
public struct Embedding: Hashable, Sendable {
    /// The numbers in order.
    public let values: [Float]

    /// The words of the call that the model does not know.
    public let unknown: [Unknown]
}

/// One output.
struct Predicted: Hashable, Sendable {
    /// A number, or lists of them.
    indirect enum Value: Hashable, Sendable {
        case number(Double)
        case list([Value])
    }

    /// As the model gave it.
    let value: Value

    /// The contract's; empty where there is none.
    let unit: String

    /// Where the output is one logit or probability.
    let probability: Double?

    /// The number, where the output is one.
    var number: Double? {
        if case let .number(number) = value { return number }
        return nil
    }
}

/// Every output by its name.
struct Prediction: Hashable, Sendable {
    /// The outputs.
    let outputs: [String: Predicted]

    /// The words of the call that the model does not know.
    let unknown: [Unknown]

    /// The output of that name; nil where there is none.
    subscript(name: String) -> Predicted? { outputs[name] }
}

/// An arm, and how probable it was that it would be drawn.
public struct Decision<ID: ItemIdentifier>: Hashable, Sendable {
    /// The arm to show.
    public let arm: Recommendation<ID>

    /// Nil where the arm was not drawn.
    public let propensity: Double?

    /// The words of the call that the model does not know.
    public let unknown: [Unknown]

    init(_ arm: Scored, propensity: Double?, unknown: [Unknown]) {
        self.arm = Recommendation(arm)
        self.propensity = propensity
        self.unknown = unknown
    }
}

/// One item of an answer, before its vocabulary's type is known.
struct Scored: Sendable {
    let id: Int
    let token: String
    let title: String
    var score: Float?
    var probability: Double?
    var scores: [String: Float] = [:]
}

/// What a call gives back.
enum Answer: Sendable {
    case items([Scored], unknown: [Unknown])
    case embedding(Embedding)
    case prediction(Prediction)
    case decision(Scored, propensity: Double?, unknown: [Unknown])
}
