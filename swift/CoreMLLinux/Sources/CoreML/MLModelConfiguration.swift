/// Where a model may run; here it is always the CPU.
public enum MLComputeUnits: Int, Sendable {
    case cpuOnly = 0
    case cpuAndGPU = 1
    case all = 2
    case cpuAndNeuralEngine = 3

    /// The word in `POCKETREC_COREML_REFUSED_UNITS`.
    var name: String {
        switch self {
        case .cpuOnly: return "cpuOnly"
        case .cpuAndGPU: return "cpuAndGPU"
        case .all: return "all"
        case .cpuAndNeuralEngine: return "cpuAndNeuralEngine"
        }
    }
}

/// How a model is loaded.
public final class MLModelConfiguration {
    public var computeUnits = MLComputeUnits.all
    /// Which function of several is meant; the default one where it is nil.
    public var functionName: String?
    public var modelDisplayName: String?

    public init() {}
}

/// How a prediction is made; there is nothing to choose here.
public final class MLPredictionOptions {
    public init() {}
}
