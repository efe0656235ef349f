"""The contract: what a recommender's inputs and outputs mean, said once for every stage.

A recommender's interface is features, not tensors: which id space, how long, padded where, what
an unknown id becomes, what the outputs mean. Capture, rewrites, both lowerings, probes, golden
vectors and the application's API all read it here.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from math import isfinite
from typing import Any, Literal, Protocol

from pocketrec.errors import ContractError

Kind = Literal["id", "id_sequence", "id_bag", "dense", "mask", "length", "state"]
DType = Literal["int32", "int64", "float32", "bool"]
WHOLE = ("int32", "int64")
# Where int32 ends, where float64 no longer holds every whole number, and where int64 ends.
WIDE_ENDS = (2**31 - 1, 2**31, -(2**31) - 1, 2**53 + 1, -(2**53) - 1, 2**63 - 1, -(2**63))
PaddingSide = Literal["left", "right"]
OutOfVocabulary = Literal["padding", "unknown", "forbid"]
Meaning = Literal["score", "logit", "probability", "embedding", "top_k_ids", "top_k_scores", "state"]
# Target to function to input or output to its shape in that artifact: a size, or a dim that stays a range.
TargetShapes = Mapping[str, Mapping[str, Mapping[str, tuple[int | str, ...]]]]
SCORES = ("score", "logit", "probability")  # the meanings of which more is better
Role = Literal["", "recommend", "rank", "search", "embed", "arrange", "decide", "predict", "generate"]

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*\Z")
_MOST = 2**31 - 1  # ids and sizes are int32
_ID_KINDS = ("id", "id_sequence", "id_bag")
_LATER = frozenset({"role", "items", "titles_sha256", "spelled_in", "spellings_sha256", "tokenizer"})
_LATER_INPUTS = frozenset({"unit"})
# Core ML and Swift both give these words a meaning of their own.
RESERVED_NAMES = frozenset({"description", "self", "init", "class", "default", "state"})
# Words of the language that Core ML programs are written in: no input or output of one can be called so.
CORE_ML_WORDS = frozenset(
    {
        *("any", "bool", "program", "func", "tensor", "list", "dict", "tuple", "true", "false", "string"),
        *("bf16", "fp16", "fp32", "fp64", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32"),
        *("uint64", "state"),
    }
)


def _check_name(what: str, name: str) -> None:
    if not _NAME.match(name) or name in RESERVED_NAMES:
        raise ContractError(
            f"{what} {name!r}: expected letters, digits and _ after a letter, and none of "
            f"{', '.join(sorted(RESERVED_NAMES))}; rename it"
        )


def _check_word(what: str, name: str) -> None:
    """Checks a name that files, Swift and the graph's symbols are named after."""
    if not _NAME.match(name):
        raise ContractError(f"{what} {name!r}: expected letters, digits and _ after a letter; rename it")


@dataclass(frozen=True, slots=True, kw_only=True)
class Dim:
    """A symbolic dimension's bounds, both included, in elements.

    Attributes:
        min: the smallest size.
        max: the largest size.
    """

    min: int = 1
    max: int

    def __post_init__(self) -> None:
        if not 1 <= self.min <= self.max <= _MOST:
            raise ContractError(f"dim bounds {self.min}..{self.max}: expected 1 <= min <= max <= 2147483647")


@dataclass(frozen=True, slots=True, kw_only=True)
class Tokenizer:
    """How text becomes tokens of a vocabulary, which is the file that BERT calls vocab.txt.

    Attributes:
        kind: the algorithm.
        lowercase: whether letters become small first.
        strip_accents: whether accents are taken off; by default as `lowercase` says.
        tokenize_chinese_chars: whether Chinese characters are words of their own.
        unknown: the token of a word that cannot be spelled.
        start: the token before the text.
        end: the token after it.
        mask: the token that hides a word. Where it, or one of the others, stands in a text, it is kept whole.
        max_characters_per_word: from more characters on, a word is unknown.
    """

    kind: Literal["wordpiece"] = "wordpiece"
    lowercase: bool = True
    strip_accents: bool | None = None
    tokenize_chinese_chars: bool = True
    unknown: str = "[UNK]"
    start: str = "[CLS]"
    end: str = "[SEP]"
    mask: str = "[MASK]"
    max_characters_per_word: int = 100

    def __post_init__(self) -> None:
        if not 1 <= self.max_characters_per_word <= _MOST:
            raise ContractError(
                f"tokenizer max_characters_per_word is {self.max_characters_per_word}; expected 1 to {_MOST}"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class VocabularySpec:
    """An id space: `size` ids from 0, of which padding and unknown may be set aside.

    Attributes:
        size: how many ids there are, the set-aside ones included.
        padding_id: the id that fills sequences, or None.
        unknown_id: the id that stands for everything not in the vocabulary, or None.
        sha256: digest of the vocabulary's tokens file; empty until the tokens are read.
        titles_sha256: digest of the file of what people read, a line a token; empty where there is none.
        spelled_in: the vocabulary whose ids spell this one's items (semantic ids); empty for most.
        spellings_sha256: digest of the file of these spellings, a line a token, blank for what is set aside.
        tokenizer: cuts text into tokens; a sequence over the vocabulary takes text then.
    """

    size: int
    padding_id: int | None = None
    unknown_id: int | None = None
    sha256: str = ""
    titles_sha256: str = ""
    spelled_in: str = ""
    spellings_sha256: str = ""
    tokenizer: Tokenizer | None = None

    def __post_init__(self) -> None:
        if not 1 <= self.size <= _MOST:
            raise ContractError(f"vocabulary size {self.size}: expected 1..2147483647 (ids are int32)")
        for label, value in (("padding_id", self.padding_id), ("unknown_id", self.unknown_id)):
            if value is not None and not 0 <= value < self.size:
                raise ContractError(f"vocabulary {label} {value}: expected 0..{self.size - 1}")

    @property
    def digests(self) -> dict[str, str]:
        """The digests that are known of its files, by key."""
        found = {"tokens": self.sha256, "titles": self.titles_sha256, "spellings": self.spellings_sha256}
        return {key: each for key, each in found.items() if each}

    @property
    def aside(self) -> frozenset[int]:
        """The ids that are no tokens of anything: padding and unknown."""
        return frozenset(each for each in (self.padding_id, self.unknown_id) if each is not None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Feature:
    """One input.

    Attributes:
        name: the input's name in every artifact.
        kind: `id`, `id_sequence` (ordered), `id_bag` (unordered), `dense`, `mask`, `length`, or
            `state`: what one call hands to the next, zeros at first; an output `updates` it.
        dtype: what the caller passes; where a recipe leaves it out, `float32` for `dense` and `state`.
            `int64` is for raw ids, times and hashes, which Core ML has not.
        shape: sizes, or names of the contract's dims.
        vocabulary: the id space, for the three id kinds.
        padding_side: where shorter sequences and bags are filled with the padding id.
        out_of_vocabulary: what an id outside the vocabulary becomes inside the graph: the
            `padding` id, the `unknown` id, or `forbid` (the caller never passes one; no guard).
        minimum: smallest value of a dense feature or a state, for probes.
        maximum: largest value of a dense feature or a state, for probes.
        unit: for people: "stars", "minutes"; empty where there is none.
    """

    name: str
    kind: Kind
    dtype: DType = "int32"
    shape: tuple[int | str, ...]
    vocabulary: str | None = None
    padding_side: PaddingSide | None = None
    out_of_vocabulary: OutOfVocabulary = "forbid"
    minimum: float = 0.0
    maximum: float = 1.0
    unit: str = ""

    def __post_init__(self) -> None:
        _check_name("input", self.name)
        if self.is_id != (self.vocabulary is not None):
            expected = "a vocabulary" if self.is_id else "no vocabulary"
            raise ContractError(f"input {self.name}: kind {self.kind!r} takes {expected}")
        if self.is_id and self.dtype != "int32":
            raise ContractError(f"input {self.name}: ids are int32 on every target, not {self.dtype}")
        if self.kind in ("id_sequence", "id_bag") and not self.shape:
            raise ContractError(f"input {self.name}: shape is []; an {self.kind} has an axis of entries")
        if self.kind == "state" and self.dtype != "float32":
            raise ContractError(f"input {self.name}: a state is float32, not {self.dtype}")
        if not (isfinite(self.minimum) and isfinite(self.maximum)):
            raise ContractError(
                f"input {self.name}: minimum {self.minimum}, maximum {self.maximum}; expected finite numbers"
            )
        if self.minimum > self.maximum:
            raise ContractError(f"input {self.name}: minimum {self.minimum} is above maximum {self.maximum}")

    @property
    def is_id(self) -> bool:
        """True for the kinds whose values are ids of a vocabulary."""
        return self.kind in _ID_KINDS


@dataclass(frozen=True, slots=True, kw_only=True)
class Output:
    """One output.

    Attributes:
        name: the output's name in every artifact.
        meaning: what the numbers are.
        dtype: `float32`, or `int32` for ids; `int64` for whole numbers beyond, which Core ML has not.
        shape: sizes, or names of the contract's dims.
        vocabulary: the id space that the last axis runs over (scores), or that ids belong to.
        unit: for people: "logit", "stars", "minutes"; empty where there is none.
        updates: the state input whose next value this is; the meaning is `state` then.
    """

    name: str
    meaning: Meaning
    dtype: DType = "float32"
    shape: tuple[int | str, ...]
    vocabulary: str | None = None
    unit: str = ""
    updates: str | None = None

    def __post_init__(self) -> None:
        _check_name("output", self.name)
        if (self.meaning == "top_k_ids") != (self.dtype in WHOLE):
            raise ContractError(
                f"output {self.name}: {self.meaning} cannot be {self.dtype}; ids are {' or '.join(WHOLE)}"
            )
        if self.updates is not None and self.meaning != "state":
            raise ContractError(
                f"output {self.name}: updates {self.updates!r}, but its meaning is {self.meaning!r}; "
                "expected 'state'"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class Signature:
    """One function of a model.

    Attributes:
        method: what computes it.
        inputs: in order.
        outputs: in order.
        role: what an app calls it for; inferred from kinds and meanings where it is empty.
        items: the vocabulary of its items, where that cannot be inferred.
    """

    method: str = "forward"
    inputs: tuple[Feature, ...]
    outputs: tuple[Output, ...]
    role: Role = ""
    items: str = ""

    def __post_init__(self) -> None:
        names = self.names
        doubled = sorted({name for name in names if names.count(name) > 1})
        if doubled:
            raise ContractError(f"inputs and outputs share the name {doubled[0]!r}; every name stands once")
        if not self.inputs or not self.outputs:
            raise ContractError("a function needs at least one input and one output")
        self._check_states()

    def _check_states(self) -> None:
        known = {each.name: each for each in self.inputs if each.kind == "state"}
        updates = [each.updates for each in self.outputs if each.updates is not None]
        for each in self.outputs:
            if each.updates is not None and (
                each.updates not in known or each.shape != known[each.updates].shape
            ):
                raise ContractError(
                    f"output {each.name}: updates {each.updates!r}; expected an input of kind 'state' and of "
                    f"shape {list(each.shape)}"
                )
        for name in known:
            if updates.count(name) != 1:
                raise ContractError(
                    f"input {name}: {updates.count(name)} outputs update this state; expected one with "
                    f"updates = {name!r}"
                )

    @property
    def states(self) -> tuple[tuple[Feature, Output], ...]:
        """Every state input with the output that is its next value."""
        return tuple((self.input(each.updates), each) for each in self.outputs if each.updates is not None)

    @property
    def names(self) -> list[str]:
        """The names of the inputs, then of the outputs, in order."""
        return [each.name for each in self.inputs] + [each.name for each in self.outputs]

    def input(self, name: str) -> Feature:
        """The input of that name; KeyError where there is none."""
        return next((each for each in self.inputs if each.name == name), None) or _missing(name)

    def output(self, name: str) -> Output:
        """The output of that name; KeyError where there is none."""
        return next((each for each in self.outputs if each.name == name), None) or _missing(name)


def _missing(name: str) -> Any:
    raise KeyError(name)


@dataclass(frozen=True, slots=True, kw_only=True)
class Contract:
    """All functions of a model with the dims and vocabularies that they share.

    Attributes:
        functions: by name.
        dims: by name.
        vocabularies: by name.
        schema: version of this format.
        targets: in a file beside artifacts, what sizes each of them takes, which may be narrower; it is no
            part of what the contract means, of its digest, or of what makes two contracts equal.
    """

    functions: Mapping[str, Signature]
    dims: Mapping[str, Dim] = field(default_factory=dict)
    vocabularies: Mapping[str, VocabularySpec] = field(default_factory=dict)
    schema: Literal[1] = 1
    targets: TargetShapes = field(default_factory=dict, compare=False)

    def __post_init__(self) -> None:
        if not self.functions:
            raise ContractError("the contract has no function; add [contract.functions.main]")
        for name in self.dims:
            _check_word("dim", name)
        for name in self.vocabularies:
            _check_word("vocabulary", name)
        for name, spec in self.vocabularies.items():
            if spec.spelled_in:
                self._check_known(f"vocabulary {name}, spelled_in", spec.spelled_in)
        for name, signature in self.functions.items():
            _check_name("function", name)
            if signature.items:
                self._check_known(f"function {name}, items", signature.items)
            everything: list[Feature | Output] = [*signature.inputs, *signature.outputs]
            for each in everything:
                self._check_references(f"function {name}, {each.name}", each)
            for feature in signature.inputs:
                self._check_guard(f"function {name}, input {feature.name}", feature)

    def _check_references(self, where: str, each: Feature | Output) -> None:
        for size in each.shape:
            if isinstance(size, str) and size not in self.dims:
                raise ContractError(f"{where}: dim {size!r} is not in [contract.dims] ({_known(self.dims)})")
            if isinstance(size, int) and not 1 <= size <= _MOST:
                raise ContractError(f"{where}: size {size} in shape; expected 1 to {_MOST}")
        if each.vocabulary is not None:
            self._check_known(where, each.vocabulary)

    def _check_known(self, where: str, vocabulary: str) -> None:
        if vocabulary not in self.vocabularies:
            known = _known(self.vocabularies)
            raise ContractError(
                f"{where}: vocabulary {vocabulary!r} is not in [contract.vocabularies] ({known})"
            )

    def _check_guard(self, where: str, feature: Feature) -> None:
        if feature.vocabulary is None:
            return
        vocabulary = self.vocabularies[feature.vocabulary]
        needed = {"padding": vocabulary.padding_id, "unknown": vocabulary.unknown_id, "forbid": 0}
        if needed[feature.out_of_vocabulary] is None:
            raise ContractError(
                f"{where}: out_of_vocabulary = {feature.out_of_vocabulary!r}, but vocabulary "
                f"{feature.vocabulary!r} has no {feature.out_of_vocabulary}_id; add it or use 'forbid'"
            )
        if feature.padding_side is not None and vocabulary.padding_id is None:
            raise ContractError(f"{where}: padded, but vocabulary {feature.vocabulary!r} has no padding_id")

    def bounds(self, size: int | str) -> tuple[int, int]:
        """The smallest and the largest value of one entry of a shape."""
        return (size, size) if isinstance(size, int) else (self.dims[size].min, self.dims[size].max)

    def guard_id(self, feature: Feature) -> int | None:
        """The id that an out-of-vocabulary id becomes inside the graph; None where there is no guard."""
        if feature.vocabulary is None or feature.out_of_vocabulary == "forbid":
            return None
        vocabulary = self.vocabularies[feature.vocabulary]
        padding = feature.out_of_vocabulary == "padding"
        return vocabulary.padding_id if padding else vocabulary.unknown_id

    def padding_value(self, feature: Feature) -> int:
        """What fills the feature up to a fixed length: the vocabulary's padding id, else 0."""
        if feature.vocabulary is None:
            return 0
        return self.vocabularies[feature.vocabulary].padding_id or 0

    def to_dict(self) -> dict[str, Any]:
        """The contract as plain JSON values; `schema.from_table` gives it back.

        Keys that came later stand there only where they say something, so that a digest stays what it was.
        """
        table: dict[str, Any] = json.loads(json.dumps(asdict(self)))
        del table["targets"]
        inputs = [each for signature in table["functions"].values() for each in signature["inputs"]]
        for each in (*table["functions"].values(), *table["vocabularies"].values()):
            _drop_empty(each, _LATER)
        for each in inputs:
            _drop_empty(each, _LATER_INPUTS)
        return table

    def sha256(self) -> str:
        """Hex digest of the contract's canonical JSON; travels in every artifact's metadata."""
        text = json.dumps(self.to_dict(), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()


def _drop_empty(table: dict[str, Any], keys: frozenset[str]) -> None:
    for key in keys & table.keys():
        if not table[key]:
            del table[key]


def _known(table: Mapping[str, Any]) -> str:
    return "known: " + (", ".join(sorted(table)) or "none")


class Tokens(Protocol):
    """The tokens of one id space, wherever they are; a token's place is its id."""

    @property
    def size(self) -> int:
        """How many there are."""
        ...

    def sha256(self) -> str:
        """Hex digest of the tokens file."""
        ...

    def chunks(self) -> Iterator[bytes]:
        """The tokens file: UTF-8, one token a line, in id order."""
        ...


VocabularyFiles = Mapping[str, Tokens]  # by key: `tokens`, and beside them `titles` and `spellings`


def vocabulary_file(name: str, key: str = "tokens") -> str:
    """Where a bundle holds a file of a vocabulary."""
    return f"vocabularies/{name}.txt" if key == "tokens" else f"vocabularies/{name}.{key}.txt"


@dataclass(frozen=True, slots=True, kw_only=True)
class Vocabulary:
    """The tokens of one id space in memory. One line a token in its file."""

    tokens: tuple[str, ...]

    @property
    def size(self) -> int:
        """How many tokens there are."""
        return len(self.tokens)

    def chunks(self) -> Iterator[bytes]:
        """The tokens file, at once."""
        yield self.to_bytes()

    def to_bytes(self) -> bytes:
        """The tokens file: UTF-8, one token a line, in id order."""
        for index, token in enumerate(self.tokens):
            if "\n" in token or "\r" in token:
                raise ContractError(f"vocabulary token {index} ({token!r}) holds a line break; remove it")
        return "".join(f"{token}\n" for token in self.tokens).encode()

    def sha256(self) -> str:
        """Hex digest of the tokens file."""
        return hashlib.sha256(self.to_bytes()).hexdigest()
