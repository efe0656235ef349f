/// An argument of a call, or any other JSON value.
enum Value: Sendable, Decodable {
    case null
    case flag(Bool)
    case number(Double)
    case text(String)
    case list([Value])
    case record([String: Value])

    init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        if container.decodeNil() {
            self = .null
        } else if let found = try? container.decode(Double.self) {
            self = .number(found)
        } else if let found = try? container.decode(String.self) {
            self = .text(found)
        } else if let found = try? container.decode(Bool.self) {
            self = .flag(found)
        } else if let found = try? container.decode([Value].self) {
            self = .list(found)
        } else {
            self = .record(try container.decode([String: Value].self))
        }
    }

    var isNull: Bool {
        if case .null = self { return true }
        return false
    }
}

extension Value: Equatable {
    /// Texts are equal where their code points are; Swift's own comparison takes é and e with an accent for the same.
    static func == (left: Value, right: Value) -> Bool {
        switch (left, right) {
        case (.null, .null): true
        case let (.flag(left), .flag(right)): left == right
        case let (.number(left), .number(right)): left == right
        case let (.text(left), .text(right)): left.utf8.elementsEqual(right.utf8)
        case let (.list(left), .list(right)): left == right
        case let (.record(left), .record(right)): left == right
        default: false
        }
    }
}

extension Value {
    /// The value as JSON, records in the order of their keys.
    var json: String {
        var text = ""
        write(to: &text)
        return text
    }

    private func write(to text: inout String) {
        switch self {
        case .null: text += "null"
        case let .flag(flag): text += flag ? "true" : "false"
        case let .number(number): text += Value.written(number)
        case let .text(word): Value.write(word, to: &text)
        case let .list(values):
            text += "["
            for (place, each) in values.enumerated() {
                text += place > 0 ? "," : ""
                each.write(to: &text)
            }
            text += "]"
        case let .record(record):
            text += "{"
            for (place, key) in record.keys.sorted().enumerated() {
                text += place > 0 ? "," : ""
                Value.write(key, to: &text)
                text += ":"
                record[key]?.write(to: &text)
            }
            text += "}"
        }
    }

    /// A number without a point where it is whole.
    private static func written(_ number: Double) -> String {
        if let whole = Int64(exactly: number) { return String(whole) }
        if number.isNaN { return "NaN" }
        return number.isInfinite ? (number < 0 ? "-Infinity" : "Infinity") : number.description
    }

    private static func write(_ word: String, to text: inout String) {
        text += "\""
        for each in word.unicodeScalars {
            switch each {
            case "\"": text += "\\\""
            case "\\": text += "\\\\"
            case "\n": text += "\\n"
            case "\r": text += "\\r"
            case "\t": text += "\\t"
            case "\u{8}": text += "\\b"
            case "\u{c}": text += "\\f"
            case "\0"..<" ":
                let digits = String(each.value, radix: 16)
                text += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
            default: text.unicodeScalars.append(each)
            }
        }
        text += "\""
    }
}
