// harness COMMAND FOLDER: reads what FOLDER/given.json asks and writes FOLDER/found.json.
import Foundation

guard CommandLine.arguments.count == 3 else {
    FileHandle.standardError.write(Data("harness COMMAND FOLDER\n".utf8))
    exit(2)
}
let folder = URL(fileURLWithPath: CommandLine.arguments[2], isDirectory: true)
do {
    let given = try Data(contentsOf: folder.appendingPathComponent("given.json"))
    let found: Data
    switch CommandLine.arguments[1] {
    case "tapes": found = try await replayTapes(given, folder)
    case "words": found = try await answerWords(given, folder)
    case "index": found = try lookUp(given, folder)
    case "ask": found = try await ask(given, folder)
    default: exit(2)
    }
    try found.write(to: folder.appendingPathComponent("found.json"))
} catch {
    FileHandle.standardError.write(Data("\(error)\n".utf8))
    exit(1)
}
