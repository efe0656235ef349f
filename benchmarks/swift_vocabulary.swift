import Foundation

// Times of a vocabulary's index and of a dictionary of the same lines, interleaved; see swift_vocabulary.py.

private let folder = URL(fileURLWithPath: CommandLine.arguments[1], isDirectory: true)
private let probes = 2_000
private let rounds = 5

private func milliseconds(_ body: () throws -> Void) rethrows -> Double {
    let took = try ContinuousClock().measure(body).components
    return Double(took.seconds) * 1e3 + Double(took.attoseconds) / 1e15
}

private func mapped(_ name: String) throws -> Data {
    try Data(contentsOf: folder.appendingPathComponent(name), options: .alwaysMapped)
}

private func opened() throws -> Items {
    let spec = try JSONDecoder().decode(
        VocabularySpec.self, from: Data("{\"size\": \(try rows()), \"sha256\": \"\"}".utf8))
    return try Items(
        name: "item", spec: spec, index: mapped("item.index"), tokens: mapped("item.txt"),
        titles: mapped("item.titles.txt"))
}

private func rows() throws -> Int {
    let head = try mapped("item.index")
    return Int(head.withUnsafeBytes { UInt64(littleEndian: $0.loadUnaligned(fromByteOffset: 16, as: UInt64.self)) })
}

private func dictionary(_ name: String) throws -> [String: Int] {
    let lines = String(decoding: try Data(contentsOf: folder.appendingPathComponent(name)), as: UTF8.self)
        .split(separator: "\n").map(String.init)
    return Dictionary(zip(lines, lines.indices)) { first, _ in first }
}

private func quantiles(_ times: [Double]) -> (Double, Double) {
    let sorted = times.sorted()
    return (sorted[sorted.count / 2], sorted[sorted.count * 99 / 100])
}

private func say(_ what: String, _ index: [Double], _ peer: [Double], _ unit: String, _ scale: Double) {
    let ((own, worst), (other, _)) = (quantiles(index), quantiles(peer))
    let format = "%@: index p50 %.3f p99 %.3f %@, dictionary p50 %.3f %@, ratio %.3f"
    print(String(format: format, what, own * scale, worst * scale, unit, other * scale, unit, own / other))
}

private let items = try opened()
private var (opens, builds) = ([Double](), [Double]())
private var (tokens, titles): ([String: Int], [String: Int]) = ([:], [:])
for _ in 0..<rounds {
    opens.append(try milliseconds { _ = try opened() })
    builds.append(try milliseconds { (tokens, titles) = (try dictionary("item.txt"), try dictionary("item.titles.txt")) })
}
say("open", opens, builds, "ms", 1)

private var generator = SystemRandomNumberGenerator()
private let places = (0..<probes).map { _ in Int.random(in: 0..<items.count, using: &generator) }
for (what, words) in [
    ("find a token", try places.map(items.token)), ("find a title", try places.map(items.shown)),
    ("find no word", places.map { "no word \($0)" }),
] {
    var (own, peer) = ([Double](), [Double]())
    for word in words {
        own.append(try milliseconds { _ = try items.find(word) })
        peer.append(milliseconds { _ = tokens[word] ?? titles[word] })
    }
    say(what, own, peer, "µs", 1e3)
}
print(String(format: "near misses of a word that is no part of any: %.0f ms", try milliseconds { _ = try items.near("zzzz") }))
print(String(format: "check of the whole index: %.0f ms", try milliseconds {
    try VocabularyIndex(
        name: "item", index: mapped("item.index"), tokens: mapped("item.txt"), titles: mapped("item.titles.txt")
    ).check()
}))
