// An app's arguments as a model's arrays: looked up, cut to the most recent, padded, stacked row by row.

/// Text to ids: the text, the tokenizer, the vocabulary and the most ids.
typealias Tokenize = @Sendable (_ text: String, _ tokenizer: Tokenizer, _ vocabulary: Items, _ most: Int) throws -> [Int]

/// The words of a call that no item is, each once, in the order of their coming.
final class UnknownWords {
    private(set) var list: [Unknown] = []
    private var seen: Set<[UInt8]> = []

    /// Keeps a word with what it may have been meant for.
    func note(_ word: String, among items: Items) throws {
        if seen.insert(Array(word.utf8)).inserted {
            list.append(Unknown(given: word, near: try items.near(word)))
        }
    }
}

/// One row of a call, by features' names.
private struct Row {
    /// The ids of sequences.
    var sequences: [String: [Int]] = [:]
    /// What runs along sequences.
    var along: [String: [Value]] = [:]
    /// Single ids.
    var ids: [String: Int] = [:]
    /// Everything else.
    var values: [String: Value] = [:]

    /// How many entries a feature has; nil for one that has none.
    func count(of name: String) -> Int? {
        sequences[name]?.count ?? along[name]?.count
    }
}

/// One row of a feature as numbers.
private struct Filled {
    var shape: [Int]
    var numbers: [Double]

    init(_ numbers: [Double]) {
        self.numbers = numbers
        shape = [numbers.count]
    }

    init(_ number: Double, in shape: [Int] = []) {
        numbers = [number]
        self.shape = shape
    }

    init(stacking rows: [Filled]) {
        numbers = rows.flatMap(\.numbers)
        shape = [rows.count] + (rows.first?.shape ?? [])
    }
}

/// Arguments of one function as tensors.
struct FeatureEncoder {
    let contract: Contract
    let signature: Signature
    let vocabularies: [String: Items]
    let tokenize: Tokenize
    /// What features are called in messages, where it is not their own name.
    let names: [String: String]
    let unknown: UnknownWords
    /// The items that are given where a sequence takes the ids that spell them.
    private var spelled: Items?
    /// Inputs that no argument fills.
    private var without: Set<String> = []
    private let hasRows: Bool
    /// The axis of every feature that has one, and the first sequence along each axis.
    private let axes: [String: Size]
    private let sources: [Size: Feature]

    init(
        contract: Contract, signature: Signature, vocabularies: [String: Items], tokenize: @escaping Tokenize,
        names: [String: String], unknown: UnknownWords
    ) {
        self.contract = contract
        self.signature = signature
        self.vocabularies = vocabularies
        self.tokenize = tokenize
        self.names = names
        self.unknown = unknown
        hasRows = signature.hasRows
        let axes = signature.inputs.map { ($0, signature.axis(of: $0)) }
        self.axes = Dictionary(axes.compactMap { each, axis in axis.map { (each.name, $0) } }) { first, _ in first }
        sources = Dictionary(
            axes.compactMap { each, axis in each.isSequence ? axis.map { ($0, each) } : nil }) { first, _ in first }
    }

    /// The same for another function of the model, whose sequences are spelled; what is unknown is kept together.
    func with(_ signature: Signature, spelled: Items, without: Set<String>) -> FeatureEncoder {
        var other = FeatureEncoder(
            contract: contract, signature: signature, vocabularies: vocabularies, tokenize: tokenize, names: names,
            unknown: unknown)
        (other.spelled, other.without) = (spelled, without)
        return other
    }

    /// Every input of the function but its states, a row for each of `rows`; values by features' names.
    ///
    /// - Throws: ``CallError``, which names the argument, what came and what was expected.
    func tensors(_ rows: [[String: Value]]) throws -> [String: Tensor] {
        let encoded = try rows.map(row)
        let lengths = try lengths(encoded)
        var found: [String: Tensor] = [:]
        for each in signature.inputs where each.kind != .state && !without.contains(each.name) {
            found[each.name] = try stacked(each, encoded.map { try filled(each, $0, lengths) })
        }
        return found
    }

    /// The items of a feature's vocabulary.
    func items(of feature: Feature) throws -> Items {
        guard let items = vocabularies[feature.vocabulary ?? ""] else {
            throw ModelError(.badContract, "\(feature.name) has no vocabulary that is here; generate the package again")
        }
        return items
    }

    private func called(_ feature: Feature) -> String {
        names[feature.name] ?? feature.name
    }

    private func stacked(_ feature: Feature, _ rows: [Filled]) throws -> Tensor {
        guard let first = rows.first, let last = rows.last else {
            throw ModelError(.badContract, "\(feature.name) has no row; pass one at least")
        }
        guard let other = rows.first(where: { $0.shape != first.shape }) else {
            guard hasRows, let leading = feature.shape.first else {
                return try Tensor(feature.dtype, shape: first.shape, numbers: first.numbers)
            }
            let missing = max(0, try contract.bounds(leading).lowerBound - rows.count)  // a batch that is never smaller
            let all = Filled(stacking: rows + Array(repeating: last, count: missing))
            return try Tensor(feature.dtype, shape: all.shape, numbers: all.numbers)
        }
        throw CallError(
            .wrongLength, "\(called(feature)) has the shape \(other.shape) in one row and \(first.shape) in another; "
                + "pass the same for all")
    }
}

// MARK: - One row's entries

extension FeatureEncoder {
    private func row(_ given: [String: Value]) throws -> Row {
        var row = Row()
        for each in signature.inputs {
            guard let value = given[each.name] else { continue }
            if each.isSequence {
                row.sequences[each.name] = try sequence(each, value)
            } else if runsAlong(each) {
                row.along[each.name] = try recent(each, elements(called(each), value, "a list of numbers"))
            } else if each.kind == .id {
                row.ids[each.name] = try id(each, called(each), value)
            } else {
                row.values[each.name] = value
            }
        }
        return row
    }

    private func sequence(_ feature: Feature, _ given: Value) throws -> [Int] {
        let name = called(feature)
        if try contract.isText(feature) { return try text(feature, given) }
        let words = try elements(name, given, "a list of items")
        if let spelled, spelled.spec.spelledIn == feature.vocabulary { return try spellings(feature, words, spelled) }
        let ids = try words.enumerated().map { place, word in try id(feature, "\(name)[\(place)]", word) }
        return try recent(feature, ids)
    }

    private func text(_ feature: Feature, _ given: Value) throws -> [Int] {
        guard case let .text(text) = given else { throw wrong(called(feature), given, "text") }
        let items = try items(of: feature)
        guard let tokenizer = items.spec.tokenizer else {
            throw ModelError(.badContract, "vocabulary \(items.name) has no tokenizer; generate the package again")
        }
        return try tokenize(text, tokenizer, items, bounds(feature).upperBound)
    }

    /// The ids that spell the most recent items, whole ones; an unknown one is as many as an item has.
    private func spellings(_ feature: Feature, _ words: [Value], _ items: Items) throws -> [Int] {
        let length = items.spelled?.length ?? 0
        let ids = try words.enumerated().map { place, word in
            let (text, found) = try self.place("\(called(feature))[\(place)]", word, items)
            if let found { return items.spelled?.spelling(of: found) ?? [] }
            return Array(repeating: try fallback(feature, text, items), count: length)
        }
        return ids.suffix(try bounds(feature).upperBound / max(1, length)).flatMap { $0 }
    }

    /// The most recent entries, which come last, as many as the contract allows.
    private func recent<Entry>(_ feature: Feature, _ entries: [Entry]) throws -> [Entry] {
        entries.suffix(try bounds(feature).upperBound)
    }

    private func id(_ feature: Feature, _ place: String, _ word: Value) throws -> Int {
        let items = try items(of: feature)
        let (text, found) = try self.place(place, word, items)
        return try found ?? fallback(feature, text, items)
    }

    /// A word, and the id of its item.
    private func place(_ place: String, _ word: Value, _ items: Items) throws -> (String, Int?) {
        guard case let .text(text) = word else { throw wrong(place, word, "a token or a title") }
        return (text, try items.find(text))
    }

    /// What stands for a word that is no item, as the feature says.
    private func fallback(_ feature: Feature, _ word: String, _ items: Items) throws -> Int {
        let spec = try contract.vocabulary(feature.vocabulary ?? "")
        let policy = feature.outOfVocabulary
        guard policy != .forbid, let id = policy == .padding ? spec.paddingId : spec.unknownId else {
            throw try items.refused(word)
        }
        try unknown.note(word, among: items)
        return id
    }

    /// Whether a feature has one number for every entry of a sequence.
    private func runsAlong(_ feature: Feature) -> Bool {
        guard feature.kind == .dense, let axis = axes[feature.name], sources[axis] != nil else { return false }
        return rest(of: feature).count == 1
    }

    private func rest(of feature: Feature) -> ArraySlice<Size> {
        feature.shape.dropFirst(hasRows ? 1 : 0)
    }

    private func bounds(_ feature: Feature) throws -> ClosedRange<Int> {
        guard let axis = axes[feature.name] else {
            throw ModelError(.badContract, "\(feature.name) has no axis of entries; generate the package again")
        }
        return try contract.bounds(axis)
    }
}

// MARK: - One row's numbers

extension FeatureEncoder {
    /// How long every axis of sequences is: the longest row, and at least what the contract says.
    ///
    /// A row of padding alone is as long as the contract allows: what a model makes of it depends on its length.
    private func lengths(_ rows: [Row]) throws -> [Size: Int] {
        var found: [Size: Int] = [:]
        for each in signature.inputs where each.isSequence && !without.contains(each.name) {
            guard let axis = axes[each.name] else { continue }
            let bounds = try contract.bounds(axis)
            let padding = try items(of: each).spec.paddingId
            for row in rows {
                let entries = row.sequences[each.name] ?? []
                let isEmpty = padding != nil && entries.allSatisfy { $0 == padding }
                found[axis] = max(found[axis] ?? bounds.lowerBound, isEmpty ? bounds.upperBound : entries.count)
            }
        }
        return found
    }

    /// One row of a feature.
    private func filled(_ feature: Feature, _ row: Row, _ lengths: [Size: Int]) throws -> Filled {
        let axis = axes[feature.name]
        let source = axis.flatMap { sources[$0] }
        let length = axis.flatMap { lengths[$0] } ?? 0
        if let ids = row.sequences[feature.name] {
            try checkAlong(feature, source, row)
            return Filled(try padded(feature, ids, length))
        }
        if let values = row.along[feature.name] {
            try checkAlong(feature, source, row)
            let numbers = try values.enumerated().map { try number("\(called(feature))[\($0)]", $1, feature) }
            return Filled(pad(numbers, length, 0, source?.paddingSide))
        }
        if feature.kind == .mask, let source {
            let marks = [Double](repeating: 1, count: row.count(of: source.name) ?? 0)
            return Filled(pad(marks, length, 0, source.paddingSide))
        }
        if let id = row.ids[feature.name] { return Filled(Double(id), in: ones(feature)) }
        guard let value = row.values[feature.name] else {
            let source = signature.inputs.first(where: \.isSequence)
            return Filled(Double(row.count(of: source?.name ?? "") ?? 0), in: ones(feature))  // a length
        }
        return try numbers(feature, value)
    }

    /// The shape of a feature of one number.
    private func ones(_ feature: Feature) -> [Int] {
        rest(of: feature).map { _ in 1 }
    }

    /// Checks that what runs along a sequence is as long as it is.
    private func checkAlong(_ feature: Feature, _ source: Feature?, _ row: Row) throws {
        guard let source, let expected = row.count(of: source.name), let came = row.count(of: feature.name),
            expected != came
        else { return }
        throw CallError(
            .wrongLength,
            "\(called(feature)) has \(came) entries and \(called(source)) has \(expected); pass one for each")
    }

    private func padded(_ feature: Feature, _ ids: [Int], _ length: Int) throws -> [Double] {
        let padding = try items(of: feature).spec.paddingId
        if padding == nil, ids.count < length {
            throw CallError(
                .tooShort,
                "\(called(feature)) has \(ids.count) items; expected at least \(try bounds(feature).lowerBound), "
                    + "as nothing pads it")
        }
        return pad(ids.map { Double($0) }, length, Double(padding ?? 0), feature.paddingSide)
    }

    /// A number, or lists of numbers, in the shape of one row.
    private func numbers(_ feature: Feature, _ value: Value) throws -> Filled {
        let shape = rest(of: feature)
        if shape == [.fixed(1)], !value.isList { return Filled(try number(called(feature), value, feature), in: [1]) }
        return try nested(feature, called(feature), value, shape)
    }

    private func nested(_ feature: Feature, _ place: String, _ value: Value, _ shape: ArraySlice<Size>) throws -> Filled {
        guard let first = shape.first else { return Filled(try number(place, value, feature)) }
        let bounds = try contract.bounds(first)
        let size = bounds.lowerBound == bounds.upperBound ? "\(bounds.lowerBound)" : "\(bounds.lowerBound) to \(bounds.upperBound)"
        let values = try elements(place, value, shape.count == 1 ? "a list of \(size) numbers" : "\(size) lists")
        guard bounds.contains(values.count) else {
            throw CallError(.wrongLength, "\(place) has \(values.count) entries; expected \(size)")
        }
        let rows = try values.enumerated().map { try nested(feature, "\(place)[\($0)]", $1, shape.dropFirst()) }
        if let other = rows.first(where: { $0.shape != rows[0].shape }) {
            throw CallError(
                .wrongLength, "\(place) holds lists of shape \(other.shape) and \(rows[0].shape); pass equal ones")
        }
        return Filled(stacking: rows)
    }
}

extension Value {
    fileprivate var isList: Bool {
        if case .list = self { return true }
        return false
    }
}

/// The elements of a list; refuses anything else.
func elements(_ place: String, _ given: Value, _ expected: String) throws -> [Value] {
    guard case let .list(values) = given else { throw wrong(place, given, expected) }
    return values
}

/// The entries, filled with `value` to a length on one side, the right one by default.
private func pad(_ entries: [Double], _ length: Int, _ value: Double, _ side: Side?) -> [Double] {
    let fill = [Double](repeating: value, count: max(0, length - entries.count))
    return side == .left ? fill + entries : entries + fill
}

/// A number that a feature's type can hold.
private func number(_ place: String, _ value: Value, _ feature: Feature) throws -> Double {
    if feature.dtype == .bool {
        guard case let .flag(flag) = value else { throw wrong(place, value, "true or false") }
        return flag ? 1 : 0
    }
    guard case let .number(number) = value, Float(number).isFinite else {
        throw wrong(place, value, feature.dtype == .float32 ? "a finite number" : "a whole number")
    }
    let fits =
        switch feature.dtype {
        case .int32: Int32(exactly: number) != nil
        case .int64: Int64(exactly: number) != nil
        case .float32, .bool: true
        }
    guard fits else { throw wrong(place, value, "a whole number of \(feature.dtype.rawValue)") }
    return number
}
