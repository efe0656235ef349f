import XCTest

@testable import CoreML

/// The small packages that `make swift` writes, with what Python's interpreter answers.
enum Fixtures {
    struct Golden: Decodable {
        let ids: [Int32]
        let scores: [UInt32]
        let halves: [UInt16]
    }

    static func folder() throws -> URL {
        let path = ProcessInfo.processInfo.environment["POCKETREC_COREML_FIXTURES"]
        return URL(fileURLWithPath: try XCTUnwrap(path, "POCKETREC_COREML_FIXTURES is not set; run: make swift"))
    }

    static func golden() throws -> [Golden] {
        let data = try Data(contentsOf: folder().appendingPathComponent("golden.json"))
        return try JSONDecoder().decode([Golden].self, from: data)
    }

    static func model(
        _ name: String, function: String? = nil, change: (inout Server) -> Void = { _ in }
    ) throws -> MLModel {
        var server = try Server.fromEnvironment()
        change(&server)
        let configuration = MLModelConfiguration()
        configuration.functionName = function
        return try MLModel(Loaded(compiled(name), configuration, server))
    }

    static func compiled(_ name: String) throws -> URL {
        try MLModel.compileModel(at: folder().appendingPathComponent("\(name).mlpackage"))
    }

    static func ids(_ values: [Int32]) throws -> MLDictionaryFeatureProvider {
        try MLDictionaryFeatureProvider(dictionary: ["ids": try array(values)])
    }

    static func array<S: MLShapedArrayScalar>(_ values: [S]) throws -> MLMultiArray {
        let array = try MLMultiArray(shape: [NSNumber(value: values.count)], dataType: S.multiArrayDataType)
        array.withUnsafeMutableBufferPointer(ofType: S.self) { buffer, _ in
            for (place, value) in values.enumerated() { buffer[place] = value }
        }
        return array
    }
}

/// What `body` throws, as the type that an app catches.
func fault(
    _ code: MLModelError.Code, _ part: String, file: StaticString = #filePath, line: UInt = #line, _ body: () throws -> Void
) {
    XCTAssertThrowsError(try body(), file: file, line: line) { error in
        guard let error = error as? MLModelError else {
            return XCTFail("\(error) is no MLModelError", file: file, line: line)
        }
        XCTAssertEqual(error.code, code, error.localizedDescription, file: file, line: line)
        XCTAssertTrue(error.localizedDescription.contains(part), error.localizedDescription, file: file, line: line)
        XCTAssertFalse(error.localizedDescription.contains("\n"), file: file, line: line)
    }
}
