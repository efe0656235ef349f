import CoreML
import Foundation

/// One function of a model in Core ML, which its engine owns.
struct EngineFunction {
    let name: String
    /// Whether it is known to give other numbers than zeros; nil until that was asked.
    var isAlive: Bool?
    private let model: MLModel
    private let fitting: Fitting
    private let types: [String: MLMultiArrayDataType]

    init(model: MLModel, name: String, contract: Contract) throws {
        self.model = model
        self.name = name
        let signature = try contract.signature(name)
        var sizes: [String: [SizeRange]] = [:]
        var types: [String: MLMultiArrayDataType] = [:]
        for feature in signature.inputs {
            let described = model.modelDescription.inputDescriptionsByName[feature.name]
            guard let array = described?.multiArrayConstraint else {
                throw LoadError(.sessionFailed, "the model takes no array \(feature.name); generate the package again")
            }
            types[feature.name] = array.dataType
            sizes[feature.name] = array.sizes
        }
        self.types = types
        fitting = Fitting(contract: contract, signature: signature, sizes: sizes)
    }

    /// The outputs for inputs of any rows and lengths that the contract allows.
    func run(_ inputs: [String: Tensor], _ units: ComputeUnits) throws -> [String: Tensor] {
        let parts = try fitting.runs(inputs).map { (outputs: try predict($0.inputs, units), rows: $0.rows) }
        return try fitting.joined(parts, inputs: inputs)
    }

    private func predict(_ inputs: [String: Tensor], _ units: ComputeUnits) throws -> [String: Tensor] {
        try Task.checkCancellation()
        var values: [String: MLFeatureValue] = [:]
        for (input, tensor) in inputs {
            let array = try MLMultiArray.of(tensor, type: types[input] ?? .float32, name: input)
            values[input] = MLFeatureValue(multiArray: array)
        }
        let found: any MLFeatureProvider
        do {
            found = try model.prediction(from: MLDictionaryFeatureProvider(dictionary: values))
        } catch {
            let step = units == .cpuOnly ? "load the model again" : "load the model with computeUnits: .cpuOnly"
            throw LoadError(.runFailed, "the function \(name) failed on \(units.rawValue) (\(reason(of: error))); \(step)")
        }
        var outputs: [String: Tensor] = [:]
        for out in fitting.signature.outputs {
            guard let array = found.featureValue(for: out.name)?.multiArrayValue else {
                throw LoadError(.badOutput, "the model gives no array \(out.name); generate the package again")
            }
            outputs[out.name] = try array.tensor(of: out)
        }
        return outputs
    }

    /// Checks that outputs hold numbers. Minus infinity is one in scores, where it stands for what is forbidden.
    func check(_ outputs: [String: Tensor]) throws {
        for out in fitting.signature.outputs {
            guard case let .float32(values) = outputs[out.name]?.data else { continue }
            let isScore = out.meaning == .score || out.meaning == .logit || out.meaning == .topKScores
            let broken = values.first { $0.isNaN || $0 == .infinity || (!isScore && $0 == -.infinity) }
            if let broken {
                throw LoadError(
                    .badOutput,
                    "output \(out.name) of the function \(name) holds \(broken); load the model with computeUnits: .cpuOnly")
            }
        }
    }

    /// Whether every score is zero, as of a model that does not work on a device; a vector or a state may well be.
    func isSilent(_ outputs: [String: Tensor]) -> Bool {
        let scored = fitting.signature.outputs.filter { $0.meaning.isScore || $0.meaning == .topKScores }
        let values = scored.flatMap { outputs[$0.name]?.numbers ?? [] }
        return values.count > 1 && values.allSatisfy { $0 == 0 }
    }

    /// Inputs for one row that say something: the first item that is one, the largest numbers.
    func probe() throws -> [String: Tensor] {
        var inputs: [String: Tensor] = [:]
        for feature in fitting.signature.inputs {
            let shape = try feature.shape.enumerated().map { axis, size in
                let bounds = try fitting.contract.bounds(size)
                return axis == 0 && size == fitting.batch ? bounds.lowerBound : bounds.upperBound
            }
            let number = try probed(feature)
            let count = placesOf(shape) ?? 0
            inputs[feature.name] = try Tensor(
                feature.dtype, shape: shape, numbers: [Double](repeating: number, count: count))
        }
        return inputs
    }

    private func probed(_ feature: Feature) throws -> Double {
        if let vocabulary = feature.vocabulary {
            let spec = try fitting.contract.vocabulary(vocabulary)
            return Double((0..<spec.size).first { !spec.aside.contains($0) } ?? 0)
        }
        if feature.kind == .mask || feature.dtype == .bool || feature.kind == .length { return 1 }
        return feature.maximum != 0 ? feature.maximum : feature.minimum != 0 ? feature.minimum : 1
    }
}

extension MLMultiArrayConstraint {
    /// The sizes that every axis may have.
    fileprivate var sizes: [SizeRange] {
        switch shapeConstraint.type {
        case .enumerated:
            let shapes = shapeConstraint.enumeratedShapes
            return shape.indices.map { axis in
                let most = shapes.filter { $0.indices.contains(axis) }.map { $0[axis].intValue }.max() ?? 1
                return SizeRange(low: most, high: most)
            }
        case .range:
            return shapeConstraint.sizeRangeForDimension.map { value in
                let range = value.rangeValue
                let (end, overflow) = range.location.addingReportingOverflow(range.length)
                return SizeRange(low: range.location, high: overflow || end > Int(Int32.max) ? nil : end - 1)
            }
        default:
            return shape.map { SizeRange(low: $0.intValue, high: $0.intValue) }
        }
    }
}
