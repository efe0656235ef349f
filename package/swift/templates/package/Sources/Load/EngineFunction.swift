import CoreML
import Foundation

/// One function of a model in Core ML, which its engine owns.
struct EngineFunction {
    let name: String
    /// Whether it is known to give other numbers than zeros; nil until that was asked.
    var isAlive: Bool?
    let outputs: OutputCheck
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
        outputs = OutputCheck(function: name, contract: contract, signature: signature)
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
        var given: [String: Tensor] = [:]
        for out in fitting.signature.outputs {
            guard let array = found.featureValue(for: out.name)?.multiArrayValue else {
                throw LoadError(.badOutput, "the model gives no array \(out.name); generate the package again")
            }
            given[out.name] = try array.tensor(of: out)
        }
        return given
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
