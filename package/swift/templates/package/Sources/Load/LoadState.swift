/// How far a model is loaded. Its folder is on the device: what downloads it is the app's own.
public enum LoadState: Equatable, Sendable {
    /// Nobody has asked for it yet.
    case absent
    /// Files are compared with their digests; `done` and `total` are bytes of all files together.
    case checking(file: String, done: Int, total: Int)
    /// Core ML compiles and opens the model.
    case compiling
    /// It answers.
    case ready
    /// It cannot be loaded; the next call of ``Loader/load()`` tries again.
    case failed(LoadError)
}

/// Where Core ML may run a model.
public enum ComputeUnits: String, CaseIterable, Sendable {
    /// The processor alone.
    case cpuOnly
    /// The processor and the GPU.
    case cpuAndGPU
    /// The processor and the Neural Engine.
    case cpuAndNeuralEngine
    /// Whatever Core ML finds best.
    case all
}

/// What loading a model took.
public struct LoadReport: Equatable, Sendable {
    /// From the call to the model that answers.
    public let seconds: Double

    /// Bytes of the files that were read and compared with their digests; 0 where that was remembered.
    public let checkedBytes: Int

    /// Bytes of all files of the model.
    public let modelBytes: Int

    /// Whether Core ML compiled the model, rather than open what it had compiled before.
    public let compiled: Bool

    /// The most memory that the process has had so far, in bytes; nil where the system does not say.
    public let peakMemoryBytes: Int?
}

/// Told of every step of a loading.
typealias OnState = @Sendable (LoadState) -> Void
