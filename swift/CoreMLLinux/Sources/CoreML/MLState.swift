/// What a stateful model keeps from one prediction to the next; two states never know of each other.
public final class MLState {
    private let arrays: [String: MLMultiArray]

    /// Zeros, as `makeState` begins.
    init(_ features: [Feature]) throws {
        let pairs = try features.map { feature in
            let array = try MLMultiArray(sizes: feature.smallest, dataType: feature.dataType())
            array.fill(Data(count: array.count * array.dataType.bytes))
            return (feature.name, array)
        }
        arrays = Dictionary(pairs, uniquingKeysWith: { first, _ in first })
    }

    /// Calls `body` with the buffer of a state; the name is one of the model's states.
    public func withMultiArray<R>(for stateName: String, _ body: (MLMultiArray) throws -> R) rethrows -> R {
        guard let array = arrays[stateName] else { preconditionFailure("there is no state \(stateName)") }
        return try body(array)
    }

    var tensors: [(String, MLMultiArray)] { arrays.sorted { $0.key < $1.key }.map { ($0.key, $0.value) } }

    /// Takes what the states hold after a prediction.
    func take(_ parts: [(Tensor, Data)]) throws {
        for (tensor, data) in parts {
            guard let array = arrays[tensor.name], tensor.dtype == array.dataType.name, tensor.shape == array.sizes
            else { throw MLModelError(.generic, "the state \(tensor.name) came back as another one") }
            array.fill(data)
        }
    }
}
