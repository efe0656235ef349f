/// A key of what a model says of itself.
public struct MLModelMetadataKey: RawRepresentable, Hashable, Sendable {
    public let rawValue: String
    public init(rawValue: String) { self.rawValue = rawValue }

    public static let description = MLModelMetadataKey(rawValue: "MLModelDescriptionKey")
    public static let versionString = MLModelMetadataKey(rawValue: "MLModelVersionStringKey")
    public static let author = MLModelMetadataKey(rawValue: "MLModelAuthorKey")
    public static let license = MLModelMetadataKey(rawValue: "MLModelLicenseKey")
    public static let creatorDefinedKey = MLModelMetadataKey(rawValue: "MLModelCreatorDefinedKey")
}

/// What a model takes, gives and keeps, and what it says of itself.
public final class MLModelDescription {
    public let inputDescriptionsByName: [String: MLFeatureDescription]
    public let outputDescriptionsByName: [String: MLFeatureDescription]
    public let stateDescriptionsByName: [String: MLFeatureDescription]
    public let metadata: [MLModelMetadataKey: Any]
    let states: [Feature]

    init(_ reply: Reply) throws {
        inputDescriptionsByName = try Self.named(reply.inputs, .multiArray)
        outputDescriptionsByName = try Self.named(reply.outputs, .multiArray)
        stateDescriptionsByName = try Self.named(reply.kept, .state)
        states = reply.kept ?? []
        let about = reply.about ?? [:]
        metadata = [
            .description: about["description"] ?? "",
            .versionString: about["version"] ?? "",
            .author: about["author"] ?? "",
            .license: about["license"] ?? "",
            .creatorDefinedKey: reply.metadata ?? [:],
        ]
    }

    private static func named(_ features: [Feature]?, _ type: MLFeatureType) throws -> [String: MLFeatureDescription] {
        let pairs = try (features ?? []).map { ($0.name, try MLFeatureDescription($0, type)) }
        return Dictionary(pairs, uniquingKeysWith: { first, _ in first })
    }
}

/// One input, output or state.
public final class MLFeatureDescription {
    public let name: String
    public let type: MLFeatureType
    public let isOptional: Bool
    public let multiArrayConstraint: MLMultiArrayConstraint?

    init(_ feature: Feature, _ type: MLFeatureType) throws {
        name = feature.name
        self.type = type
        isOptional = feature.optional
        multiArrayConstraint = type == .multiArray ? try MLMultiArrayConstraint(feature) : nil
    }
}

/// Which arrays a feature may be.
public final class MLMultiArrayConstraint {
    /// The only shape, or of several the first or the smallest.
    public let shape: [NSNumber]
    public let dataType: MLMultiArrayDataType
    public let shapeConstraint: MLMultiArrayShapeConstraint

    init(_ feature: Feature) throws {
        dataType = try feature.dataType()
        shape = feature.smallest.map { NSNumber(value: $0) }
        shapeConstraint = MLMultiArrayShapeConstraint(feature)
    }
}

/// How the shapes of a feature are limited.
public final class MLMultiArrayShapeConstraint {
    public let type: MLMultiArrayShapeConstraintType
    public let enumeratedShapes: [[NSNumber]]
    /// Ranges, in which the size of each axis falls.
    public let sizeRangeForDimension: [NSValue]

    init(_ feature: Feature) {
        let fixed = feature.limits.allSatisfy { $0.low == $0.high } && feature.enumerated.isEmpty
        let shapes = fixed ? [feature.smallest] : feature.enumerated
        type = shapes.isEmpty ? .range : .enumerated
        enumeratedShapes = shapes.map { $0.map { NSNumber(value: $0) } }
        sizeRangeForDimension = feature.limits.map { limit in
            let length = limit.high.map { max($0, limit.low - 1) - limit.low + 1 } ?? Int.max - limit.low
            return NSValue(range: NSRange(location: limit.low, length: length))
        }
    }
}

public enum MLMultiArrayShapeConstraintType: Int, Sendable {
    case unspecified = 1
    case enumerated = 2
    case range = 3
}
