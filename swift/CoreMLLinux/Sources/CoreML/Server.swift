/// Which command answers, and how; what the environment says, or a test.
struct Server: Sendable {
    /// The name or path of a `pocketrec`; `serve-pipe PACKAGE` follows its arguments.
    var command = "pocketrec"
    var arguments: [String] = []
    /// Seconds that loading or a prediction may take.
    var timeLimit = 120.0
    /// Whether rows of outputs are padded, as Core ML's are.
    var padded = false
    /// Compute units on which loading fails, to try what an app does then.
    var refused: Set<String> = []

    /// What the environment says: `POCKETREC`, and what begins with `POCKETREC_COREML_`.
    static func fromEnvironment(_ environment: [String: String] = ProcessInfo.processInfo.environment) throws -> Server {
        var server = Server()
        if let command = environment["POCKETREC"], !command.isEmpty { server.command = command }
        if let text = environment["POCKETREC_COREML_TIME_LIMIT"] {
            guard let seconds = Double(text), seconds > 0, seconds < 1e6 else {
                throw MLModelError(.io, "POCKETREC_COREML_TIME_LIMIT is \(text); expected seconds")
            }
            server.timeLimit = seconds
        }
        server.padded = environment["POCKETREC_COREML_PAD_ROWS"] == "1"
        let units = environment["POCKETREC_COREML_REFUSED_UNITS"] ?? ""
        server.refused = Set(units.split(separator: ",").map(String.init))
        return server
    }

    func words(package: String, function: String?) -> [String] {
        let chosen = function.map { ["--function", $0] } ?? []
        return [command] + arguments + ["serve-pipe", package] + chosen
    }
}
