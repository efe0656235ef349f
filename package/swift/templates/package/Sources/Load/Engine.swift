import CoreML
import Foundation

/// The functions of a model in Core ML, which run one after another on a queue of their own.
actor Engine {
    private let executor = ModelExecutor()
    private let contract: Contract
    private let sha256: String
    private var functions: [String: EngineFunction] = [:]
    private var units = ComputeUnits.all
    private var isDisposed = false

    nonisolated var unownedExecutor: UnownedSerialExecutor { executor.asUnownedSerialExecutor() }

    init(contract: Contract, sha256: String) {
        self.contract = contract
        self.sha256 = sha256
    }

    /// Does work that takes long, such as reading files, on the queue.
    func perform<Result: Sendable>(_ work: @Sendable () throws -> Result) rethrows -> Result {
        try work()
    }

    /// Opens every function on compute units; on the processor alone where that fails.
    ///
    /// - Returns: why it is not the units that were asked for; nil where it is.
    /// - Throws: ``LoadError`` `sessionFailed` or `otherContract`.
    func open(_ places: [String: FunctionPlace], units: ComputeUnits) throws -> String? {
        do {
            functions = try opened(places, units)
            self.units = units
            return nil
        } catch let error as LoadError where error.code == .sessionFailed && units != .cpuOnly {
            functions = try opened(places, .cpuOnly)
            self.units = .cpuOnly
            return error.message
        }
    }

    /// Opens models that were made elsewhere, such as in memory.
    func adopt(_ models: [String: HeldModel], units: ComputeUnits) throws {
        functions = try models.mapValues { try checked($0.model, "the model in memory") }.reduce(into: [:]) { found, each in
            found[each.key] = try EngineFunction(model: each.value, name: each.key, contract: contract)
        }
        self.units = units
    }

    private func opened(_ places: [String: FunctionPlace], _ units: ComputeUnits) throws -> [String: EngineFunction] {
        var found: [String: EngineFunction] = [:]
        for (name, place) in places.sorted(by: { $0.key < $1.key }) {
            try Task.checkCancellation()
            let configuration = try MLModelConfiguration(units, function: place.function)
            let interval = Interval("Open")
            defer { interval.end() }
            let model: MLModel
            do {
                model = try MLModel(contentsOf: place.url, configuration: configuration)
            } catch {
                throw LoadError(
                    .sessionFailed,
                    "\(place.url.lastPathComponent) of the function \(name) cannot be opened on \(units.rawValue) "
                        + "(\(reason(of: error))); load the model again, or build the bundle for this system")
            }
            let own = try checked(model, place.url.lastPathComponent)
            found[name] = try EngineFunction(model: own, name: name, contract: contract)
        }
        return found
    }

    /// Checks that a model itself says that it is of the package's contract.
    private func checked(_ model: MLModel, _ name: String) throws -> MLModel {
        let metadata = model.modelDescription.metadata[.creatorDefinedKey] as? [String: String]
        let came = metadata?["pocketrec.contract_sha256"] ?? ""
        guard came == sha256 else { throw otherContract(name, came, sha256) }
        return model
    }

    /// The outputs of a function for its inputs, whatever shapes its artifact has.
    ///
    /// - Throws: ``LoadError`` `runFailed`, `badOutput` or `disposed`, and `CancellationError`.
    func run(_ name: String, _ inputs: [String: Tensor]) throws -> [String: Tensor] {
        try Task.checkCancellation()
        try checkOpen()
        guard let function = functions[name] else {
            throw LoadError(.runFailed, "there is no function \(name); generate the package again")
        }
        let interval = Interval("Run")
        defer { interval.end() }
        let outputs = try function.run(inputs, units)
        try Task.checkCancellation()
        try function.outputs.check(outputs)
        if function.outputs.isSilent(outputs), try !isAlive(function) {
            throw LoadError(
                .badOutput,
                "the function \(name) gives nothing but zeros on \(units.rawValue); load the model with other compute units")
        }
        return outputs
    }

    /// Whether a function that gave nothing but zeros ever gives anything else, tried once with a call of its own.
    private func isAlive(_ function: EngineFunction) throws -> Bool {
        if let known = function.isAlive { return known }
        let alive = try !function.outputs.isSilent(function.run(function.outputs.probe(), units))
        functions[function.name]?.isAlive = alive
        return alive
    }

    /// Refuses what is called after ``dispose()``.
    func checkOpen() throws {
        if isDisposed { throw LoadError(.disposed, "the model was disposed; load it again") }
    }

    /// Lets go of the models; what is called after it is an error.
    func dispose() {
        isDisposed = true
        functions = [:]
    }
}

/// A compiled artifact, and its function in there.
struct FunctionPlace: Sendable {
    let url: URL
    let function: String?
}

/// A model on its way to the engine that will own it.
///
/// Core ML's class is not marked as Sendable. Whoever makes one of these hands the model on and keeps no other reference.
struct HeldModel: @unchecked Sendable {
    let model: MLModel
}

extension MLModelConfiguration {
    convenience init(_ units: ComputeUnits, function: String?) throws {
        self.init()
        computeUnits =
            switch units {
            case .cpuOnly: .cpuOnly
            case .cpuAndGPU: .cpuAndGPU
            case .cpuAndNeuralEngine: .cpuAndNeuralEngine
            case .all: .all
            }
        guard let function else { return }
        guard #available(iOS 18, macOS 15, tvOS 18, visionOS 2, *) else {
            throw LoadError(
                .sessionFailed, "several functions in one package need iOS 18; build the bundle without multifunction")
        }
        functionName = function
    }
}
