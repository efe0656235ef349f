"""The names of a bundle and of its contract as Swift spells them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from pocketrec.contract import Contract
from pocketrec.package.apps.methods import Method
from pocketrec.package.apps.names import capitals, type_name

# Words that name an argument or a property only between backticks.
_KEYWORDS = frozenset(
    {
        *("Any", "Self", "actor", "as", "associatedtype", "async", "await", "borrowing", "break", "case"),
        *("catch", "class", "consuming", "continue", "default", "defer", "deinit", "do", "else", "enum"),
        *("extension", "fallthrough", "false", "fileprivate", "for", "func", "guard", "if", "import", "in"),
        *("init", "inout", "internal", "is", "isolated", "let", "nil", "nonisolated", "open", "operator"),
        *("precedencegroup", "private", "protocol", "public", "repeat", "rethrows", "return", "self", "some"),
        *("sending", "static", "struct", "subscript", "super", "switch", "throw", "throws", "true", "try"),
        *("typealias", "var", "where", "while", "any", "each", "package"),
    }
)
# What a type's own members cannot be called, even so.
UNSPEAKABLE = ("Type", "Protocol", "self", "Self", "init")
# What no generated type is called: Swift's own, Foundation's and Core ML's that the sources name.
_SWIFT = frozenset(
    {
        *(
            "Any",
            "Array",
            "AsyncStream",
            "Bool",
            "Bundle",
            "CancellationError",
            "Character",
            "CheckedContinuation",
        ),
        *(
            "ClosedRange",
            "Codable",
            "Collection",
            "CoreML",
            "Data",
            "Date",
            "Decodable",
            "Decoder",
            "Dictionary",
        ),
        *(
            "DispatchQueue",
            "DispatchTime",
            "Double",
            "Encodable",
            "Encoder",
            "Equatable",
            "Error",
            "FileHandle",
        ),
        *(
            "FileManager",
            "Float",
            "Foundation",
            "Hashable",
            "Identifiable",
            "Int",
            "Int32",
            "Int64",
            "JSONDecoder",
        ),
        *(
            "JSONEncoder",
            "LocalizedError",
            "NSNumber",
            "NSValue",
            "Never",
            "Optional",
            "ProcessInfo",
            "Protocol",
        ),
        *(
            "Range",
            "RawRepresentable",
            "Result",
            "Self",
            "Sendable",
            "Sequence",
            "Set",
            "String",
            "Swift",
            "Task",
        ),
        *("Type", "UInt", "UInt16", "UInt32", "UInt64", "UInt8", "URL", "Unicode", "UnownedJob", "Void"),
        *(
            "ExecutorJob",
            "ExpressibleByStringLiteral",
            "ObjCBool",
            "OSSignposter",
            "SHA256",
            "SerialExecutor",
        ),
        *("StaticString", "TimeInterval", "UnownedSerialExecutor", "XCTest", "RandomAccessCollection"),
        *(
            "ArraySlice",
            "CaseIterable",
            "CodingKey",
            "ContinuousClock",
            "CryptoKit",
            "Darwin",
            "DecodingError",
        ),
        *("Dispatch",),
        *("FileAttributeType", "FixedWidthInteger", "Linux", "MainActor", "OSSignpostIntervalState", "UUID"),
        *("URLResourceKey", "UTF8", "UnsafePointer", "UnsafeMutablePointer"),
        *("UnsafeMutableRawBufferPointer", "UnsafeRawBufferPointer"),
        *("MLDictionaryFeatureProvider", "MLFeatureProvider", "MLFeatureValue", "MLModel", "MLModelAsset"),
        *("MLModelConfiguration", "MLMultiArray", "MLMultiArrayConstraint", "MLMultiArrayDataType"),
    }
)
# What the example names beside the model's class, and SwiftUI's types in there.
_EXAMPLE = frozenset(
    {
        *("App", "Button", "ForEach", "HStack", "Label", "List", "NavigationStack", "ObservableObject"),
        *("Published", "RecommenderApp", "RecommenderState", "RecommenderView", "Scene", "ScrollView"),
        *("Section", "Spacer", "State", "StateObject", "SwiftUI", "Text", "View", "WindowGroup"),
    }
)
# The types of the package's own sources.
OWN = frozenset(
    {
        *(
            "Anchor",
            "Answer",
            "Argument",
            "Asked",
            "Beam",
            "BestHeap",
            "Call",
            "CallError",
            "Calls",
            "Characters",
            "Checking",
        ),
        *(
            "Compiling",
            "ComputeUnits",
            "Contract",
            "Decision",
            "Digest",
            "Dim",
            "Dtype",
            "Embedding",
            "Engine",
        ),
        *(
            "EngineFunction",
            "Feature",
            "FeatureEncoder",
            "Filled",
            "Fitting",
            "FunctionPlace",
            "Gate",
            "Generated",
        ),
        *(
            "HeldModel",
            "Host",
            "Interval",
            "Item",
            "ItemIdentifier",
            "Items",
            "Kind",
            "Layout",
            "LineBytes",
            "Lines",
            "LoadError",
        ),
        *("LoadOptions", "LoadReport", "LoadState", "Loaded", "Loader", "Loading", "Manifest", "Meaning"),
        *(
            "MemoryModel",
            "ModelError",
            "ModelExecutor",
            "ModelFolder",
            "ModelSpec",
            "Naming",
            "OnState",
            "OutputCheck",
        ),
        *("Output", "Placed", "Policy", "Predicted", "Prediction", "PrefixTrie", "Reader", "Recommendation"),
        *("Recommendations", "Role", "Row", "Run", "Scored", "SessionStates", "Shaped", "Side", "Signature"),
        *("Size", "SizeRange", "StatefulModel", "Step", "Store", "Tensor", "TensorData", "Tokenize"),
        *("Tokenizer", "UnicodeTables", "Unknown", "UnknownWords", "Value", "VocabularyIndex"),
        *("VocabularySpec", "WordPiece"),
    }
)
TAKEN = _SWIFT | _EXAMPLE | OWN
_WORDS = re.compile(r"[A-Za-z0-9]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Names:
    """What the types of a package are called.

    Attributes:
        type: the model's class.
        module: the package, its product and its module; never the type's name.
        ids: the type of an id by its vocabulary.
    """

    type: str
    module: str
    ids: Mapping[str, str]


def names_of(name: str, contract: Contract, methods: Iterable[Method], *, stated: str = "") -> Names:
    """The names of a bundle's package; no two are one, and none is a type's that the package has or uses.

    `stated` is what the recipe calls the class; UsageError where something else is called so.
    """
    nested = {f"{each.type}{what}" for each in methods for what in ("Candidate", "Outputs")}
    model = type_name(name, stated=stated, taken=TAKEN | nested)
    used = {*TAKEN, *nested, model, f"{model}Model", f"{model}Session"}
    ids = {}
    for vocabulary in contract.vocabularies:
        wanted = f"{capitals(_WORDS.findall(vocabulary))}ID"
        ids[vocabulary] = _free(wanted, used)
    return Names(type=model, module=f"{model}Model", ids=ids)


def _free(wanted: str, used: set[str]) -> str:
    found = wanted
    while found in used:
        found += "_"
    used.add(found)
    return found


def quoted(name: str) -> str:
    """A name as a declaration says it."""
    return f"`{name}`" if name in _KEYWORDS else name
