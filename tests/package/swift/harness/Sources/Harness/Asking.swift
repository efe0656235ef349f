import Foundation

@testable import Host

private struct Given: Decodable {
    let contract: Contract
    let calls: [Asking]
    /// What the model gives: the shape and the number of every output, or nothing.
    let outputs: [String: Numbers]

    struct Asking: Decodable {
        let method: String
        let arguments: [String: Value]
    }

    struct Numbers: Decodable {
        let shape: [Int]
        let number: Value
    }
}

/// The code of what every call is refused with, or that it was answered.
func ask(_ given: Data, _ folder: URL) async throws -> Data {
    var found: [String: [String]] = [:]
    for (name, each) in try JSONDecoder().decode([String: Given].self, from: given) {
        found[name] = try await said(each, folder)
    }
    return try JSONEncoder().encode(found)
}

private func said(_ given: Given, _ folder: URL) async throws -> [String] {
    var vocabularies: [String: Items] = [:]
    for (name, spec) in given.contract.vocabularies { vocabularies[name] = try items(name, spec, in: folder) }
    let outputs = try given.outputs.mapValues { each in
        let numbers = [Double](repeating: number(each.number), count: placesOf(each.shape) ?? 0)
        return try Tensor(.float32, shape: each.shape, numbers: numbers)
    }
    let host = try Host(contract: given.contract, vocabularies: vocabularies) { _, _ in outputs }
    var found: [String] = []
    for each in given.calls {
        do {
            _ = try await host.call(each.method, each.arguments.mapValues(spelledOut))
            found.append("answered")
        } catch let error as CallError {
            found.append(error.code.rawValue)
        } catch let error as ModelError {
            found.append(error.code.rawValue)
        }
    }
    return found
}

/// A value whose numbers may be what JSON has no sign for.
private func spelledOut(_ value: Value) -> Value {
    switch value {
    case .text("NaN"), .text("Infinity"), .text("-Infinity"): .number(number(value))
    case let .list(values): .list(values.map(spelledOut))
    case let .record(record): .record(record.mapValues(spelledOut))
    default: value
    }
}

private func number(_ value: Value) -> Double {
    switch value {
    case let .number(number): number
    case .text("Infinity"): .infinity
    case .text("-Infinity"): -.infinity
    default: .nan
    }
}
