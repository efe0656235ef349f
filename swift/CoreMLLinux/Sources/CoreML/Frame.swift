import Glibc

/// A frame as docs/coreml-linux.md has it: a length, a JSON header, and the tensors that it lists.
enum Frame {
    static let largestHeader = 16 << 20
    static let largestTensors = 1 << 30

    /// The bytes of a request.
    static func request(_ tensors: [(String, MLMultiArray)], states: [(String, MLMultiArray)]) throws -> Data {
        let header = Request(tensors: tensors.map(Tensor.init), states: states.map(Tensor.init))
        let total = (header.tensors + header.states).reduce(0) { $0 + $1.bytes }
        guard total <= largestTensors else {
            throw MLModelError(.featureType, "inputs of \(total) bytes; expected \(largestTensors) at most")
        }
        let text = try JSONEncoder().encode(header)
        var data = withUnsafeBytes(of: UInt32(text.count).littleEndian) { Data($0) }
        data.reserveCapacity(4 + text.count + total)
        data.append(text)
        for (_, array) in tensors + states { data.append(array.packed()) }
        return data
    }
}

struct Request: Encodable {
    let tensors: [Tensor]
    let states: [Tensor]
}

/// A tensor as a header lists it.
struct Tensor: Codable, Sendable {
    let name: String
    let dtype: String
    let shape: [Int]
    let bytes: Int

    init(_ named: (String, MLMultiArray)) {
        name = named.0
        dtype = named.1.dataType.name
        shape = named.1.sizes
        bytes = named.1.count * named.1.dataType.bytes
    }

    /// The tensor with its bytes; throws where they are not what dtype and shape say.
    func array(_ data: Data, padded: Bool) throws -> MLMultiArray {
        guard let type = MLMultiArrayDataType(name: dtype) else {
            throw MLModelError(.featureType, "output \(name): \(dtype) is nothing that Core ML gives")
        }
        let array = try MLMultiArray(sizes: shape, dataType: type, padded: padded)
        guard array.count * type.bytes == data.count else {
            throw MLModelError(.generic, "output \(name): \(data.count) bytes do not fill \(dtype) \(shape)")
        }
        array.fill(data)
        return array
    }
}

/// What a function takes, gives or keeps, as the first frame has it.
struct Feature: Decodable, Sendable {
    let name: String
    let dtype: String
    private let bounds: [[Int?]]
    let enumerated: [[Int]]
    let optional: Bool

    /// The smallest and the largest size of each axis; nil where there is no limit.
    var limits: [(low: Int, high: Int?)] {
        bounds.map { (max($0.first.flatMap { $0 } ?? 1, 1), $0.last.flatMap { $0 }) }
    }

    /// The only shape, or of several the first or the smallest.
    var smallest: [Int] { enumerated.first ?? limits.map(\.low) }

    func dataType() throws -> MLMultiArrayDataType {
        guard let type = MLMultiArrayDataType(name: dtype) else {
            throw MLModelError(.featureType, "feature \(name): \(dtype) is nothing that Core ML takes or gives")
        }
        return type
    }
}

/// The header of a reply; the first one describes the function.
struct Reply: Decodable, Sendable {
    struct Fault: Decodable, Sendable {
        let kind: String
        let message: String
    }

    let ok: Bool
    let error: Fault?
    let inputs: [Feature]?
    let outputs: [Feature]?
    let kept: [Feature]?
    let about: [String: String]?
    let metadata: [String: String]?
    let tensors: [Tensor]?
    let states: [Tensor]?
}

/// A reply with the bytes of its tensors.
struct Answer: Sendable {
    let reply: Reply
    let outputs: [(Tensor, Data)]
    let states: [(Tensor, Data)]
}
