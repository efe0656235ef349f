/// The outputs of a function of the model for its inputs.
typealias Run = @Sendable (_ function: String, _ inputs: [String: Tensor]) async throws -> [String: Tensor]

/// One call on its way: its arguments checked, its features as inputs, its answer's items in words.
struct Asked {
    let call: Call
    let given: [String: Value]
    let signature: Signature
    let encoder: FeatureEncoder
    let model: StatefulModel

    private static let defaultK = 10

    var contract: Contract { encoder.contract }

    /// The outputs of the function that is called.
    func outputs(_ inputs: [String: Tensor]) async throws -> [String: Tensor] {
        try await model.run(call.function, inputs)
    }

    /// The items of the function.
    var items: Items {
        get throws {
            guard let items = encoder.vocabularies[call.items] else {
                throw ModelError(.badContract, "there is no vocabulary \(call.items); generate the package again")
            }
            return items
        }
    }

    /// How many items are asked for.
    func k() throws -> Int {
        try given["k"].map(checkedK) ?? Asked.defaultK
    }

    /// The ids that are never listed: what is set aside, and what the call excludes.
    func leftOut() throws -> Set<Int> {
        let words = try given["excluding"].map { try elements("excluding", $0, "a list of items") } ?? []
        let items = try items
        var found = items.aside
        for (place, word) in words.enumerated() {
            guard case let .text(text) = word else { throw wrong("excluding[\(place)]", word, "a token or a title") }
            if let item = try items.find(text) { found.insert(item) }
        }
        return found
    }

    /// The features of the call.
    func features() throws -> [String: Value] {
        var row: [String: Value] = [:]
        for each in call.arguments { row[each.feature] = given[each.name] }
        try checkPresent(row) { $0 }
        return row
    }

    /// The features of every candidate, those of the call where it has none of its own.
    func features(ofCandidates records: [[String: Value]]) throws -> [[String: Value]] {
        var shared: [String: Value] = [:]
        for each in call.arguments { shared[each.feature] = given[each.name] }
        let rows = records.map { shared.merging($0) { _, own in own } }
        for (place, row) in rows.enumerated() { try checkPresent(row) { "\($0) of candidates[\(place)]" } }
        return rows
    }

    private func checkPresent(_ row: [String: Value], _ said: (String) -> String) throws {
        for each in call.arguments where row[each.feature] == nil {
            let expected = try expected(each.feature)
            throw CallError(.missingFeature, "\(said(each.name)) is missing; pass \(expected)")
        }
    }

    private func expected(_ name: String) throws -> String {
        guard let feature = try askedInputs().first(where: { $0.name == name }) else { return "a value" }
        if feature.isSequence { return try contract.isText(feature) ? "text" : "a list of items" }
        if feature.kind == .id { return "a token or a title" }
        return signature.rest(of: feature).isEmpty ? "a number" : "a list of numbers"
    }

    /// The inputs of every function that takes part.
    private func askedInputs() throws -> [Feature] {
        if call.role != .generate { return signature.inputs }
        return try signature.inputs + contract.functions(feeding: call.function).flatMap { try contract.signature($0).inputs }
    }

    /// The call's features as the model's inputs, states left out.
    func inputs() throws -> [String: Tensor] {
        try encoder.tensors([features()])
    }

    /// The first output of a kind.
    func output(where fits: (Output) throws -> Bool) throws -> Output {
        guard let found = try signature.outputs.first(where: fits) else {
            throw ModelError(
                .badContract, "function \(call.function) has no output to \(call.role.rawValue) by; build the model again")
        }
        return found
    }

    /// What the model gave for an output.
    func tensor(_ out: Output, _ outputs: [String: Tensor]) throws -> Tensor {
        guard let tensor = outputs[out.name] else {
            throw ModelError(.badOutput, "the model gives no output \(out.name); build it again")
        }
        return tensor
    }

    /// The numbers of the first row of an output.
    func row(_ out: Output, _ outputs: [String: Tensor]) throws -> [Double] {
        let tensor = try tensor(out, outputs)
        let isOne = signature.hasRows && !out.shape.isEmpty
        let count = isOne ? placesOf(Array(tensor.shape.dropFirst())) : tensor.data.count
        guard let count, count <= tensor.data.count, count == fixedPlaces(out) ?? count else {
            throw ModelError(
                .badOutput, "\(out.name) has the shape \(tensor.shape), which the contract does not have; build it again")
        }
        return tensor.numbers(in: 0..<count)
    }

    /// How many numbers one row of an output has, where that is the same for every call.
    private func fixedPlaces(_ out: Output) -> Int? {
        let sizes = signature.rest(of: out).map { size in
            if case let .fixed(size) = size { return size }
            return -1
        }
        return placesOf(sizes)
    }

    /// An item of the answer.
    func item(_ place: Int, score: Double? = nil, probability: Double? = nil) throws -> Scored {
        let items = try items
        return Scored(
            id: place, token: try items.token(place), title: try items.shown(place), score: score.map { Float($0) },
            probability: probability)
    }

    /// A candidate of the answer, which may be a word that the model does not know.
    func candidate(_ word: String, score: Double, probability: Double? = nil) throws -> Scored {
        let items = try items
        if let found = try items.find(word) { return try item(found, score: score, probability: probability) }
        let padding = try signature.input(call.candidate).outOfVocabulary == .padding
        let id = padding ? items.spec.paddingId : items.spec.unknownId
        return Scored(id: id ?? 0, token: word, title: word, score: Float(score), probability: probability)
    }

    /// The answer of a list.
    func listed(_ found: [Scored]) -> Answer {
        .items(found, unknown: unknown)
    }

    /// The words of the call that no item is, so far.
    var unknown: [Unknown] { encoder.unknown.list }
}
