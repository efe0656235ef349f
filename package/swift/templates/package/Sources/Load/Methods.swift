/// The calls of a model that is loaded, by the contract's own names.
struct Calls: Sendable {
    let loaded: Loaded
    /// The states of one session; nil where every call stands alone.
    var session: SessionStates?

    /// The answer of a method.
    ///
    /// - Throws: ``CallError``, ``LoadError``, and `CancellationError`.
    func ask(_ method: String, _ given: [String: Value]) async throws -> Answer {
        do {
            try Task.checkCancellation()
            try await loaded.engine.checkOpen()
            if let session {
                return try await session.next { try await loaded.host.call(method, given, states: $0) }
            }
            return try await loaded.host.call(method, given).answer
        } catch {
            throw failure(of: error)
        }
    }

    /// The items that a method lists.
    func items<ID: ItemIdentifier>(_ method: String, _ given: [String: Value]) async throws -> Recommendations<ID> {
        guard case let .items(items, unknown) = try await ask(method, given) else { throw other(method) }
        return Recommendations(items, unknown: unknown)
    }

    /// The vector that a method gives.
    func embedding(_ method: String, _ given: [String: Value]) async throws -> Embedding {
        guard case let .embedding(embedding) = try await ask(method, given) else { throw other(method) }
        return embedding
    }

    /// The outputs that a method predicts.
    func prediction(_ method: String, _ given: [String: Value]) async throws -> Prediction {
        guard case let .prediction(prediction) = try await ask(method, given) else { throw other(method) }
        return prediction
    }

    /// The arm that a method decides for.
    func decision<ID: ItemIdentifier>(_ method: String, _ given: [String: Value]) async throws -> Decision<ID> {
        guard case let .decision(arm, propensity, unknown) = try await ask(method, given) else { throw other(method) }
        return Decision(arm, propensity: propensity, unknown: unknown)
    }

    private func other(_ method: String) -> LoadError {
        LoadError(.badContract, "\(method) answers otherwise than the package says; generate the package again")
    }
}

/// The states of one session: its calls come one after another, in the order in which they were made.
actor SessionStates {
    private var states: [String: Tensor] = [:]
    private var last: Task<Void, Never>?

    /// What is answered with the states that the calls before leave; a call that fails changes nothing.
    func next(
        _ call: @escaping @Sendable ([String: Tensor]) async throws -> (answer: Answer, states: [String: Tensor])
    ) async throws -> Answer {
        let before = last
        let task = Task {
            await before?.value
            let (answer, states) = try await call(self.states)
            self.states = states
            return answer
        }
        last = Task { _ = await task.result }
        return try await withTaskCancellationHandler {
            try await task.value
        } onCancel: {
            task.cancel()
        }
    }

    /// Puts the states back to zeros, after the calls that were made before.
    func reset() async {
        let before = last
        let task = Task {
            await before?.value
            states = [:]
        }
        last = task
        await task.value
    }
}

/// What an argument of a method is as a value of the host logic.
protocol Argument {
    var asValue: Value { get }
}

extension String: Argument {
    var asValue: Value { .text(self) }
}

extension Double: Argument {
    var asValue: Value { .number(self) }
}

extension Int: Argument {
    var asValue: Value { .number(Double(self)) }
}

extension Bool: Argument {
    var asValue: Value { .flag(self) }
}

extension Array: Argument where Element: Argument {
    var asValue: Value { .list(map(\.asValue)) }
}

extension Optional: Argument where Wrapped: Argument {
    var asValue: Value { map(\.asValue) ?? .null }
}

extension Prediction {
    /// An output that the contract has.
    func output(_ name: String) throws -> Predicted {
        guard let output = outputs[name] else { throw shaped(name) }
        return output
    }
}

extension Predicted {
    /// The one number of an output.
    func one(_ name: String) throws -> Double {
        guard case let .number(number) = value else { throw shaped(name) }
        return number
    }

}

extension Predicted.Value {
    func one(_ name: String) throws -> Double {
        guard case let .number(number) = self else { throw shaped(name) }
        return number
    }

    func list(_ name: String) throws -> [Predicted.Value] {
        guard case let .list(values) = self else { throw shaped(name) }
        return values
    }
}

/// What to throw for an output of another shape than its contract's.
func shaped(_ name: String) -> LoadError {
    LoadError(.badOutput, "output \(name) has another shape than the contract says; generate the package again")
}
