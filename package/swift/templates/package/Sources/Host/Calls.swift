// A model called in an app's words. What runs the model is not known here: it is a function of tensors.

/// What a model's functions are called with, and what they answer.
struct Host: Sendable {
    let contract: Contract
    let vocabularies: [String: Items]
    /// The functions as an app sees them.
    let calls: [Call]
    private let run: Run
    private let tokenize: Tokenize

    /// A host of a model.
    ///
    /// - Throws: ``ModelError`` `badContract` where the contract names what it does not have.
    init(
        contract: Contract, vocabularies: [String: Items], tokenize: @escaping Tokenize = WordPiece.tokenize,
        run: @escaping Run
    ) throws {
        self.contract = contract
        self.vocabularies = vocabularies
        self.run = run
        self.tokenize = tokenize
        calls = try contract.calls()
    }

    /// The call of a method.
    func call(named method: String) throws -> Call {
        guard let call = calls.first(where: { $0.method == method }) else {
            let known = calls.map(\.method).joined(separator: ", ")
            throw CallError(.unknownMethod, "\(method) is no method; expected \(known)")
        }
        return call
    }

    /// The answer of a method, and what it leaves for the next call.
    ///
    /// - Parameters:
    ///   - method: one of ``calls``.
    ///   - given: arguments by their names in an app; null counts as left out.
    ///   - states: what earlier calls left, by the state's name; zeros where there is nothing yet.
    /// - Throws: ``CallError`` where the app asked for what cannot be answered, ``ModelError`` where the model is not as
    ///   its contract says, and `CancellationError`.
    func call(
        _ method: String, _ given: [String: Value], states: [String: Tensor] = [:]
    ) async throws -> (answer: Answer, states: [String: Tensor]) {
        let call = try call(named: method)
        let given = given.filter { !$1.isNull }
        try checkNames(call, given)
        let model = StatefulModel(contract: contract, run: run, states: states)
        let signature = try contract.signature(call.function)
        let names = Dictionary(call.arguments.map { ($0.feature, $0.name) }) { first, _ in first }
        let encoder = FeatureEncoder(
            contract: contract, signature: signature, vocabularies: vocabularies, tokenize: tokenize, names: names,
            unknown: UnknownWords())
        let asked = Asked(call: call, given: given, signature: signature, encoder: encoder, model: model)
        return (try await asked.answer(), model.states)
    }

    private func checkNames(_ call: Call, _ given: [String: Value]) throws {
        let names = call.names
        guard let name = given.keys.sorted().first(where: { !names.contains($0) }) else { return }
        throw CallError(
            .unknownFeature,
            "\(name) is no argument of \(call.method); expected \(names.joined(separator: ", "))")
    }
}

/// A model whose states are put in, and kept for its next run.
final class StatefulModel {
    private(set) var states: [String: Tensor]
    private let contract: Contract
    private let function: Run

    init(contract: Contract, run: @escaping Run, states: [String: Tensor]) {
        self.contract = contract
        self.states = states
        function = run
    }

    /// The outputs of a function for its inputs; a cancelled task runs nothing.
    func run(_ name: String, _ inputs: [String: Tensor]) async throws -> [String: Tensor] {
        try Task.checkCancellation()
        let signature = try contract.signature(name)
        var inputs = inputs
        for each in signature.inputs where each.kind == .state {
            inputs[each.name] = try states[each.name] ?? zeros(each)
        }
        let outputs = try await function(name, inputs)
        try Task.checkCancellation()
        for out in signature.outputs {
            if let state = out.updates, let next = outputs[out.name] { states[state] = next }
        }
        return outputs
    }

    private func zeros(_ state: Feature) throws -> Tensor {
        let shape = try state.shape.map { try contract.bounds($0).lowerBound }
        guard let count = placesOf(shape) else {
            throw ModelError(.badContract, "state \(state.name) has the shape \(shape); build the model again")
        }
        return try Tensor(state.dtype, shape: shape, numbers: [Double](repeating: 0, count: count))
    }
}
