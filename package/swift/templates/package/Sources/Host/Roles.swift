// What a function of a contract is called for, over which items, and what its arguments are called.

/// One function as an app sees it.
struct Call: Sendable {
    /// An app's name of an argument, and the feature that it fills.
    struct Argument: Sendable {
        let name: String
        let feature: String
    }

    /// Its name in the contract.
    let function: String
    let role: Role
    /// The role where no other function has it, else role and function.
    let method: String
    /// The vocabulary of its items; empty where it has none.
    let items: String
    /// In the contract's order.
    let arguments: [Argument]
    /// The feature that a candidate is an item of; empty for most roles.
    let candidate: String

    /// Every name that a call may pass, the options last.
    var names: [String] { arguments.map(\.name) + role.options }
}

extension Role {
    /// What a call may say beside its features.
    var options: [String] {
        switch self {
        case .recommend, .search, .generate: ["k", "excluding"]
        case .rank: ["candidates"]
        case .arrange: ["k"]
        case .decide: ["draw"]
        case .embed, .predict: []
        }
    }
}

extension Meaning {
    /// Whether the numbers say how good something is.
    var isScore: Bool { self == .score || self == .logit || self == .probability }
}

extension Feature {
    /// Whether the feature is a sequence or a bag of ids.
    var isSequence: Bool { kind == .idSequence || kind == .idBag }
}

extension Signature {
    /// Whether the first axis of every input counts rows: calls of one user, or candidates.
    var hasRows: Bool {
        let asked = inputs.filter { $0.kind != .state }
        guard let leading = asked.first?.shape.first else { return false }
        return asked.allSatisfy { $0.shape.first == leading && (!$0.isSequence || $0.shape.count > 1) }
    }

    /// A shape without the axis that counts rows.
    func rest(of each: some Shaped) -> [Size] {
        hasRows ? Array(each.shape.dropFirst()) : each.shape
    }

    /// The axis that runs along a feature's entries; nil for a feature of one entry.
    func axis(of feature: Feature) -> Size? {
        rest(of: feature).last
    }

    /// Whether an output is one number a row.
    func isOneNumber(_ out: Output) -> Bool {
        let rest = rest(of: out)
        return out.meaning.isScore && (rest.isEmpty || rest == [.fixed(1)])
    }
}

extension Contract {
    /// Every function as an app sees it, in the order of the functions' names.
    func calls() throws -> [Call] {
        let all = try functions.keys.sorted().map { ($0, try role(of: $0)) }
        let generating = all.filter { $0.1 == .generate }
        let inner = Set(try generating.flatMap { name, _ in try fedBy(name).map(\.giver) })
        let roles = all.filter { !inner.contains($0.0) }
        return try roles.map { name, role in
            let alone = roles.filter { $0.1 == role }.count == 1
            return try call(name, role, method: alone ? role.rawValue : "\(role.rawValue)_\(name)")
        }
    }

    /// The role that the function states, else the one that its kinds and meanings show.
    func role(of name: String) throws -> Role {
        let signature = try signature(name)
        if let stated = signature.role { return stated }
        let items = try items(of: name)
        if try signature.outputs.contains(where: listsItems) {
            return try signature.inputs.contains(where: isText) ? .search : .recommend
        }
        if signature.outputs.contains(where: { $0.meaning == .embedding }) { return .embed }
        if arranges(signature, items) { return .arrange }
        return ranks(signature, items) ? .rank : .predict
    }

    /// The vocabulary of a function's items; empty where none shows.
    ///
    /// The one stated, of generation the one that is spelled, else that of its listed ids or scores, else one that an
    /// id and a sequence share, else the only one with titles.
    func items(of name: String) throws -> String {
        let signature = try signature(name)
        if let stated = signature.items, !stated.isEmpty { return stated }
        if signature.role == .generate {
            return vocabularies.keys.sorted().first { vocabularies[$0]?.spelledIn?.isEmpty == false } ?? ""
        }
        if let listed = try signature.outputs.first(where: listsItems)?.vocabulary { return listed }
        let singles = Set(signature.inputs.filter { $0.kind == .id }.map(\.vocabulary))
        let shared = signature.inputs.first { $0.isSequence && singles.contains($0.vocabulary) }
        if let found = shared?.vocabulary { return found }
        let read = Set(signature.inputs.compactMap(\.vocabulary))
        let titled = read.filter { vocabularies[$0]?.titlesSha256?.isEmpty == false }
        return titled.count == 1 ? titled.first ?? "" : ""
    }

    /// Whether an output has a score for every id of a vocabulary, or lists ids of one.
    func listsItems(_ out: Output) throws -> Bool {
        guard let name = out.vocabulary, let last = out.shape.last else { return false }
        if out.meaning == .topKIds { return true }
        let size = try vocabulary(name).size
        return try out.meaning.isScore && bounds(last) == size...size
    }

    /// Whether a feature is text, which its vocabulary's tokenizer cuts into tokens.
    func isText(_ feature: Feature) throws -> Bool {
        guard let name = feature.vocabulary else { return false }
        return try vocabulary(name).tokenizer != nil
    }

    /// The inputs of a function that are outputs of another one, such as an encoder's, and of which.
    func fedBy(_ name: String) throws -> [(input: String, giver: String)] {
        var givers: [String: String] = [:]
        for (other, signature) in functions.sorted(by: { $0.key < $1.key }) where other != name {
            for out in signature.outputs { givers[out.name] = other }
        }
        return try signature(name).inputs.filter { $0.kind == .dense }.compactMap { each in
            givers[each.name].map { (each.name, $0) }
        }
    }

    /// The functions of one generation, each once, the generating one last.
    func functions(feeding name: String) throws -> [String] {
        var found: [String] = []
        for (_, giver) in try fedBy(name) where !found.contains(giver) { found.append(giver) }
        return found + [name]
    }

    /// The sequence that a generating function goes on with: the last one in what spells its items.
    ///
    /// One that a function before it takes, too, is a history.
    func prefix(of name: String, items: String) throws -> Feature {
        let code = try vocabulary(items).spelledIn
        let before = Set(try fedBy(name).flatMap { try signature($0.giver).inputs.map(\.name) })
        let spelled = try signature(name).inputs.filter { $0.isSequence && $0.vocabulary == code }
        guard let found = spelled.last(where: { !before.contains($0.name) }) ?? spelled.last else {
            throw ModelError(.badContract, "function \(name) takes no prefix of ids that spell its items; build it again")
        }
        return found
    }
}

extension Contract {
    private func ofItems(_ signature: Signature, _ items: String) -> [Feature] {
        items.isEmpty ? [] : signature.inputs.filter { $0.vocabulary == items }
    }

    private func arranges(_ signature: Signature, _ items: String) -> Bool {
        let axes = Set(ofItems(signature, items).filter(\.isSequence).compactMap(signature.axis))
        return signature.outputs.contains { out in
            out.meaning.isScore && signature.rest(of: out).last.map(axes.contains) == true
        }
    }

    private func ranks(_ signature: Signature, _ items: String) -> Bool {
        ofItems(signature, items).contains { $0.kind == .id } && signature.outputs.contains(where: signature.isOneNumber)
    }

    private func call(_ name: String, _ role: Role, method: String) throws -> Call {
        let signature = try signature(name)
        let items = try items(of: name)
        let candidate = ofItems(signature, items).first { each in
            (role == .rank && each.kind == .id) || (role == .arrange && each.isSequence)
        }
        let inputs = role == .generate ? try askedInputs(name, items) : signature.inputs
        let own = candidate?.name ?? ""
        let asked = inputs.filter { !isFilled(signature, $0) && !(role == .rank && $0.name == own) }
        let names = try Naming(contract: self, inputs: inputs, role: role, items: items, candidate: own)
        return Call(
            function: name, role: role, method: method, items: items,
            arguments: asked.map { Call.Argument(name: names.name(of: $0), feature: $0.name) }, candidate: own)
    }

    /// The inputs that generation is asked for: those of every function that takes part.
    private func askedInputs(_ name: String, _ items: String) throws -> [Feature] {
        let without = Set(try fedBy(name).map(\.input) + [prefix(of: name, items: items).name])
        var found: [Feature] = []
        for each in try functions(feeding: name).flatMap({ try signature($0).inputs }) where !without.contains(each.name) {
            if let place = found.firstIndex(where: { $0.name == each.name }) {
                found[place] = each
            } else {
                found.append(each)
            }
        }
        return found
    }

    /// Whether a state, or what a sequence says of itself, so that no argument fills it.
    private func isFilled(_ signature: Signature, _ feature: Feature) -> Bool {
        let sequences = signature.inputs.filter(\.isSequence)
        return switch feature.kind {
        case .state: true
        case .mask: sequences.contains { signature.axis(of: $0) == signature.axis(of: feature) }
        case .length: sequences.count == 1
        default: false
        }
    }
}

/// What arguments are called: the one sequence of items is the history, the one text the text.
private struct Naming {
    let role: Role
    let candidate: String
    let own: [String]
    let histories: [String]
    let texts: [String]

    init(contract: Contract, inputs: [Feature], role: Role, items: String, candidate: String) throws {
        var words = Set(items.isEmpty ? [] : [items])
        if role == .generate, let code = try contract.vocabulary(items).spelledIn { words.insert(code) }
        self.role = role
        self.candidate = candidate
        own = inputs.map(\.name)
        histories = inputs.filter { $0.isSequence && words.contains($0.vocabulary ?? "") }.map(\.name)
        texts = try inputs.filter(contract.isText).map(\.name)
    }

    /// The app's name of a feature; one with the name of an option or of another one, such as `k`, is called `k_feature`.
    func name(of feature: Feature) -> String {
        let reserved = role == .arrange ? role.options + ["candidates"] : role.options
        var called = called(feature.name)
        while feature.name != candidate, reserved.contains(called) || !isFree(called, for: feature.name) {
            called += "_feature"
        }
        return called
    }

    private func called(_ name: String) -> String {
        if role == .arrange, name == candidate { return "candidates" }
        if role == .recommend || role == .generate, histories == [name], isFree("history", for: name) { return "history" }
        return texts == [name] && isFree("text", for: name) ? "text" : name
    }

    private func isFree(_ word: String, for name: String) -> Bool {
        name == word || !own.contains(word)
    }
}
