import XCTest

@testable import CoreML

/// Predictions of real packages, which pocketrec's interpreter answers.
final class PredictionTests: XCTestCase {
    func testScoresAreThoseOfPythonInEveryBit() throws {
        let model = try Fixtures.model("scores")
        let golden = try Fixtures.golden()
        XCTAssertGreaterThan(golden.count, 2)
        for each in golden {
            let outputs = try model.prediction(from: Fixtures.ids(each.ids))
            XCTAssertEqual(outputs.featureNames, ["scores", "halves"])
            let scores = try XCTUnwrap(outputs.featureValue(for: "scores")?.multiArrayValue)
            let halves = try XCTUnwrap(outputs.featureValue(for: "halves")?.multiArrayValue)
            XCTAssertEqual(scores.withUnsafeBufferPointer(ofType: Float.self) { $0.map(\.bitPattern) }, each.scores)
            XCTAssertEqual(halves.withUnsafeBufferPointer(ofType: Float16.self) { $0.map(\.bitPattern) }, each.halves)
        }
    }

    func testPaddedRowsHoldTheSameNumbersApart() throws {
        let model = try Fixtures.model("scores") { $0.padded = true }
        let golden = try Fixtures.golden()[0]
        let outputs = try model.prediction(from: Fixtures.ids(golden.ids))
        let scores = try XCTUnwrap(outputs.featureValue(for: "scores")?.multiArrayValue)
        XCTAssertEqual(scores.shape, [3, 13])
        XCTAssertEqual(scores.strides, [16, 1])
        XCTAssertEqual(scores.count, 39)
        let rows = (0..<3).map { row in (0..<13).map { scores[[row as NSNumber, $0 as NSNumber]].floatValue.bitPattern } }
        XCTAssertEqual(rows.flatMap { $0 }, golden.scores)
        XCTAssertEqual((0..<39).map { scores[$0].floatValue.bitPattern }, golden.scores)
        let held = scores.withUnsafeBufferPointer(ofType: Float.self) { Array($0) }
        XCTAssertEqual(held.count, 2 * 16 + 13)
        XCTAssertTrue(held[13].isNaN, "what lies between the rows is no score")
    }

    func testARowWhoseLengthIsAlreadyAlignedIsPaddedToo() throws {
        let array = try MLMultiArray(sizes: [2, 3, 32], dataType: .float16, padded: true)
        XCTAssertEqual(array.strides, [144, 48, 1])
        let data = Data((0..<384).map { UInt8($0 % 251) })
        array.fill(data)
        XCTAssertEqual(array.packed(), data)
    }

    func testAModelIsLoadedAndAskedWithoutBlocking() async throws {
        let package = try Fixtures.folder().appendingPathComponent("scores.mlpackage")
        let compiled = try await MLModel.compileModel(at: package)
        XCTAssertEqual(compiled.lastPathComponent, "scores.mlmodelc")
        let configuration = MLModelConfiguration()
        configuration.computeUnits = .cpuOnly
        let model = try await MLModel.load(contentsOf: compiled, configuration: configuration)
        XCTAssertEqual(model.configuration.computeUnits, .cpuOnly)
        let golden = try Fixtures.golden()[0]
        let outputs = try await model.prediction(from: Fixtures.ids(golden.ids))
        XCTAssertEqual(outputs.featureValue(for: "scores")?.multiArrayValue?[0].floatValue.bitPattern, golden.scores[0])
    }

    func testACompiledModelIsMovedWhereItMayStay() throws {
        let place = FileManager.default.temporaryDirectory.appendingPathComponent(UUID().uuidString)
        try FileManager.default.moveItem(at: Fixtures.compiled("scores"), to: place)
        let model = try MLModel(contentsOf: place)
        XCTAssertNoThrow(try model.prediction(from: Fixtures.ids([0, 1, 2])))
        let package = try Fixtures.folder().appendingPathComponent("scores.mlpackage/Manifest.json").path
        XCTAssertTrue(FileManager.default.fileExists(atPath: package), "the package itself stays")
    }

    func testTheDescriptionIsThePackages() throws {
        let model = try Fixtures.model("scores")
        let description = model.modelDescription
        let ids = try XCTUnwrap(description.inputDescriptionsByName["ids"])
        XCTAssertEqual(ids.type, .multiArray)
        XCTAssertFalse(ids.isOptional)
        XCTAssertEqual(ids.multiArrayConstraint?.shape, [3])
        XCTAssertEqual(ids.multiArrayConstraint?.dataType, .int32)
        let shapes = try XCTUnwrap(ids.multiArrayConstraint?.shapeConstraint)
        XCTAssertEqual(shapes.type, .enumerated)
        XCTAssertEqual(shapes.enumeratedShapes, [[3]])
        XCTAssertEqual(shapes.sizeRangeForDimension.map(\.rangeValue), [NSRange(location: 3, length: 1)])
        XCTAssertEqual(description.outputDescriptionsByName["halves"]?.multiArrayConstraint?.dataType, .float16)
        XCTAssertEqual(description.metadata[.author] as? String, "pocketrec")
        XCTAssertEqual(description.metadata[.versionString] as? String, "1.2")
        XCTAssertEqual((description.metadata[.creatorDefinedKey] as? [String: String])?["key"], "value")
    }

    func testAFunctionIsChosenByItsName() throws {
        for (function, expected) in [(nil, Float(3)), ("twice", 6)] {
            let model = try Fixtures.model("functions", function: function)
            let x = try MLDictionaryFeatureProvider(dictionary: ["x": try Fixtures.array([Float(1), 3])])
            XCTAssertEqual(try model.prediction(from: x).featureValue(for: "y")?.multiArrayValue?[1].floatValue, expected)
        }
        fault(.io, "functions.mlpackage: no function 'thrice'; expected one of once, twice") {
            _ = try Fixtures.model("functions", function: "thrice")
        }
    }

    func testTwoStatesDoNotKnowOfEachOther() throws {
        let model = try Fixtures.model("sums")
        XCTAssertEqual(model.modelDescription.stateDescriptionsByName["sum"]?.type, .state)
        let (one, other) = (model.makeState(), model.makeState())
        let x = try MLDictionaryFeatureProvider(dictionary: ["x": try Fixtures.array([Float16(1), 2])])
        for (state, expected) in [(one, Float(1)), (one, 2), (other, 1), (one, 3)] {
            let outputs = try model.prediction(from: x, using: state)
            XCTAssertEqual(outputs.featureValue(for: "y")?.multiArrayValue?[0].floatValue, expected)
        }
        XCTAssertEqual(one.withMultiArray(for: "sum") { $0[1].floatValue }, 6)
        one.withMultiArray(for: "sum") { $0[0] = 10 }
        let outputs = try model.prediction(from: x, using: one)
        XCTAssertEqual(outputs.featureValue(for: "y")?.multiArrayValue?[0].floatValue, 11)
        fault(.featureType, "'sum' is missing") { _ = try model.prediction(from: x) }
    }

    func testAWrongInputIsNamedAndTheModelGoesOn() throws {
        let model = try Fixtures.model("scores")
        let long: [Int32] = [1, 2, 3, 4]
        let cases: [(String, MLMultiArray, String)] = [
            ("ids", try Fixtures.array(long), "input 'ids' has shape (4,); expected [3]"),
            ("ids", try Fixtures.array([Float(1), 2, 3]), "input 'ids' is float32; expected int32"),
            ("id", try Fixtures.array(Array(long.prefix(3))), "input 'id' is not known; expected ids"),
        ]
        for (name, array, part) in cases {
            fault(.featureType, part) {
                _ = try model.prediction(from: MLDictionaryFeatureProvider(dictionary: [name: array]))
            }
        }
        fault(.generic, "index 13 is outside axis 0 of size 13") {
            _ = try model.prediction(from: Fixtures.ids([0, 1, 13]))
        }
        fault(.featureType, "of type String; expected MLMultiArray") {
            _ = try MLDictionaryFeatureProvider(dictionary: ["ids": "a"])
        }
        XCTAssertNoThrow(try model.prediction(from: Fixtures.ids([0, 1, 12])))
    }

    /// Each gets the answer to its own request, from one process and without a file descriptor more.
    func testAHundredCallersAtOnce() throws {
        let model = Shared(model: try Fixtures.model("scores"))
        let before = try descriptors()
        let expected = try Fixtures.golden()
        let wrong = Counter()
        DispatchQueue.concurrentPerform(iterations: 100) { call in
            let golden = expected[call % expected.count]
            let outputs = try? model.model.prediction(from: Fixtures.ids(golden.ids))
            let scores = outputs?.featureValue(for: "scores")?.multiArrayValue
            let bits = scores?.withUnsafeBufferPointer(ofType: Float.self) { $0.map(\.bitPattern) }
            if bits != golden.scores { wrong.add() }
        }
        XCTAssertEqual(wrong.count, 0)
        XCTAssertEqual(try descriptors(), before)
    }

    func testAProcessThatWasKilledIsAnErrorFromThenOn() throws {
        let model = try Fixtures.model("scores")
        kill(model.child.process, SIGKILL)
        for _ in 0..<2 {
            fault(.io, "pocketrec ended without a reply; its process was ended; load the model again") {
                _ = try model.prediction(from: Fixtures.ids([0, 1, 2]))
            }
        }
    }
}

/// A model for several threads; the stand-in's locks itself.
private struct Shared: @unchecked Sendable {
    let model: MLModel
}

private final class Counter: @unchecked Sendable {
    private let lock = NSLock()
    private(set) var count = 0

    func add() { lock.withLock { count += 1 } }
}

func descriptors() throws -> Int { try FileManager.default.contentsOfDirectory(atPath: "/proc/self/fd").count }
