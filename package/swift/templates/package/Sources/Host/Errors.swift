import Foundation

/// What a call is refused with: the app asked for something that the model cannot answer.
///
/// Codes and messages are the same in every language of the project.
public struct CallError: LocalizedError, Equatable, Sendable {
    /// Which rule was broken.
    public enum Code: String, Sendable, CaseIterable {
        case ambiguousTitle = "ambiguous_title"
        case badDraw = "bad_draw"
        case badK = "bad_k"
        case badScore = "bad_score"
        case missingFeature = "missing_feature"
        case tooLong = "too_long"
        case tooMany = "too_many"
        case tooShort = "too_short"
        case unknownFeature = "unknown_feature"
        case unknownItem = "unknown_item"
        case unknownMethod = "unknown_method"
        case wrongLength = "wrong_length"
        case wrongType = "wrong_type"
    }

    /// Which rule was broken.
    public let code: Code

    /// What came, what was expected, and the next step.
    public let message: String

    init(_ code: Code, _ message: String) {
        self.code = code
        self.message = message
    }

    /// The whole message.
    public var errorDescription: String? { message }

    /// The next step: the end of the message.
    public var recoverySuggestion: String? { nextStep(of: message) }
}

/// What the files of a model are refused with: they are not what the contract says.
struct ModelError: LocalizedError, Equatable, Sendable {
    /// Which of them is at fault.
    enum Code: String, Sendable, CaseIterable {
        case badContract = "bad_contract"
        case badOutput = "bad_output"
        case badVocabulary = "bad_vocabulary"
    }

    /// Which of them is at fault.
    let code: Code

    /// What came, what was expected, and the next step.
    let message: String

    init(_ code: Code, _ message: String) {
        self.code = code
        self.message = message
    }

    /// The whole message.
    var errorDescription: String? { message }

    /// The next step: the end of the message.
    var recoverySuggestion: String? { nextStep(of: message) }
}

/// The part of a message after its last semicolon; nil where there is none.
func nextStep(of message: String) -> String? {
    message.range(of: "; ", options: [.backwards, .literal]).map { String(message[$0.upperBound...]) }
}

/// Code points of a word or a value in a message.
private let longest = 80

/// A word in quotation marks, as JSON writes it; a long one is cut.
func quoted(_ word: String) -> String {
    Value.text(cut(word)).json
}

/// A value as JSON writes it, cut where it is long.
func shown(_ value: Value) -> String {
    cut(value.json)
}

private func cut(_ text: String) -> String {
    let letters = text.unicodeScalars
    return letters.count <= longest ? text : String(letters.prefix(longest)) + "…"
}

/// What to throw for a value of another kind than was expected.
func wrong(_ place: String, _ value: Value, _ expected: String) -> CallError {
    CallError(.wrongType, "\(place) is \(shown(value)); expected \(expected)")
}
