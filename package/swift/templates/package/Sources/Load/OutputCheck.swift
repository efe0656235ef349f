/// What a function's outputs must not be, whatever its artifact and the device make of it.
struct OutputCheck: Sendable {
    let function: String
    let contract: Contract
    let signature: Signature

    /// Checks that outputs hold numbers. Minus infinity is one in scores, where it stands for what is forbidden.
    func check(_ outputs: [String: Tensor]) throws {
        for out in signature.outputs {
            guard case let .float32(values) = outputs[out.name]?.data else { continue }
            let isScore = out.meaning == .score || out.meaning == .logit || out.meaning == .topKScores
            let broken = values.first { $0.isNaN || $0 == .infinity || (!isScore && $0 == -.infinity) }
            if let broken {
                throw LoadError(
                    .badOutput,
                    "output \(out.name) of the function \(function) holds \(broken); load the model with computeUnits: .cpuOnly")
            }
        }
    }

    /// Whether every score is zero, as of a model that does not work on a device; a vector or a state may well be.
    func isSilent(_ outputs: [String: Tensor]) -> Bool {
        let scored = signature.outputs.filter { $0.meaning.isScore || $0.meaning == .topKScores }
        let values = scored.flatMap { outputs[$0.name]?.numbers ?? [] }
        return values.count > 1 && values.allSatisfy { $0 == 0 }
    }

    /// Inputs for one row that say something: items from all over the vocabulary, as one may be like no other; the
    /// largest numbers.
    func probe() throws -> [String: Tensor] {
        var inputs: [String: Tensor] = [:]
        for feature in signature.inputs {
            let shape = try feature.shape.enumerated().map { axis, size in
                let bounds = try contract.bounds(size)
                return axis == 0 && signature.hasRows ? bounds.lowerBound : bounds.upperBound
            }
            inputs[feature.name] = try Tensor(
                feature.dtype, shape: shape, numbers: probed(feature, placesOf(shape) ?? 0))
        }
        return inputs
    }

    private func probed(_ feature: Feature, _ count: Int) throws -> [Double] {
        if let vocabulary = feature.vocabulary {
            let spec = try contract.vocabulary(vocabulary)
            return (0..<count).map { place in
                let wanted = place * spec.size / count
                let item = (wanted..<spec.size).first { !spec.aside.contains($0) }
                return Double(item ?? (0..<wanted).last { !spec.aside.contains($0) } ?? 0)
            }
        }
        var number = feature.maximum != 0 ? feature.maximum : feature.minimum != 0 ? feature.minimum : 1
        if feature.kind == .mask || feature.dtype == .bool || feature.kind == .length { number = 1 }
        return [Double](repeating: number, count: count)
    }
}
