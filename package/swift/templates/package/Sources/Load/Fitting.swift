// Any rows that the contract allows, on an artifact whose shapes may be fixed:
// rows ──▶ batches the artifact takes ──▶ padded to its lengths ──▶ run ──▶ cut, joined

/// One allowed range of an axis; `high` is nil where there is no limit.
struct SizeRange: Sendable, Equatable {
    let low: Int
    let high: Int?

    /// The smallest allowed size that holds `size`; the largest where none does.
    func nearest(_ size: Int) -> Int {
        let size = max(size, low)
        return high.map { min(size, $0) } ?? size
    }
}

/// How a function's inputs become those of its artifact, and its artifact's outputs those of the function.
struct Fitting: Sendable {
    let contract: Contract
    let signature: Signature
    /// The sizes that the artifact takes, of every axis of every input.
    let sizes: [String: [SizeRange]]

    private static let most = 256  // rows a run where neither the artifact nor the contract sets a limit

    /// The dim that leads the inputs; nil where the first axis has a fixed size.
    var batch: Size? {
        let leading = Set(signature.inputs.compactMap { each in each.shape.first.flatMap { isDim($0) ? $0 : nil } })
        return leading.count == 1 ? leading.first : nil
    }

    /// The runs that answer a call: inputs as the artifact takes them, and how many of their rows are asked for.
    ///
    /// - Throws: ``LoadError`` `runFailed` where an input is missing or longer than the artifact takes.
    func runs(_ inputs: [String: Tensor]) throws -> [(inputs: [String: Tensor], rows: Int)] {
        var fitted: [String: Tensor] = [:]
        for feature in signature.inputs {
            guard let given = inputs[feature.name] else {
                throw LoadError(.runFailed, "input \(feature.name) is missing; generate the package again")
            }
            fitted[feature.name] = try padded(given, feature)
        }
        guard let batch else { return [(fitted, 0)] }
        let batched = signature.inputs.filter { $0.shape.first == batch }.map(\.name)
        let rows = batched.compactMap { fitted[$0]?.shape.first }.first ?? 0
        let size = try batchSize(batch)
        var runs: [(inputs: [String: Tensor], rows: Int)] = []
        for start in stride(from: 0, to: rows, by: size.high ?? rows) {
            let count = min(size.high ?? rows, rows - start)
            let places = (start..<start + size.nearest(count)).map { min($0, rows - 1) }
            var run = fitted
            for name in batched { run[name] = try fitted[name]?.picked(places, axis: 0) }
            runs.append((run, count))
        }
        return runs
    }

    /// The outputs without the rows and places that were only filled in, the runs' rows one behind the other.
    func joined(_ parts: [(outputs: [String: Tensor], rows: Int)], inputs: [String: Tensor]) throws -> [String: Tensor] {
        var found: [String: Tensor] = [:]
        for out in signature.outputs {
            let cut = try parts.map { part in
                guard let tensor = part.outputs[out.name] else {
                    throw LoadError(.badOutput, "the model gives no output \(out.name); build it again")
                }
                return try unpadded(rowsCut(tensor, out, part.rows), out, inputs)
            }
            let leads = batch != nil && out.shape.first == batch
            found[out.name] = leads ? try Tensor.joined(cut) : cut.first
        }
        return found
    }

    private func padded(_ tensor: Tensor, _ feature: Feature) throws -> Tensor {
        guard let allowed = sizes[feature.name] else { return tensor }
        let padding = try feature.vocabulary.map { try contract.vocabulary($0).paddingId ?? 0 } ?? 0
        var found = tensor
        for axis in tensor.shape.indices where axis < allowed.count {
            guard let source = filledLike(feature, axis) else { continue }
            let size = tensor.shape[axis]
            let lacking = allowed[axis].nearest(size) - size
            guard lacking >= 0 else {
                throw LoadError(
                    .runFailed,
                    "input \(feature.name) has \(size) \(isId(feature) ? "ids" : "entries") along axis \(axis); the artifact takes \(size + lacking) at most; "
                        + "pass a shorter list")
            }
            let places = [Int](repeating: -1, count: lacking)
            let own = Array(0..<size)
            let order = source.paddingSide == .left ? places + own : own + places
            if lacking > 0 { found = try found.picked(order, axis: axis, filledWith: Int32(exactly: padding) ?? 0) }
        }
        return found
    }

    /// The ids that say how an axis is filled: the feature's own, or those that it runs along, as a mask does.
    private func filledLike(_ feature: Feature, _ axis: Int) -> Feature? {
        let size = axis < feature.shape.count ? feature.shape[axis] : nil
        let counts = size.map(isDim) == true
        if isId(feature) { return axis == 0 && counts ? nil : feature }
        guard let size, axis > 0, counts, feature.kind != .state else { return nil }
        return signature.inputs.first { isId($0) && $0.shape.dropFirst().contains(size) }
    }

    private func batchSize(_ batch: Size) throws -> SizeRange {
        let leading = signature.inputs.filter { $0.shape.first == batch }.compactMap { sizes[$0.name]?.first }
        let low = leading.map(\.low).max() ?? 1
        let highs = leading.compactMap(\.high) + [try contract.bounds(batch).upperBound, Fitting.most]
        return SizeRange(low: low, high: max(1, low, highs.min() ?? low))
    }

    private func rowsCut(_ tensor: Tensor, _ out: Output, _ rows: Int) throws -> Tensor {
        guard rows > 0, let batch, out.shape.first == batch else { return tensor }
        guard let came = tensor.shape.first, came >= rows else {
            throw LoadError(.badOutput, "output \(out.name) has shape \(tensor.shape); expected \(rows) rows")
        }
        return came == rows ? tensor : try tensor.picked(Array(0..<rows), axis: 0)
    }

    /// The output cut to the input's length along axes that share a dim with a padded input.
    private func unpadded(_ tensor: Tensor, _ out: Output, _ inputs: [String: Tensor]) throws -> Tensor {
        var found = tensor
        for (axis, size) in out.shape.enumerated() where axis > 0 && isDim(size) && axis < tensor.shape.count {
            let source = signature.inputs.first { isId($0) && $0.shape.dropFirst().contains(size) }
            guard let source, let place = source.shape.dropFirst().firstIndex(of: size),
                let length = inputs[source.name]?.shape[place...].first, found.shape[axis] > length
            else { continue }
            let skipped = source.paddingSide == .left ? found.shape[axis] - length : 0
            found = try found.picked(Array(skipped..<skipped + length), axis: axis)
        }
        return found
    }

    private func isId(_ feature: Feature) -> Bool { feature.vocabulary != nil }

    private func isDim(_ size: Size) -> Bool {
        if case .dim = size { return true }
        return false
    }
}

extension Tensor {
    /// The entries of some places along an axis; a place outside of it is a filled one.
    func picked(_ places: [Int], axis: Int, filledWith fill: Int32 = 0) throws -> Tensor {
        let size = shape[axis]
        let inner = placesOf(Array(shape[(axis + 1)...])) ?? 0
        let outer = placesOf(Array(shape[..<axis])) ?? 0
        var order: [Int] = []
        order.reserveCapacity(outer * places.count * inner)
        for row in 0..<outer {
            for place in places {
                let start = 0 <= place && place < size ? (row * size + place) * inner : Int.min
                order.append(contentsOf: (0..<inner).map { start == Int.min ? -1 : start + $0 })
            }
        }
        var picked = shape
        picked[axis] = places.count
        return try Tensor(shape: picked, data: data.picked(order, filledWith: fill))
    }

    /// Tensors one behind the other along their first axis.
    static func joined(_ parts: [Tensor]) throws -> Tensor {
        guard let first = parts.first, parts.count > 1 else {
            guard let only = parts.first else { throw LoadError(.badOutput, "the model gave no rows; load it again") }
            return only
        }
        let rows = parts.reduce(0) { $0 + ($1.shape.first ?? 0) }
        let numbers = parts.flatMap(\.numbers)
        return try Tensor(first.dtype, shape: [rows] + first.shape.dropFirst(), numbers: numbers)
    }
}

extension TensorData {
    fileprivate func picked(_ places: [Int], filledWith fill: Int32) -> TensorData {
        func take<Number>(_ values: [Number], _ filled: Number) -> [Number] {
            places.map { values.indices.contains($0) ? values[$0] : filled }
        }
        return switch self {
        case let .int32(values): .int32(take(values, fill))
        case let .int64(values): .int64(take(values, Int64(fill)))
        case let .float32(values): .float32(take(values, Float(fill)))
        case let .bool(values): .bool(take(values, fill != 0))
        }
    }
}
