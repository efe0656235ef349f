import Foundation

/// What a model cannot be loaded or run for: it is not there, not whole, or not the one of this package.
public struct LoadError: LocalizedError, Equatable, Sendable {
    /// What went wrong.
    public enum Code: String, Sendable, CaseIterable {
        case alteredFile = "altered_file"
        case badContract = "bad_contract"
        case badManifest = "bad_manifest"
        case badOutput = "bad_output"
        case badVocabulary = "bad_vocabulary"
        case disposed
        case missingFile = "missing_file"
        case otherContract = "other_contract"
        case runFailed = "run_failed"
        case sessionFailed = "session_failed"
    }

    /// What went wrong.
    public let code: Code

    /// What came, what was expected, and the next step.
    public let message: String

    init(_ code: Code, _ message: String) {
        self.code = code
        self.message = message
    }

    /// What the host logic finds wrong with a model's own files.
    init(_ error: ModelError) {
        message = error.message
        code =
            switch error.code {
            case .badContract: .badContract
            case .badOutput: .badOutput
            case .badVocabulary: .badVocabulary
            }
    }

    /// The whole message.
    public var errorDescription: String? { message }

    /// The next step: the end of the message.
    public var recoverySuggestion: String? { nextStep(of: message) }
}

/// What to throw for any error of loading: one of this package stays, as does the end of a task.
func failure(of error: any Error) -> any Error {
    switch error {
    case let error as ModelError: LoadError(error)
    case is LoadError, is CallError, is CancellationError: error
    default: LoadError(.sessionFailed, "the model cannot be loaded (\(reason(of: error))); load it again")
    }
}

/// The first line of what an error says.
func reason(of error: any Error) -> String {
    let said = (error as? DecodingError)?.said ?? (error as? any LocalizedError)?.errorDescription ?? "\(error)"
    return String(said.prefix { !$0.isNewline }.prefix(300))
}

extension DecodingError {
    /// Which key is missing or does not fit.
    fileprivate var said: String? {
        switch self {
        case let .keyNotFound(key, context): "\(path(context.codingPath + [key])) is missing"
        case let .typeMismatch(_, context), let .valueNotFound(_, context), let .dataCorrupted(context):
            context.codingPath.isEmpty ? context.debugDescription : "\(path(context.codingPath)): \(context.debugDescription)"
        @unknown default: nil
        }
    }

    private func path(_ keys: [any CodingKey]) -> String {
        keys.map(\.stringValue).joined(separator: ".")
    }
}
