"""What the columns of a users' file hold for a call: words, text or numbers, and in how many lists."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from pocketrec.contract import Contract, Feature
from pocketrec.errors import DataError, UsageError, meant
from pocketrec.package.host.roles import OPTIONS, Call, is_text, rest_of
from pocketrec.source.columns import pyarrow

Holds = Literal["words", "text", "numbers", "flags", "records"]
_EXPECTED: Mapping[Holds, str] = {
    "words": "strings (tokens or titles)",
    "text": "strings",
    "numbers": "numbers",
    "flags": "booleans",
    "records": "strings (tokens or titles) or structs",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Argument:
    """One argument of a call and the column that it is read from.

    Attributes:
        name: as the call takes it.
        column: of the file.
        holds: what stands in the column; `records` are candidates, words or structs of features.
        depth: in how many lists.
        vocabulary: of words.
        forbids: whether a word that no item is, is an error.
        single: whether one number may stand for a list of one.
    """

    name: str
    column: str
    holds: Holds
    depth: int
    vocabulary: str = ""
    forbids: bool = False
    single: bool = False

    @property
    def expected(self) -> str:
        """What the column has to hold, in words."""
        what = _EXPECTED[self.holds]
        return f"lists of {what}" if self.depth == 1 else f"{'lists of ' * self.depth}{what}"


def arguments_of(
    contract: Contract, call: Call, columns: Mapping[str, str], there: list[str]
) -> tuple[Argument, ...]:
    """What the file is read for: all that the call needs, and the options whose columns are there.

    Args:
        contract: of the bundle.
        call: of one of its functions.
        columns: which column an argument is read from, where it is not called like the argument.
        there: the columns of the file.

    Raises:
        UsageError: `columns` names no argument, or a column that is not there.
        DataError: the column of an argument is missing.
    """
    known = [each for each in call.names if each != "k"]
    for name in columns:
        if name not in known:
            raise UsageError(
                f"--column {name}=...: no argument of {call.method}; expected {', '.join(known)}"
                f"{meant(name, known)}"
            )
    found = []
    for each in _all(contract, call, columns):
        if each.column in there:
            found.append(each)
        elif each.name in columns or each.name not in ("excluding", "draw"):
            raise DataError(
                f"column {each.column!r} is missing, which {call.method} takes as {each.name}; the file has "
                f"{', '.join(there)}: name it with --column {each.name}=COLUMN"
            )
    return tuple(found)


def _all(contract: Contract, call: Call, columns: Mapping[str, str]) -> Iterator[Argument]:
    own = contract.functions[call.function]
    inputs = {e.name: e for f in contract.functions.values() for e in f.inputs}
    inputs |= {each.name: each for each in own.inputs}
    for name, feature in call.arguments.items():
        yield _argument(contract, call, name, columns.get(name, name), inputs[feature])
    options = OPTIONS[call.role]
    if "candidates" in options:
        forbids = inputs[call.candidate].out_of_vocabulary == "forbid"
        yield _words(call, "candidates", columns, "records", forbids=forbids)
    if "excluding" in options:
        yield _words(call, "excluding", columns, "words")
    if "draw" in options:
        yield Argument(name="draw", column=columns.get("draw", "draw"), holds="numbers", depth=0)


def _words(
    call: Call, name: str, columns: Mapping[str, str], holds: Holds, *, forbids: bool = False
) -> Argument:
    column = columns.get(name, name)
    return Argument(name=name, column=column, holds=holds, depth=1, vocabulary=call.items, forbids=forbids)


def _argument(contract: Contract, call: Call, name: str, column: str, feature: Feature) -> Argument:
    if is_text(contract, feature):
        return Argument(name=name, column=column, holds="text", depth=0)
    if feature.is_id:
        listed = feature.kind != "id"
        vocabulary = _spelling(contract, call, feature) if listed else str(feature.vocabulary)
        return Argument(
            name=name,
            column=column,
            holds="words",
            depth=int(listed),
            vocabulary=vocabulary,
            forbids=feature.out_of_vocabulary == "forbid",
        )
    rest = rest_of(contract.functions[call.function], feature)
    holds: Holds = "flags" if feature.dtype == "bool" else "numbers"
    return Argument(name=name, column=column, holds=holds, depth=len(rest), single=rest == (1,))


def _spelling(contract: Contract, call: Call, feature: Feature) -> str:
    """The vocabulary of a sequence's words: the items, where the sequence takes the ids that spell them."""
    if call.role == "generate" and contract.vocabularies[call.items].spelled_in == feature.vocabulary:
        return call.items
    return str(feature.vocabulary)


def check_types(arguments: tuple[Argument, ...], schema: Any, *, ids: bool) -> None:
    """Checks that every column can hold its argument.

    Args:
        arguments: to be read.
        schema: of the file.
        ids: whether words may be whole numbers, ids of their vocabulary.

    Raises:
        DataError: names the column, what it holds and what was expected.
    """
    for each in arguments:
        kind = schema.field(each.column).type
        if not _fits(each, kind, ids=ids):
            hint = ""
            if each.holds in ("words", "records") and _is_whole(leaf_of(kind)[0]) and not ids:
                hint = "; pass strings, or --ids where the numbers are ids of the vocabulary"
            raise DataError(f"column {each.column!r} holds {kind}; expected {each.expected}{hint}")


def _fits(each: Argument, kind: Any, *, ids: bool) -> bool:
    types = pyarrow().types
    leaf, depth = leaf_of(kind)
    if depth != each.depth and not (each.single and depth == 0):
        return False
    if types.is_dictionary(leaf):
        leaf = leaf.value_type
    if each.holds == "flags":
        return bool(types.is_boolean(leaf))
    if each.holds == "numbers":
        return bool(types.is_integer(leaf) or types.is_floating(leaf))
    if each.holds == "records" and types.is_struct(leaf):
        return True
    return is_text_type(leaf) or (ids and each.holds != "text" and _is_whole(leaf))


def leaf_of(kind: Any) -> tuple[Any, int]:
    """What stands in a column's lists, and how many lists stand in one another."""
    types, depth = pyarrow().types, 0
    while types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind):
        kind, depth = kind.value_type, depth + 1
    return kind, depth


def is_text_type(kind: Any) -> bool:
    """Whether a column of that type holds strings."""
    types = pyarrow().types
    return bool(types.is_string(kind) or types.is_large_string(kind) or types.is_string_view(kind))


def _is_whole(kind: Any) -> bool:
    return bool(pyarrow().types.is_integer(kind))
