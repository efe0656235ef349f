/// The numbers of a tensor, row by row.
enum TensorData: Sendable, Equatable {
    case int32([Int32])
    case int64([Int64])
    case float32([Float])
    case bool([Bool])

    var count: Int {
        switch self {
        case let .int32(values): values.count
        case let .int64(values): values.count
        case let .float32(values): values.count
        case let .bool(values): values.count
        }
    }
}

/// An array as a model takes and gives it, row-major.
struct Tensor: Sendable, Equatable {
    let shape: [Int]
    let data: TensorData

    /// A tensor of a shape.
    ///
    /// - Throws: ``ModelError`` `badOutput` where there are more or fewer numbers than the shape has places.
    init(shape: [Int], data: TensorData) throws {
        guard let count = placesOf(shape), count == data.count else {
            throw ModelError(.badOutput, "a tensor of shape \(shape) holds \(data.count) numbers; expected one a place")
        }
        self.shape = shape
        self.data = data
    }

    /// A tensor of numbers that its type can hold; flags are 0 and 1.
    init(_ dtype: Dtype, shape: [Int], numbers: [Double]) throws {
        func whole<Number>(_ number: Number?) throws -> Number {
            if let number { return number }
            throw ModelError(.badOutput, "a tensor of \(dtype.rawValue) holds another number; build the model again")
        }
        let data: TensorData =
            switch dtype {
            case .int32: .int32(try numbers.map { try whole(Int32(exactly: $0)) })
            case .int64: .int64(try numbers.map { try whole(Int64(exactly: $0)) })
            case .float32: .float32(numbers.map { Float($0) })
            case .bool: .bool(numbers.map { $0 != 0 })
            }
        try self.init(shape: shape, data: data)
    }

    var dtype: Dtype {
        switch data {
        case .int32: .int32
        case .int64: .int64
        case .float32: .float32
        case .bool: .bool
        }
    }

    /// All numbers.
    var numbers: [Double] { numbers(in: 0..<data.count) }

    /// The numbers at some places, as many as there are.
    func numbers(in places: Range<Int>) -> [Double] {
        let places = places.clamped(to: 0..<data.count)
        return switch data {
        case let .int32(values): values[places].map { Double($0) }
        case let .int64(values): values[places].map { Double($0) }
        case let .float32(values): values[places].map { Double($0) }
        case let .bool(values): values[places].map { $0 ? 1 : 0 }
        }
    }

    /// The first row, `count` times.
    func repeated(_ count: Int) throws -> Tensor {
        let rest = Array(shape.dropFirst())
        let row = 0..<min(placesOf(rest) ?? 0, data.count)
        func times<Number>(_ values: [Number]) -> [Number] {
            Array(repeatElement(values[row], count: count).joined())
        }
        let data: TensorData =
            switch data {
            case let .int32(values): .int32(times(values))
            case let .int64(values): .int64(times(values))
            case let .float32(values): .float32(times(values))
            case let .bool(values): .bool(times(values))
            }
        return try Tensor(shape: [count] + rest, data: data)
    }
}

/// How many numbers a shape holds; nil where a size is negative or there are too many to count.
func placesOf(_ shape: [Int]) -> Int? {
    var count = 1
    for size in shape {
        let (product, overflow) = count.multipliedReportingOverflow(by: size)
        guard size >= 0, !overflow else { return nil }
        count = product
    }
    return count
}
