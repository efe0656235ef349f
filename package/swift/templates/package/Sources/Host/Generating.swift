// Items spelled id by id: what comes before runs once, the generating function for every step of a search.

extension Asked {
    /// Beams of which fewer would miss items that begin badly.
    private static let leastBeams = 10

    /// The items of the k best spellings that the call does not exclude; scores are log-probabilities.
    ///
    /// What the model itself forbids is not listed. As many beams live on as items are asked for, ten at least.
    func generate() async throws -> Answer {
        let (k, leftOut) = (try k(), try leftOut())
        let given = try encoded()  // a mistake is told even where nothing is asked for
        guard let trie = try items.spelled?.without(leftOut), k > 0, trie.count > 0 else { return listed([]) }
        let step = try Step(asked: self, given: try await fed(given))
        let found = try await beamSearch(trie, start: step.start, width: max(k, Asked.leastBeams), step: step.logits)
        let kept = found.filter { $0.score > -.infinity }.prefix(k)
        return listed(try kept.map { try item($0.item, score: Double($0.score)) })
    }

    /// Every function's inputs of one row; what other functions give, and the prefix, left out.
    private func encoded() throws -> [String: [String: Tensor]] {
        let rows = [try features()]
        let prefix = try contract.prefix(of: call.function, items: call.items).name
        let without = Set(try contract.fedBy(call.function).map(\.input) + [prefix])
        var found: [String: [String: Tensor]] = [:]
        for name in try contract.functions(feeding: call.function) {
            let other = encoder.with(
                try contract.signature(name), spelled: try items, without: name == call.function ? without : [])
            found[name] = try other.tensors(rows)
        }
        return found
    }

    /// The generating function's inputs of one row, those among them that other functions give.
    private func fed(_ given: [String: [String: Tensor]]) async throws -> [String: Tensor] {
        var found = given[call.function] ?? [:]
        let feeding = try contract.fedBy(call.function)
        for name in try contract.functions(feeding: call.function).dropLast() {
            let outputs = try await model.run(name, given[name] ?? [:])
            for each in feeding where each.giver == name {
                guard let output = outputs[each.input] else {
                    throw ModelError(.badOutput, "the model gives no output \(each.input); build it again")
                }
                found[each.input] = output
            }
        }
        return found
    }
}

/// Logits of the next id after prefixes, in as many runs as the contract's batch asks for.
private struct Step {
    let asked: Asked
    let given: [String: Tensor]
    let prefix: Feature
    let out: Output
    let start: Int

    init(asked: Asked, given: [String: Tensor]) throws {
        let code = try asked.contract.vocabulary(asked.call.items).spelledIn ?? ""
        self.asked = asked
        self.given = given
        prefix = try asked.contract.prefix(of: asked.call.function, items: asked.call.items)
        out = try asked.output { $0.meaning == .logit && $0.vocabulary == code }
        start = try asked.contract.vocabulary(code).paddingId ?? 0
    }

    func logits(_ prefixes: [[Int]]) async throws -> [[Double]] {
        let bounds = try asked.contract.bounds(prefix.shape.first ?? .fixed(1))
        var rows: [[Double]] = []
        for start in stride(from: 0, to: prefixes.count, by: max(1, bounds.upperBound)) {
            let chunk = Array(prefixes[start...].prefix(max(1, bounds.upperBound)))
            let missing = max(0, bounds.lowerBound - chunk.count)
            rows += try await run(chunk + Array(repeating: chunk[chunk.count - 1], count: missing)).prefix(chunk.count)
        }
        return rows
    }

    private func run(_ prefixes: [[Int]]) async throws -> [[Double]] {
        let bounds = try asked.contract.bounds(prefix.shape.last ?? .fixed(1))
        let length = prefixes.first?.count ?? 0
        if length > bounds.upperBound {
            throw CallError(
                .tooLong, "\(prefix.name) takes \(bounds.upperBound) ids, and items are spelled in \(length) or more")
        }
        let isLeft = prefix.paddingSide == .left
        let fill = Array(repeating: start, count: max(0, bounds.lowerBound - length))
        let padded = prefixes.flatMap { isLeft ? fill + $0 : $0 + fill }
        var inputs = try given.mapValues { try $0.repeated(prefixes.count) }
        inputs[prefix.name] = try Tensor(
            prefix.dtype, shape: [prefixes.count, length + fill.count], numbers: padded.map { Double($0) })
        let logits = try asked.tensor(out, try await asked.outputs(inputs))
        return try rows(of: logits, count: prefixes.count, place: isLeft ? nil : length - 1)
    }

    /// The logits of every row, at one place where there are several; the last one by default.
    private func rows(of logits: Tensor, count: Int, place: Int?) throws -> [[Double]] {
        let shape = logits.shape
        guard shape.count == 2 || shape.count == 3, shape[0] == count, let width = shape.last else {
            throw ModelError(.badOutput, "\(out.name) has the shape \(shape); expected \(count) rows of logits")
        }
        let places = shape.count == 2 ? 1 : shape[1]
        let at = shape.count == 2 ? 0 : place ?? places - 1
        guard 0 <= at, at < places else {
            throw ModelError(.badOutput, "\(out.name) has the shape \(shape); expected logits at place \(at)")
        }
        return (0..<count).map { row in
            let first = (row * places + at) * width
            return logits.numbers(in: first..<first + width)
        }
    }
}
