/// What the numbers of an array are.
public enum MLMultiArrayDataType: Int, Sendable {
    case double = 65600
    case float32 = 65568
    case float16 = 65552
    case int32 = 131104

    public static let float64 = MLMultiArrayDataType.double
    public static let float = MLMultiArrayDataType.float32

    var bytes: Int {
        switch self {
        case .double: return 8
        case .float32, .int32: return 4
        case .float16: return 2
        }
    }

    /// The name in a frame.
    var name: String {
        switch self {
        case .double: return "float64"
        case .float32: return "float32"
        case .float16: return "float16"
        case .int32: return "int32"
        }
    }

    init?(name: String) {
        guard let found = [.double, .float32, .float16, .int32].first(where: { (each: Self) in each.name == name })
        else { return nil }
        self = found
    }
}

/// The Swift numbers that an array can be read as.
public protocol MLShapedArrayScalar {
    static var multiArrayDataType: MLMultiArrayDataType { get }
}

extension Double: MLShapedArrayScalar { public static var multiArrayDataType: MLMultiArrayDataType { .double } }
extension Float: MLShapedArrayScalar { public static var multiArrayDataType: MLMultiArrayDataType { .float32 } }
extension Float16: MLShapedArrayScalar { public static var multiArrayDataType: MLMultiArrayDataType { .float16 } }
extension Int32: MLShapedArrayScalar { public static var multiArrayDataType: MLMultiArrayDataType { .int32 } }

/// Numbers with a shape; its rows may lie apart in memory, as `strides` says.
public final class MLMultiArray {
    public let shape: [NSNumber]
    public let dataType: MLMultiArrayDataType
    public let strides: [NSNumber]
    public let count: Int
    let sizes: [Int]
    private let steps: [Int]
    private let storage: UnsafeMutableRawBufferPointer

    /// An array whose contents are left as they are, which here is all bits set: NaN, or -1.
    public convenience init(shape: [NSNumber], dataType: MLMultiArrayDataType) throws {
        try self.init(sizes: shape.map(\.intValue), dataType: dataType)
    }

    /// - Parameter padded: whether rows end in numbers that are none of the array's.
    init(sizes: [Int], dataType: MLMultiArrayDataType, padded: Bool = false) throws {
        // A product that has grown too large stays it, and does not come round to a small one.
        let most = Frame.largestTensors
        let elements = sizes.reduce(1) { $1 > most / max($0, 1) ? most + 1 : $0 * max($1, 0) }
        guard !sizes.isEmpty, sizes.allSatisfy({ $0 > 0 }), elements <= most else {
            throw MLModelError(.generic, "a multi-array has the shape \(sizes); expected sizes of 1 and more")
        }
        var steps = [Int](repeating: 1, count: sizes.count)
        for axis in stride(from: sizes.count - 2, through: 0, by: -1) {
            steps[axis] = steps[axis + 1] * (padded && axis == sizes.count - 2 ? Self.row(sizes[axis + 1]) : sizes[axis + 1])
        }
        self.sizes = sizes
        self.steps = steps
        self.dataType = dataType
        shape = sizes.map { NSNumber(value: $0) }
        strides = steps.map { NSNumber(value: $0) }
        count = elements
        let span = zip(sizes, steps).reduce(1) { $0 + ($1.0 - 1) * $1.1 }
        storage = .allocate(byteCount: span * dataType.bytes, alignment: 64)
        storage.initializeMemory(as: UInt8.self, repeating: 0xFF)
    }

    deinit { storage.deallocate() }

    /// The length in memory of a row of that many numbers: a multiple of 16, and more than the row.
    private static func row(_ size: Int) -> Int { (size / 16 + 1) * 16 }

    public var dataPointer: UnsafeMutableRawPointer { storage.baseAddress! }

    /// The number at a place counted row by row, whatever the strides.
    public subscript(idx: Int) -> NSNumber {
        get { number(at: offset(ofRowMajor: idx)) }
        set { set(newValue, at: offset(ofRowMajor: idx)) }
    }

    public subscript(key: [NSNumber]) -> NSNumber {
        get { number(at: offset(of: key)) }
        set { set(newValue, at: offset(of: key)) }
    }

    public func withUnsafeBytes<R>(_ body: (UnsafeRawBufferPointer) throws -> R) rethrows -> R {
        try body(UnsafeRawBufferPointer(storage))
    }

    public func withUnsafeMutableBytes<R>(_ body: (UnsafeMutableRawBufferPointer, [Int]) throws -> R) rethrows -> R {
        try body(storage, steps)
    }

    public func withUnsafeBufferPointer<S: MLShapedArrayScalar, R>(
        ofType type: S.Type, _ body: (UnsafeBufferPointer<S>) throws -> R
    ) rethrows -> R {
        precondition(S.multiArrayDataType == dataType, "the array is of another data type")
        return try body(UnsafeBufferPointer(storage.assumingMemoryBound(to: S.self)))
    }

    public func withUnsafeMutableBufferPointer<S: MLShapedArrayScalar, R>(
        ofType type: S.Type, _ body: (UnsafeMutableBufferPointer<S>, [Int]) throws -> R
    ) rethrows -> R {
        precondition(S.multiArrayDataType == dataType, "the array is of another data type")
        return try body(storage.assumingMemoryBound(to: S.self), steps)
    }

    /// The numbers row by row, without what lies between the rows.
    func packed() -> Data {
        var data = Data(capacity: count * dataType.bytes)
        eachRow { data.append(contentsOf: $0) }
        return data
    }

    /// Takes numbers row by row; they are as many bytes as `packed` gives.
    func fill(_ data: Data) {
        var rest = data[...]
        eachRow { row in
            rest.prefix(row.count).copyBytes(to: row)
            rest = rest.dropFirst(row.count)
        }
    }

    private func eachRow(_ body: (UnsafeMutableRawBufferPointer) -> Void) {
        let width = sizes[sizes.count - 1], bytes = width * dataType.bytes
        for row in 0..<(count / width) {
            let start = offset(ofRowMajor: row * width) * dataType.bytes
            body(UnsafeMutableRawBufferPointer(rebasing: storage[start..<(start + bytes)]))
        }
    }

    private func offset(ofRowMajor place: Int) -> Int {
        precondition(place >= 0 && place < count, "a place beyond the array")
        var rest = place, offset = 0
        for axis in sizes.indices.reversed() {
            offset += rest % sizes[axis] * steps[axis]
            rest /= sizes[axis]
        }
        return offset
    }

    private func offset(of key: [NSNumber]) -> Int {
        let places = key.map(\.intValue)
        precondition(places.count == sizes.count, "a place with another number of axes")
        precondition(zip(places, sizes).allSatisfy { $0 >= 0 && $0 < $1 }, "a place beyond the array")
        return zip(places, steps).reduce(0) { $0 + $1.0 * $1.1 }
    }

    private func number(at place: Int) -> NSNumber {
        switch dataType {
        case .double: return NSNumber(value: storage.assumingMemoryBound(to: Double.self)[place])
        case .float32: return NSNumber(value: storage.assumingMemoryBound(to: Float.self)[place])
        case .float16: return NSNumber(value: Float(storage.assumingMemoryBound(to: Float16.self)[place]))
        case .int32: return NSNumber(value: storage.assumingMemoryBound(to: Int32.self)[place])
        }
    }

    private func set(_ number: NSNumber, at place: Int) {
        switch dataType {
        case .double: storage.assumingMemoryBound(to: Double.self)[place] = number.doubleValue
        case .float32: storage.assumingMemoryBound(to: Float.self)[place] = number.floatValue
        case .float16: storage.assumingMemoryBound(to: Float16.self)[place] = Float16(number.floatValue)
        case .int32: storage.assumingMemoryBound(to: Int32.self)[place] = number.int32Value
        }
    }
}
