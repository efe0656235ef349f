// `import CoreML` brings Foundation along on Apple's systems, and so here.
@_exported import Foundation

/// The domain of every `MLModelError`.
public let MLModelErrorDomain = "com.apple.CoreML"

/// What loading a model or a prediction can end with; `localizedDescription` says what happened, and what to do.
public struct MLModelError: Error, LocalizedError, CustomNSError, Equatable, Sendable {
    public enum Code: Int, Sendable {
        case generic = 0
        case featureType = 1
        case io = 3
        case customLayer = 4
        case customModel = 5
        case update = 6
        case parameters = 7
        case modelDecryptionKeyFetch = 8
        case modelDecryption = 9
        case modelCollection = 10
        case predictionCancelled = 11
    }

    public static let errorDomain = MLModelErrorDomain
    public let code: Code
    let message: String

    /// An error that says the text under `NSLocalizedDescriptionKey`.
    public init(_ code: Code, userInfo: [String: Any] = [:]) {
        self.init(code, userInfo[NSLocalizedDescriptionKey] as? String ?? "Core ML error \(code.rawValue)")
    }

    init(_ code: Code, _ message: String) {
        self.code = code
        self.message = message
    }

    public var errorCode: Int { code.rawValue }
    public var errorUserInfo: [String: Any] { [NSLocalizedDescriptionKey: message] }
    public var errorDescription: String? { message }
    public var localizedDescription: String { message }
}
