import CoreML
import Foundation

/// What a package knows of its model.
struct ModelSpec: Sendable {
    /// The name of the package and of its module.
    let package: String
    let contract: @Sendable () throws -> Contract
    let sha256: String
    /// The sha256 of every vocabulary's index, which the contract's files have alone.
    let indexes: [String: String]
}

/// How a model is to be loaded.
struct LoadOptions: Sendable {
    var computeUnits = ComputeUnits.all
    var isInMemory = false
    var store: Store?
    var onState: OnState = { _ in }
}

/// A model that is loaded: host logic over Core ML.
struct Loaded: Sendable {
    let host: Host
    let engine: Engine
    let vocabularies: [String: Items]
    let computeUnits: ComputeUnits
    let fallback: String?
    let report: LoadReport
}

/// A model on its way from a folder to answers: found, checked, compiled, opened.
struct Loading: Sendable {
    let spec: ModelSpec
    let options: LoadOptions

    private var store: Store { options.store ?? Store(package: spec.package) }

    /// The model of a folder.
    ///
    /// - Throws: ``LoadError``, and `CancellationError`.
    func load(_ source: ModelFolder) async throws -> Loaded {
        do {
            try Task.checkCancellation()
            return try await loaded(source)
        } catch {
            throw failure(of: error)
        }
    }

    private func loaded(_ source: ModelFolder) async throws -> Loaded {
        let started = DispatchTime.now().uptimeNanoseconds
        let folder = try source.find(package: spec.package)
        let contract = try spec.contract()
        let engine = Engine(contract: contract, sha256: spec.sha256)
        let manifest = try Manifest(folder: folder, contract: contract, spec: spec)
        let checking = Checking(folder: folder, manifest: manifest, store: store, onState: options.onState)
        let read = try await engine.perform { try checking.check() }
        let vocabularies = try await engine.perform { try opened(contract, manifest, folder) }
        options.onState(.compiling)
        let opening = try await open(engine, manifest, folder)
        try Task.checkCancellation()
        let host = try Host(contract: contract, vocabularies: vocabularies) { try await engine.run($0, $1) }
        let report = LoadReport(
            seconds: Double(DispatchTime.now().uptimeNanoseconds - started) / 1e9, checkedBytes: read,
            modelBytes: manifest.bytes, compiled: opening.compiled, peakMemoryBytes: peakMemory())
        report.tell()
        options.onState(.ready)
        let units = opening.fellBack ? .cpuOnly : options.computeUnits
        return Loaded(
            host: host, engine: engine, vocabularies: vocabularies, computeUnits: units, fallback: opening.fallback,
            report: report)
    }

    private struct Opening {
        var compiled = false
        var fallback: String?
        var fellBack = false
    }

    private func open(_ engine: Engine, _ manifest: Manifest, _ folder: URL) async throws -> Opening {
        var opening = Opening()
        #if !os(Linux)
        if options.isInMemory {
            do {
                try await openInMemory(engine, manifest, folder)
                return opening
            } catch let error as LoadError where error.code == .sessionFailed {
                opening.fallback = error.message
            }
        }
        #endif
        let compiling = Compiling(folder: folder, manifest: manifest, store: store)
        var places = try await compiling.places(again: false)
        opening.compiled = compiling.hasCompiled(places)
        var reason: String?
        do {
            reason = try await engine.open(places.functions, units: options.computeUnits)
        } catch let error as LoadError where error.code == .sessionFailed && !opening.compiled {
            places = try await compiling.places(again: true)  // what was kept may be of another system, or damaged
            opening.compiled = true
            reason = try await engine.open(places.functions, units: options.computeUnits)
        }
        opening.fellBack = reason != nil
        opening.fallback = reason ?? opening.fallback
        return opening
    }

    #if !os(Linux)
    /// Opens the very bytes that were checked; nothing is written to the device.
    private func openInMemory(_ engine: Engine, _ manifest: Manifest, _ folder: URL) async throws {
        guard #available(iOS 18, macOS 15, tvOS 18, visionOS 2, *) else {
            throw LoadError(.sessionFailed, "a model in memory needs iOS 18; it was compiled to a file")
        }
        var models: [String: HeldModel] = [:]
        for (name, function) in manifest.functions.sorted(by: { $0.key < $1.key }) {
            let memory = try MemoryModel(package: function.package, manifest: manifest, folder: folder)
            models[name] = try await memory.load(options.computeUnits, function: function.function)
        }
        try await engine.adopt(models, units: options.computeUnits)
    }
    #endif

    private func opened(_ contract: Contract, _ manifest: Manifest, _ folder: URL) throws -> [String: Items] {
        var found: [String: Items] = [:]
        for (name, spec) in contract.vocabularies {
            guard let files = manifest.vocabularies[name] else { throw Manifest.bad("lacks vocabularies.\(name)") }
            let read = { (file: String) in try mapped(folder.appendingPathComponent(file)) }
            found[name] = try Items(
                name: name, spec: spec, index: read(files.index), tokens: read(files.tokens),
                titles: files.titles.map(read), spellings: files.spellings.map(read))
        }
        return found
    }
}

/// The bytes of a file, which the system reads when they are used.
private func mapped(_ url: URL) throws -> Data {
    do {
        return try Data(contentsOf: url, options: .alwaysMapped)
    } catch {
        throw LoadError(.missingFile, "\(url.lastPathComponent) cannot be read (\(reason(of: error))); \(Manifest.next)")
    }
}
