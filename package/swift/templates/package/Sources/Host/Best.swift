import Foundation

// Scores as the k best, and as probabilities. Sums are made in float64 in the order of ids, as in every language.

/// The place of something, and its score.
struct Placed: Sendable, Equatable {
    let place: Int
    let score: Double

    /// Whether it comes before another: the higher score, of equal ones the lower place.
    func precedes(_ other: Placed) -> Bool {
        score == other.score ? place < other.place : score > other.score
    }
}

/// The number of items asked for; throws `bad_k` where it is no whole number from 0.
func checkedK(_ k: Value) throws -> Int {
    guard case let .number(number) = k, number >= 0, number.isFinite, number == number.rounded() else {
        throw CallError(.badK, "k is \(shown(k)); expected a whole number from 0")
    }
    return Int(exactly: number) ?? .max
}

/// Throws `bad_score`, naming the first score that is not a number.
func checkScores(_ scores: [Double], _ what: String) throws {
    if let place = scores.firstIndex(where: \.isNaN) { throw notANumber(what, place) }
}

private func notANumber(_ what: String, _ place: Int) -> CallError {
    CallError(.badScore, "the score of \(what) \(place) is not a number; build the model again")
}

/// The k best of the scores of ids from 0, best first; the same rules as ``best(_:k:leftOut:)``.
func best(of scores: [Double], k: Int, leftOut: Set<Int>) throws -> [Placed] {
    var heap = BestHeap(k: k, leftOut: leftOut)
    for (place, score) in scores.enumerated() {
        if let worst = heap.worst, score <= worst { continue }  // of equal scores the lower id was here first
        try heap.offer(Placed(place: place, score: score))
    }
    return heap.sorted()
}

/// The k best, best first, ties by the lower place.
///
/// Places in `leftOut` and scores of minus infinity are never listed; where fewer are left, all of them are.
///
/// - Throws: ``CallError`` `badScore`, where a score is not a number.
func best(_ scored: [Placed], k: Int, leftOut: Set<Int>) throws -> [Placed] {
    var heap = BestHeap(k: k, leftOut: leftOut)
    for each in scored { try heap.offer(each) }
    return heap.sorted()
}

/// The k best so far, the worst of them on top.
private struct BestHeap {
    let k: Int
    let leftOut: Set<Int>
    private var held: [Placed] = []

    init(k: Int, leftOut: Set<Int>) {
        self.k = k
        self.leftOut = leftOut
    }

    /// The score that one has to exceed, where k are here.
    var worst: Double? { held.count < k ? nil : held.first?.score }

    mutating func offer(_ each: Placed) throws {
        if each.score.isNaN { throw notANumber("id", each.place) }
        if k == 0 || each.score == -.infinity || leftOut.contains(each.place) { return }
        if held.count < k {
            held.append(each)
            rise()
        } else if each.precedes(held[0]) {
            held[0] = each
            sink()
        }
    }

    func sorted() -> [Placed] { held.sorted { $0.precedes($1) } }

    private mutating func rise() {
        var place = held.count - 1
        while place > 0, held[(place - 1) / 2].precedes(held[place]) {
            held.swapAt((place - 1) / 2, place)
            place = (place - 1) / 2
        }
    }

    private mutating func sink() {
        var place = 0
        while true {
            var worse = 2 * place + 1
            if worse >= held.count { return }
            if worse + 1 < held.count, held[worse].precedes(held[worse + 1]) { worse += 1 }
            if !held[place].precedes(held[worse]) { return }
            held.swapAt(place, worse)
            place = worse
        }
    }
}

/// The probability of each logit among all that are not left out; 0 for those.
func softmax(_ logits: [Double], leftOut: Set<Int>) -> [Double] {
    var kept = logits
    for place in leftOut where kept.indices.contains(place) { kept[place] = -.infinity }
    let top = kept.reduce(-.infinity) { $1 > $0 ? $1 : $0 }
    if top == -.infinity { return logits.map { _ in 0 } }
    let raised = kept.map { exp($0 - top) }
    let total = raised.reduce(0, +)
    return raised.map { $0 / total }
}

/// The probability of a logit.
func sigmoid(_ logit: Double) -> Double {
    if logit >= 0 { return 1 / (1 + exp(-logit)) }
    let raised = exp(logit)
    return raised / (1 + raised)
}

/// The first id whose cumulated share exceeds `draw` in [0, 1); nil where none has a share.
func drawn(_ probabilities: [Double], draw: Double, leftOut: Set<Int>) -> Int? {
    let whole = total(probabilities, leftOut)
    var reached = 0.0
    var last: Int?
    for (place, each) in probabilities.enumerated() where !(each <= 0 || leftOut.contains(place)) {
        reached += each
        last = place
        if reached / whole > draw { return place }
    }
    return last
}

/// The probability of an id among all that are not left out; 0 where none has any.
func share(_ probabilities: [Double], of place: Int, leftOut: Set<Int>) -> Double {
    let whole = total(probabilities, leftOut)
    return whole == 0 || !probabilities.indices.contains(place) ? 0 : probabilities[place] / whole
}

private func total(_ probabilities: [Double], _ leftOut: Set<Int>) -> Double {
    probabilities.enumerated().reduce(0) { sum, each in leftOut.contains(each.offset) ? sum : sum + each.element }
}
