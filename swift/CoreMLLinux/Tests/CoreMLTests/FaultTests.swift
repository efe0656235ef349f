import XCTest

@testable import CoreML

/// Processes that are no pocketrec, or a broken one: each is a typed error, in the time that is allowed.
final class FaultTests: XCTestCase {
    private var folder = FileManager.default.temporaryDirectory.appendingPathComponent(UUID().uuidString)

    override func setUpWithError() throws {
        let package = folder.appendingPathComponent("toy.mlpackage")
        try FileManager.default.createDirectory(at: package, withIntermediateDirectories: true)
        try Data("{}".utf8).write(to: package.appendingPathComponent("Manifest.json"))
        let first = frame(#"{"ok":true,"inputs":[],"outputs":[],"kept":[],"about":{},"metadata":{}}"#)
        try first.write(to: folder.appendingPathComponent("first"))
    }

    override func tearDownWithError() throws { try FileManager.default.removeItem(at: folder) }

    private func frame(_ header: String, _ tensors: [UInt8] = []) -> Data {
        withUnsafeBytes(of: UInt32(header.utf8.count).littleEndian) { Data($0) } + Data(header.utf8) + Data(tensors)
    }

    /// A model whose process is a shell script, with `$F` its folder.
    private func start(_ script: String, timeLimit: Double = 20) throws -> MLModel {
        let package = try MLModel.compileModel(at: folder.appendingPathComponent("toy.mlpackage"))
        let words = ["-c", "F='\(folder.path)'; \(script)", "sh"]
        let server = Server(command: "/bin/sh", arguments: words, timeLimit: timeLimit)
        return try MLModel(Loaded(package, MLModelConfiguration(), server))
    }

    private func input(_ count: Int = 1) throws -> MLDictionaryFeatureProvider {
        let array = try MLMultiArray(shape: [NSNumber(value: count)], dataType: .int32)
        return try MLDictionaryFeatureProvider(dictionary: ["x": array])
    }

    func testAProcessThatNeverSpeaksIsGivenUp() throws {
        fault(.io, "pocketrec did not answer within 0.2 s; its process was ended") {
            _ = try start("exec tail -f /dev/null", timeLimit: 0.2)
        }
    }

    func testAProcessThatHearsAndNeverAnswersIsGivenUp() throws {
        let model = try start("cat $F/first; exec cat > /dev/null", timeLimit: 0.3)
        fault(.io, "pocketrec did not answer within 0.3 s") { _ = try model.prediction(from: input()) }
        fault(.io, "load the model again") { _ = try model.prediction(from: input()) }
    }

    func testAProcessThatNeverListensIsGivenUp() throws {
        let model = try start("cat $F/first; exec tail -f /dev/null", timeLimit: 0.3)
        fault(.io, "pocketrec did not answer within 0.3 s") { _ = try model.prediction(from: input(1 << 20)) }
    }

    func testAProcessThatEndsHasItsExitCodeNamed() throws {
        fault(.io, "pocketrec ended without a reply; its exit code was 7") { _ = try start("exit 7") }
        let model = try start("cat $F/first; head -c 4 > /dev/null; exit 3")
        fault(.io, "pocketrec ended without a reply; its exit code was 3") { _ = try model.prediction(from: input()) }
    }

    func testAProcessThatDiesInTheMiddleOfAReply() throws {
        try frame(#"{"ok":true,"tensors":[{"name":"y","dtype":"int32","shape":[2],"bytes":8}]}"#, [1, 2, 3])
            .write(to: folder.appendingPathComponent("half"))
        let model = try start("cat $F/first; head -c 4 > /dev/null; cat $F/half; kill -TERM $$")
        fault(.io, "pocketrec ended without a reply; signal 15 had ended it") {
            _ = try model.prediction(from: input())
        }
    }

    /// A write that nobody reads would raise SIGPIPE, and end the tests.
    func testAProcessThatIsGoneBeforeItIsAsked() throws {
        let model = try start("cat $F/first; exit 0")
        fault(.io, "pocketrec ended without a reply") { _ = try model.prediction(from: input(1 << 22)) }
    }

    func testGarbageIsNoFrame() throws {
        let replies: [(String, Data)] = [
            ("is no frame", Data(repeating: 0xFF, count: 64)),
            ("is no frame", frame("not JSON")),
            ("is no frame", frame("[]")),
            ("gave an error without its reason", frame(#"{"ok":false}"#)),
            ("has tensors of", frame(#"{"ok":true,"tensors":[{"name":"y","dtype":"int32","shape":[1],"bytes":-1}]}"#)),
            ("has tensors of", frame(#"{"ok":true,"tensors":[{"name":"y","dtype":"int32","shape":[1],"bytes":\#(Int.max)}]}"#)),
        ]
        for (part, reply) in replies {
            try reply.write(to: folder.appendingPathComponent("reply"))
            let model = try start("cat $F/first; head -c 4 > /dev/null; cat $F/reply - ")
            fault(.generic, part) { _ = try model.prediction(from: input()) }
            fault(.generic, "load the model again") { _ = try model.prediction(from: input()) }
        }
        fault(.generic, "is no frame") { _ = try start("echo 'Traceback (most recent call last):'") }
    }

    func testTensorsThatAreNotWhatTheySay() throws {
        let tensors = [
            ("float64 is nothing", "complex64", "[1]", 4, MLModelError.Code.featureType),
            ("4 bytes do not fill int32 [2]", "int32", "[2]", 4, .generic),
            ("has the shape [-1]", "int32", "[-1]", 4, .generic),
            ("has the shape [4611686018427387904, 4]", "int32", "[4611686018427387904,4]", 4, .generic),
            // 7 times this is 1 more than 3 times 2^64.
            ("has the shape [7, 7905747460161236407]", "int32", "[7,7905747460161236407]", 4, .generic),
        ]
        for (part, dtype, shape, bytes, code) in tensors {
            let header = #"{"ok":true,"tensors":[{"name":"y","dtype":"\#(dtype)","shape":\#(shape),"bytes":\#(bytes)}]}"#
            try frame(header, Array(repeating: 0, count: bytes)).write(to: folder.appendingPathComponent("reply"))
            let model = try start("cat $F/first; head -c 4 > /dev/null; cat $F/reply - ")
            let expected = part.replacingOccurrences(of: "float64", with: dtype)
            fault(code, expected) { _ = try model.prediction(from: input()) }
        }
    }

    func testAReplyInPiecesIsPutTogether() throws {
        try frame(#"{"ok":true,"tensors":[{"name":"y","dtype":"int32","shape":[1],"bytes":4}]}"#, [7, 0, 0, 0])
            .write(to: folder.appendingPathComponent("reply"))
        let model = try start("cat $F/first; head -c 4 > /dev/null; dd if=$F/reply bs=1 2> /dev/null; exec cat > /dev/null")
        let outputs = try model.prediction(from: input())
        XCTAssertEqual(outputs.featureValue(for: "y")?.multiArrayValue?[0], 7)
    }

    func testACommandThatIsNotThere() throws {
        let package = try MLModel.compileModel(at: folder.appendingPathComponent("toy.mlpackage"))
        let server = Server(command: "/nowhere/pocketrec")
        fault(.io, "/nowhere/pocketrec cannot be started (No such file or directory); install pocketrec") {
            _ = try MLModel(Loaded(package, MLModelConfiguration(), server))
        }
    }

    func testAPackageThatIsNotThereOrNotCompiled() throws {
        fault(.io, "none.mlpackage is no .mlpackage") {
            _ = try MLModel.compileModel(at: folder.appendingPathComponent("none.mlpackage"))
        }
        fault(.io, "toy.mlpackage is not compiled; call MLModel.compileModel(at:) first") {
            _ = try MLModel(contentsOf: folder.appendingPathComponent("toy.mlpackage"))
        }
        fault(.io, "none.mlmodelc is nothing that compileModel(at:) of this package wrote") {
            _ = try MLModel(contentsOf: folder.appendingPathComponent("none.mlmodelc"))
        }
    }

    func testRangesAreDescribed() throws {
        let limits = #"{"name":"x","dtype":"float32","bounds":[[1,50],[2,null]],"enumerated":[],"optional":true}"#
        let empty = #"{"name":"z","dtype":"int32","bounds":[[1,\#(Int.min)]],"enumerated":[],"optional":false}"#
        let shapes = #"{"name":"y","dtype":"int32","bounds":[[1,2]],"enumerated":[[2],[1]],"optional":false}"#
        try frame(#"{"ok":true,"inputs":[\#(limits),\#(shapes),\#(empty)]}"#).write(to: folder.appendingPathComponent("ranges"))
        let inputs = try start("cat $F/ranges; exec cat > /dev/null").modelDescription.inputDescriptionsByName
        let x = try XCTUnwrap(inputs["x"]?.multiArrayConstraint)
        XCTAssertEqual(x.shapeConstraint.type, .range)
        XCTAssertEqual(x.shape, [1, 2])
        XCTAssertEqual(x.shapeConstraint.sizeRangeForDimension.map(\.rangeValue.location), [1, 2])
        XCTAssertEqual(x.shapeConstraint.sizeRangeForDimension.map(\.rangeValue.length), [50, Int.max - 2])
        XCTAssertEqual(inputs["x"]?.isOptional, true)
        let z = try XCTUnwrap(inputs["z"]?.multiArrayConstraint)
        XCTAssertEqual(z.shapeConstraint.sizeRangeForDimension.map(\.rangeValue.length), [0])
        XCTAssertEqual(inputs["y"]?.multiArrayConstraint?.shape, [2])
        XCTAssertEqual(inputs["y"]?.multiArrayConstraint?.shapeConstraint.enumeratedShapes, [[2], [1]])
    }

    func testUnitsThatAreRefusedFailToLoad() throws {
        let package = try MLModel.compileModel(at: folder.appendingPathComponent("toy.mlpackage"))
        let environment = ["POCKETREC_COREML_REFUSED_UNITS": "all,cpuAndGPU"]
        fault(.generic, "refuses the compute units all") {
            _ = try MLModel(Loaded(package, MLModelConfiguration(), Server.fromEnvironment(environment)))
        }
    }

    func testTheEnvironmentIsRead() throws {
        let server = try Server.fromEnvironment([
            "POCKETREC": "/opt/pocketrec", "POCKETREC_COREML_TIME_LIMIT": "2.5", "POCKETREC_COREML_PAD_ROWS": "1",
        ])
        XCTAssertEqual(server.words(package: "p", function: "f"), ["/opt/pocketrec", "serve-pipe", "p", "--function", "f"])
        XCTAssertEqual(server.timeLimit, 2.5)
        XCTAssertTrue(server.padded)
        for text in ["0", "-1", "soon", "nan"] {
            fault(.io, "POCKETREC_COREML_TIME_LIMIT is \(text); expected seconds") {
                _ = try Server.fromEnvironment(["POCKETREC_COREML_TIME_LIMIT": text])
            }
        }
    }

    func testNothingIsLeftOfModelsThatFailed() throws {
        let before = try descriptors()
        for _ in 0..<20 { XCTAssertThrowsError(try start("exit 1")) }
        XCTAssertEqual(try descriptors(), before)
        XCTAssertEqual(waitpid(-1, nil, WNOHANG), -1, "a process is left")
    }
}
