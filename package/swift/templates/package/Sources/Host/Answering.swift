// What each role answers, given a call and the model.

extension Asked {
    /// The answer to the call.
    func answer() async throws -> Answer {
        switch call.role {
        case .recommend, .search: try await recommend()
        case .rank: try await rank()
        case .embed: try await embed()
        case .predict: try await predict()
        case .arrange: try await arrange()
        case .decide: try await decide()
        case .generate: try await generate()
        }
    }

    /// The k best of all items that may be listed.
    private func recommend() async throws -> Answer {
        let (k, leftOut) = (try k(), try leftOut())
        let inputs = try inputs()  // a mistake is told even where nothing is asked for
        if k == 0, !signature.hasStates { return listed([]) }
        let outputs = try await outputs(inputs)
        let out = try output(where: contract.listsItems)
        if out.meaning == .topKIds { return listed(try fromLists(out, outputs, k, leftOut)) }
        let scores = try row(out, outputs)
        let found = try best(of: scores, k: k, leftOut: leftOut)
        let chances = out.meaning == .logit ? softmax(scores, leftOut: try items.aside) : scores
        return listed(
            try found.map { each in
                let chance = out.meaning == .score ? nil : chances[each.place]
                return try item(each.place, score: each.score, probability: chance)
            })
    }

    /// The k best of the ids that the model lists, where it scores them; else the first that it lists.
    private func fromLists(
        _ out: Output, _ outputs: [String: Tensor], _ k: Int, _ leftOut: Set<Int>
    ) throws -> [Scored] {
        let items = try items
        let ids = try row(out, outputs).map { Int(exactly: $0) ?? -1 }
        let known = ids.indices.filter { items.isItem(ids[$0]) && !leftOut.contains(ids[$0]) }
        guard let scored = signature.outputs.first(where: { $0.meaning == .topKScores }) else {
            return try known.prefix(k).map { try item(ids[$0]) }
        }
        let scores = try row(scored, outputs)
        guard scores.count == ids.count else { throw uneven(scored, scores.count, ids.count) }
        let placed = known.map { Placed(place: ids[$0], score: scores[$0]) }
        return try best(placed, k: k, leftOut: leftOut).map { try item($0.place, score: $0.score) }
    }

    private func uneven(_ out: Output, _ came: Int, _ expected: Int) -> ModelError {
        ModelError(.badOutput, "output \(out.name) has \(came) numbers; expected \(expected); build the model again")
    }

    /// The vector of the first output that is an embedding.
    private func embed() async throws -> Answer {
        let out = try output { $0.meaning == .embedding }
        let outputs = try await outputs(inputs())
        return .embedding(Embedding(values: try row(out, outputs).map { Float($0) }, unknown: unknown))
    }

    /// An arm: drawn by its probability where the call hands in a draw, else the best.
    private func decide() async throws -> Answer {
        let draw = try draw()
        let outputs = try await outputs(inputs())
        let over = try signature.outputs.filter(contract.listsItems)
        let chances = try over.first { $0.meaning == .probability }.map { try row($0, outputs) }
        try checkScores(chances ?? [], "id")  // a draw would pass over what is no number
        let scored = over.first { $0.meaning == .score } ?? over.first { $0.meaning == .logit }
        let scores = try scored.map { try row($0, outputs) } ?? chances ?? []
        let aside = try items.aside
        var arm: Int?
        if let chances, let draw { arm = drawn(chances, draw: draw, leftOut: aside) }
        guard let arm = try arm ?? best(of: scores, k: 1, leftOut: aside).first?.place else {
            throw CallError(.badScore, "no arm has a score; build the model again")
        }
        guard scores.indices.contains(arm) else {
            throw ModelError(.badOutput, "arm \(arm) has no score; build the model again")
        }
        let propensity = draw == nil ? nil : chances.map { share($0, of: arm, leftOut: aside) }
        return .decision(try item(arm, score: scores[arm]), propensity: propensity, unknown: unknown)
    }

    private func draw() throws -> Double? {
        guard let given = given["draw"] else { return nil }
        guard case let .number(draw) = given, 0 <= draw, draw < 1 else {
            throw CallError(.badDraw, "draw is \(shown(given)); expected a number from 0 to below 1")
        }
        return draw
    }
}

// MARK: - Predict

extension Asked {
    /// Every output with its unit.
    private func predict() async throws -> Answer {
        let outputs = try await outputs(inputs())
        var found: [String: Predicted] = [:]
        for each in signature.outputs where each.meaning != .state { found[each.name] = try predicted(each, outputs) }
        return .prediction(Prediction(outputs: found, unknown: unknown))
    }

    private func predicted(_ out: Output, _ outputs: [String: Tensor]) throws -> Predicted {
        let numbers = try row(out, outputs)
        if !signature.isOneNumber(out) {
            let shape = try tensor(out, outputs).shape
            let rest = signature.hasRows && !out.shape.isEmpty ? shape.dropFirst() : shape[...]
            return Predicted(value: nested(numbers[...], rest), unit: out.unit, probability: nil)
        }
        guard let number = numbers.first else { throw uneven(out, 0, 1) }
        return Predicted(value: .number(number), unit: out.unit, probability: chance(out, number))
    }

    private func nested(_ numbers: ArraySlice<Double>, _ shape: ArraySlice<Int>) -> Predicted.Value {
        guard let first = shape.first else { return .number(numbers.first ?? 0) }
        let step = numbers.count / max(1, first)
        return .list(
            (0..<first).map { place in
                let start = numbers.startIndex + place * step
                return nested(numbers[start..<start + step], shape.dropFirst())
            })
    }

    /// The probability that one number of an output stands for; nil where it is a score.
    private func chance(_ out: Output, _ number: Double) -> Double? {
        switch out.meaning {
        case .logit: sigmoid(number)
        case .probability: number
        default: nil
        }
    }
}

// MARK: - Candidates

extension Asked {
    /// The candidates, best first by the first output; of equal scores the earlier comes first.
    private func rank() async throws -> Answer {
        let records = try candidates().enumerated().map { try record($0, $1) }
        if records.isEmpty { return listed([]) }
        let heads = signature.outputs.filter(signature.isOneNumber)
        let rows = try features(ofCandidates: records)
        let scores = try await inChunks(rows, heads)
        for each in scores { try checkScores(each, "candidate") }
        guard let first = scores.first else { throw uneven(try output(where: signature.isOneNumber), 0, rows.count) }
        let order = first.indices.sorted { left, right in
            first[left] == first[right] ? left < right : first[left] > first[right]
        }
        return listed(try order.map { place in try ranked(rows[place], heads, scores.map { $0[place] }) })
    }

    private func candidates() throws -> [Value] {
        guard let given = given["candidates"] else {
            throw CallError(.missingFeature, "candidates is missing; pass a list of items")
        }
        return try elements("candidates", given, "a list of items")
    }

    /// One candidate with what is to be said of its scores.
    private func ranked(_ row: [String: Value], _ heads: [Output], _ scores: [Double]) throws -> Scored {
        let word = text(row[call.candidate])
        var found = try candidate(word, score: scores[0], probability: chance(heads[0], scores[0]))
        if heads.count > 1 {
            for (head, score) in zip(heads, scores) { found.scores[head.name] = Float(score) }
        }
        return found
    }

    /// A candidate's word, which has been looked up before.
    private func text(_ word: Value?) -> String {
        if case let .text(text)? = word { return text }
        return ""
    }

    /// A candidate's own features: an item alone, or a record that holds more.
    private func record(_ place: Int, _ candidate: Value) throws -> [String: Value] {
        if case .text = candidate { return [call.candidate: candidate] }
        guard case let .record(record) = candidate else {
            throw wrong("candidates[\(place)]", candidate, "an item or a record")
        }
        var features = [call.candidate: call.candidate]
        for each in call.arguments { features[each.name] = each.feature }
        if let name = record.keys.sorted().first(where: { features[$0] == nil }) {
            let known = ([call.candidate] + call.arguments.map(\.name)).joined(separator: ", ")
            throw CallError(
                .unknownFeature, "candidates[\(place)].\(name) is no feature of \(call.method); expected \(known)")
        }
        if record[call.candidate] == nil {
            throw CallError(
                .missingFeature, "candidates[\(place)].\(call.candidate) is missing; pass a token or a title")
        }
        return Dictionary(record.map { (features[$0] ?? $0, $1) }) { first, _ in first }
    }

    /// The numbers of every head, for as many rows at once as the contract allows.
    private func inChunks(_ rows: [[String: Value]], _ heads: [Output]) async throws -> [[Double]] {
        let leading = signature.inputs.first { $0.kind != .state }?.shape.first
        let most = signature.hasRows ? try leading.map(contract.bounds)?.upperBound ?? 1 : 1
        var found = heads.map { _ in [Double]() }
        for start in stride(from: 0, to: rows.count, by: max(1, most)) {
            let chunk = Array(rows[start...].prefix(max(1, most)))
            let outputs = try await outputs(encoder.tensors(chunk))
            for (place, head) in heads.enumerated() {
                let numbers = try tensor(head, outputs).numbers(in: 0..<chunk.count)
                guard numbers.count == chunk.count else { throw uneven(head, numbers.count, chunk.count) }
                found[place] += numbers
            }
        }
        return found
    }

    /// The page: the candidates in the model's order, k of them.
    private func arrange() async throws -> Answer {
        let (k, candidates) = (try k(), try candidates())
        let feature = try signature.input(call.candidate)
        let axis = signature.axis(of: feature)
        let most = try axis.map(contract.bounds)?.upperBound ?? 0
        if candidates.count > most {
            throw CallError(.tooMany, "candidates has \(candidates.count) items; expected at most \(most)")
        }
        let inputs = try inputs()
        if candidates.isEmpty { return listed([]) }
        let outputs = try await outputs(inputs)
        let out = try output { $0.meaning.isScore && axis != nil && signature.rest(of: $0).last == axis }
        let scores = try row(out, outputs)
        guard scores.count >= candidates.count else { throw uneven(out, scores.count, candidates.count) }
        let own = feature.paddingSide == .left ? scores.suffix(candidates.count) : scores.prefix(candidates.count)
        let places = try best(of: Array(own), k: k, leftOut: [])
        return listed(try places.map { try candidate(text(candidates[$0.place]), score: $0.score) })
    }
}
