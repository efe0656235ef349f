import CoreML
import Foundation

// Numbers between tensors, whose rows lie one behind the other, and Core ML's arrays, whose rows may be padded.

extension MLMultiArray {
    /// An array of a tensor's shape and numbers, in the type that the model takes.
    ///
    /// - Throws: ``LoadError`` `runFailed` where the type cannot hold a number.
    static func of(_ tensor: Tensor, type: MLMultiArrayDataType, name: String) throws -> MLMultiArray {
        let shape = tensor.shape.isEmpty ? [1] : tensor.shape  // Core ML has a scalar as one number in a row
        let array = try MLMultiArray(shape: shape.map { NSNumber(value: $0) }, dataType: type)
        let numbers = tensor.numbers
        try array.withUnsafeMutableBytes { bytes, strides in
            let layout = try Layout(shape: shape, strides: strides, name: name)
            try layout.check(type, bytes: bytes.count)
            try checkWhole(numbers, tensor.dtype, type, .runFailed, name)
            for (place, offset) in layout.offsets.enumerated() {
                try store(numbers[place], type, at: offset, in: bytes, name: name)
            }
        }
        return array
    }

    /// The array's numbers as an output's tensor.
    ///
    /// - Throws: ``LoadError`` `badOutput` where the array is not what it says, or the type cannot hold a number.
    func tensor(of out: Output) throws -> Tensor {
        let (name, dtype) = (out.name, out.dtype)
        let shape = shape.map(\.intValue)
        let layout = try Layout(shape: shape, strides: strides.map(\.intValue), name: name)
        let type = dataType
        let numbers = try withUnsafeBytes { bytes in
            try layout.check(type, bytes: bytes.count)
            return try layout.offsets.map { try load(type, at: $0, in: bytes, name: name) }
        }
        try checkWhole(numbers, dtype, type, .badOutput, name)
        if dtype == .int32 || dtype == .int64 {
            let fits = dtype == .int32 ? { Int32(exactly: $0) != nil } : { (number: Double) in Int64(exactly: number) != nil }
            guard numbers.allSatisfy(fits) else {
                throw LoadError(.badOutput, "output \(name) holds what is no \(dtype.rawValue); build the model again")
            }
        }
        return try Tensor(dtype, shape: out.shape.isEmpty && shape == [1] ? [] : shape, numbers: numbers)
    }
}

/// Where the numbers of an array lie, counted in numbers from its beginning.
private struct Layout {
    let offsets: [Int]
    private let name: String

    init(shape: [Int], strides: [Int], name: String) throws {
        guard strides.count == shape.count, strides.allSatisfy({ $0 >= 0 }), placesOf(shape) != nil else {
            throw LoadError(.badOutput, "\(name) has shape \(shape) and strides \(strides); build the model again")
        }
        var offsets = [0]
        for (size, stride) in zip(shape, strides) {
            let (last, overflow) = stride.multipliedReportingOverflow(by: Swift.max(0, size - 1))
            guard !overflow, last < 1 << 40 else {
                throw LoadError(.badOutput, "\(name) has shape \(shape) and strides \(strides); build the model again")
            }
            offsets = offsets.flatMap { offset in (0..<size).map { offset + $0 * stride } }
        }
        self.offsets = offsets
        self.name = name
    }

    /// Checks that every number lies within so many bytes.
    func check(_ type: MLMultiArrayDataType, bytes: Int) throws {
        guard (offsets.max() ?? -1) < bytes / (try width(of: type, name: name)) else {
            throw LoadError(.badOutput, "\(name) has \(bytes) bytes, fewer than its shape needs; load the model again")
        }
    }
}

/// Checks that whole numbers are none that a type of fractions rounds: an id would be its neighbour's.
private func checkWhole(
    _ numbers: [Double], _ dtype: Dtype, _ type: MLMultiArrayDataType, _ code: LoadError.Code, _ name: String
) throws {
    let ends: [MLMultiArrayDataType: Double] = [.float16: 0x1p11, .float32: 0x1p24]
    guard dtype == .int32 || dtype == .int64, let end = ends[type] else { return }
    if let wide = numbers.first(where: { $0.magnitude > end }) {
        throw LoadError(code, "\(name) is \(wide), which the model's numbers of type \(type.rawValue) round; build the bundle again")
    }
}

private func width(of type: MLMultiArrayDataType, name: String) throws -> Int {
    let widths: [MLMultiArrayDataType: Int] = [.int32: 4, .float32: 4, .double: 8, .float16: 2]
    guard let width = widths[type] else {
        throw LoadError(.runFailed, "\(name) is of Core ML's type \(type.rawValue); build the bundle again")
    }
    return width
}

private func store(
    _ number: Double, _ type: MLMultiArrayDataType, at offset: Int, in bytes: UnsafeMutableRawBufferPointer, name: String
) throws {
    switch type {
    case .int32:
        guard let whole = Int32(exactly: number) else {
            throw LoadError(.runFailed, "\(name) is \(number), which the model's int32 cannot hold; pass a smaller number")
        }
        bytes.storeBytes(of: whole, toByteOffset: 4 * offset, as: Int32.self)
    case .double: bytes.storeBytes(of: number, toByteOffset: 8 * offset, as: Double.self)
    case .float16: bytes.storeBytes(of: half(of: Float(number)), toByteOffset: 2 * offset, as: UInt16.self)
    default: bytes.storeBytes(of: Float(number), toByteOffset: 4 * offset, as: Float.self)
    }
}

private func load(_ type: MLMultiArrayDataType, at offset: Int, in bytes: UnsafeRawBufferPointer, name: String) throws -> Double {
    switch type {
    case .int32: Double(bytes.loadUnaligned(fromByteOffset: 4 * offset, as: Int32.self))
    case .double: bytes.loadUnaligned(fromByteOffset: 8 * offset, as: Double.self)
    case .float16: Double(widened(bytes.loadUnaligned(fromByteOffset: 2 * offset, as: UInt16.self)))
    default: Double(bytes.loadUnaligned(fromByteOffset: 4 * offset, as: Float.self))
    }
}

// Swift's Float16 is not there on Macs with Intel processors, so its bits are read and written here.

/// The number that the bits of a float16 stand for.
func widened(_ bits: UInt16) -> Float {
    let sign = UInt32(bits & 0x8000) << 16
    let exponent = UInt32(bits >> 10) & 0x1f
    let fraction = UInt32(bits & 0x3ff)
    if exponent == 0x1f { return Float(bitPattern: sign | 0x7f80_0000 | fraction << 13) }
    if exponent > 0 { return Float(bitPattern: sign | (exponent + 112) << 23 | fraction << 13) }
    let small = Float(fraction) * 0x1p-24
    return sign == 0 ? small : -small
}

/// The bits of the float16 that is nearest to a number, of two the even one.
func half(of number: Float) -> UInt16 {
    let bits = number.bitPattern
    let sign = UInt16(truncatingIfNeeded: bits >> 16) & 0x8000
    if number.isNaN { return sign | 0x7e00 }
    let size = number.magnitude
    if size >= 65_520 { return sign | 0x7c00 }
    if size < 0x1p-14 { return sign | UInt16((size * 0x1p24).rounded(.toNearestOrEven)) }
    let rounded = (bits & 0x7fff_ffff) + 0xfff + (bits >> 13 & 1)
    return sign | UInt16(truncatingIfNeeded: (rounded >> 13) &- 0x1c000)
}
