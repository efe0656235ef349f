/// What a feature is; here only arrays and states occur.
public enum MLFeatureType: Int, Sendable {
    case invalid = 0
    case int64 = 1
    case double = 2
    case string = 3
    case image = 4
    case multiArray = 5
    case dictionary = 6
    case sequence = 7
    case state = 8
}

/// The value of a feature.
public final class MLFeatureValue {
    public let multiArrayValue: MLMultiArray?

    public init(multiArray value: MLMultiArray) { multiArrayValue = value }

    public var type: MLFeatureType { .multiArray }
    public var isUndefined: Bool { false }
}

/// Values of features by their names: what a prediction takes, and what it gives.
public protocol MLFeatureProvider: AnyObject {
    var featureNames: Set<String> { get }
    func featureValue(for featureName: String) -> MLFeatureValue?
}

/// A provider over a dictionary.
public final class MLDictionaryFeatureProvider: MLFeatureProvider {
    public let dictionary: [String: MLFeatureValue]

    /// Throws where a value is neither an array nor a feature value.
    public init(dictionary: [String: Any]) throws {
        self.dictionary = try dictionary.mapValues { value in
            switch value {
            case let value as MLFeatureValue: return value
            case let array as MLMultiArray: return MLFeatureValue(multiArray: array)
            default:
                throw MLModelError(.featureType, "a feature is of type \(Swift.type(of: value)); expected MLMultiArray")
            }
        }
    }

    public subscript(featureName: String) -> MLFeatureValue? { dictionary[featureName] }
    public var featureNames: Set<String> { Set(dictionary.keys) }
    public func featureValue(for featureName: String) -> MLFeatureValue? { dictionary[featureName] }
}
