/// A model whose predictions `pocketrec serve-pipe` answers; as Apple's, for one thread at a time.
public final class MLModel {
    public let configuration: MLModelConfiguration
    public let modelDescription: MLModelDescription
    let child: Child
    private let padded: Bool

    public convenience init(contentsOf url: URL) throws {
        try self.init(contentsOf: url, configuration: MLModelConfiguration())
    }

    /// The model that `compileModel` wrote to `url`.
    public convenience init(contentsOf url: URL, configuration: MLModelConfiguration) throws {
        let loaded = try Loaded(url, configuration, Server.fromEnvironment())
        try self.init(loaded)
    }

    public static func load(
        contentsOf url: URL, configuration: MLModelConfiguration = MLModelConfiguration()
    ) async throws -> MLModel {
        let make = try Loaded.later(url, configuration, Server.fromEnvironment())
        let loaded = try await withCheckedThrowingContinuation { continuation in
            DispatchQueue.global().async { continuation.resume(with: Result { try make() }) }
        }
        return try MLModel(loaded)
    }

    init(_ loaded: Loaded) throws {
        configuration = loaded.configuration()
        modelDescription = try MLModelDescription(loaded.reply)
        child = loaded.child
        padded = loaded.padded
    }

    @available(*, noasync, message: "use the asynchronous compileModel(at:)")
    public static func compileModel(at modelURL: URL) throws -> URL { try compiled(modelURL) }

    public static func compileModel(at modelURL: URL) async throws -> URL {
        try await withCheckedThrowingContinuation { continuation in
            DispatchQueue.global().async { continuation.resume(with: Result { try compiled(modelURL) }) }
        }
    }

    public func prediction(from input: any MLFeatureProvider) throws -> any MLFeatureProvider {
        try prediction(from: input, options: MLPredictionOptions())
    }

    public func prediction(
        from input: any MLFeatureProvider, options: MLPredictionOptions
    ) throws -> any MLFeatureProvider {
        try outputs(child.answer(request(input)))
    }

    public func prediction(
        from input: any MLFeatureProvider, options: MLPredictionOptions = MLPredictionOptions()
    ) async throws -> any MLFeatureProvider {
        try outputs(await child.answer(request(input)))
    }

    public func prediction(
        from inputFeatures: any MLFeatureProvider, using state: MLState
    ) throws -> any MLFeatureProvider {
        try prediction(from: inputFeatures, using: state, options: MLPredictionOptions())
    }

    public func prediction(
        from inputFeatures: any MLFeatureProvider, using state: MLState, options: MLPredictionOptions
    ) throws -> any MLFeatureProvider {
        let answer = try child.answer(request(inputFeatures, state))
        try state.take(answer.states)
        return try outputs(answer)
    }

    public func prediction(
        from inputFeatures: any MLFeatureProvider,
        using state: MLState,
        options: MLPredictionOptions = MLPredictionOptions()
    ) async throws -> any MLFeatureProvider {
        let answer = try await child.answer(request(inputFeatures, state))
        try state.take(answer.states)
        return try outputs(answer)
    }

    /// States of zeros; none for a model without states.
    public func makeState() -> MLState {
        do { return try MLState(modelDescription.states) } catch { preconditionFailure("\(error)") }
    }

    private func request(_ input: any MLFeatureProvider, _ state: MLState? = nil) throws -> Data {
        let tensors = try input.featureNames.sorted().map { name in
            guard let array = input.featureValue(for: name)?.multiArrayValue else {
                throw MLModelError(.featureType, "input \(name) has no multi-array")
            }
            return (name, array)
        }
        return try Frame.request(tensors, states: state?.tensors ?? [])
    }

    private func outputs(_ answer: Answer) throws -> MLDictionaryFeatureProvider {
        let pairs = try answer.outputs.map { ($0.name, try $0.array($1, padded: padded)) }
        return try MLDictionaryFeatureProvider(dictionary: Dictionary(pairs, uniquingKeysWith: { first, _ in first }))
    }
}

/// A started model, before it is an `MLModel`: it can go from one thread to another.
struct Loaded: Sendable {
    let child: Child
    let reply: Reply
    let padded: Bool
    private let units: MLComputeUnits
    private let function: String?
    private let displayName: String?

    init(_ url: URL, _ configuration: MLModelConfiguration, _ server: Server) throws {
        self = try Loaded.later(url, configuration, server)()
    }

    private init(
        _ url: URL, _ units: MLComputeUnits, _ function: String?, _ displayName: String?, _ server: Server
    ) throws {
        guard !server.refused.contains(units.name) else {
            throw MLModelError(.generic, "POCKETREC_COREML_REFUSED_UNITS refuses the compute units \(units.name)")
        }
        (child, reply) = try Child.start(server, package: program(of: url).path, function: function)
        (padded, self.units, self.function, self.displayName) = (server.padded, units, function, displayName)
    }

    /// What loads it, with all that it needs of the configuration taken out.
    static func later(
        _ url: URL, _ configuration: MLModelConfiguration, _ server: Server
    ) throws -> @Sendable () throws -> Loaded {
        let (units, function) = (configuration.computeUnits, configuration.functionName)
        let name = configuration.modelDisplayName
        return { try Loaded(url, units, function, name, server) }
    }

    func configuration() -> MLModelConfiguration {
        let made = MLModelConfiguration()
        (made.computeUnits, made.functionName, made.modelDisplayName) = (units, function, displayName)
        return made
    }
}

/// A folder `.mlmodelc` of its own, as the framework makes one: whoever asked for it moves it where it may stay.
private func compiled(_ package: URL) throws -> URL {
    let files = FileManager.default
    guard files.fileExists(atPath: package.appendingPathComponent("Manifest.json").path) else {
        throw MLModelError(.io, "\(package.path) is no .mlpackage; pass the folder with Manifest.json in it")
    }
    let name = package.deletingPathExtension().lastPathComponent
    let folder = files.temporaryDirectory.appendingPathComponent("\(UUID().uuidString)/\(name).mlmodelc")
    do {
        try files.createDirectory(at: folder, withIntermediateDirectories: true)
        try files.copyItem(at: package, to: folder.appendingPathComponent("\(name).mlpackage"))
    } catch {
        throw MLModelError(.io, "\(package.path) cannot be compiled: \(error.localizedDescription)")
    }
    return folder
}

/// The program in a folder that `compiled` wrote, whatever the folder is called by now.
private func program(of url: URL) throws -> URL {
    let held = (try? FileManager.default.contentsOfDirectory(atPath: url.path)) ?? []
    if let package = held.first(where: { $0.hasSuffix(".mlpackage") }) { return url.appendingPathComponent(package) }
    if url.pathExtension == "mlpackage" {
        throw MLModelError(.io, "\(url.path) is not compiled; call MLModel.compileModel(at:) first")
    }
    throw MLModelError(.io, "\(url.path) is nothing that compileModel(at:) of this package wrote")
}
