import Foundation

@testable import Host

/// A toy model on tape: its contract, its API vectors, what it was asked and what it gave.
private struct Tape: Decodable {
    let contract: Contract
    let vectors: Vectors
    let runs: [Run]

    struct Run: Decodable {
        let function: String
        let inputs: [String: Value]
        let outputs: [String: Numbers]
    }

    struct Numbers: Decodable {
        let dtype: Dtype
        let shape: [Int]
        let data: [Double]
    }
}

private struct NotOnTheTape: Error, CustomStringConvertible {
    let asked: String
    var description: String { "not on the tape: \(asked)" }
}

private struct Found: Encodable {
    var compared = 0
    var rules = 0
    var differences: [String] = []
}

/// What differs where the tapes are replayed, by the name of the tape.
func replayTapes(_ given: Data, _ folder: URL) async throws -> Data {
    let tapes = try JSONDecoder().decode([String: Tape].self, from: given)
    var found: [String: Found] = [:]
    for (name, tape) in tapes {
        do {
            found[name] = try await replayed(tape, folder.appendingPathComponent(name))
        } catch {
            found[name] = Found(differences: ["\(error)"])
        }
    }
    return try JSONEncoder().encode(found)
}

private func replayed(_ tape: Tape, _ folder: URL) async throws -> Found {
    var vocabularies: [String: Items] = [:]
    for (name, spec) in tape.contract.vocabularies { vocabularies[name] = try items(name, spec, in: folder) }
    var outputs: [String: [String: Tensor]] = [:]
    for run in tape.runs {
        outputs[key(run.function, run.inputs)] = try run.outputs.mapValues {
            try Tensor($0.dtype, shape: $0.shape, numbers: $0.data)
        }
    }
    let known = outputs
    let host = try Host(contract: tape.contract, vocabularies: vocabularies, tokenize: { _, _, _, _ in [1] }) { name, inputs in
        let asked = key(name, inputs.mapValues(plain))
        guard let outputs = known[asked] else { throw NotOnTheTape(asked: asked) }
        return outputs
    }
    let tolerances = tape.contract.functions.mapValues { _ in ["any": 1e-9] }
    let calls = try await replay(host, tape.vectors, tolerances: tolerances, tieTolerance: 0)
    let rules = try await replayRules(host, tape.vectors)
    return Found(
        compared: calls.compared, rules: rules.compared, differences: calls.differences + rules.differences)
}

private func key(_ function: String, _ inputs: [String: Value]) -> String {
    "\(function) \(Value.record(inputs).json)"
}

private func plain(_ tensor: Tensor) -> Value {
    let isFlags = tensor.dtype == .bool
    return .record([
        "dtype": .text(tensor.dtype.rawValue), "shape": .list(tensor.shape.map { .number(Double($0)) }),
        "data": .list(tensor.numbers.map { isFlags ? .flag($0 != 0) : .number($0) }),
    ])
}
