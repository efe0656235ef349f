"""The calls of a contract as methods of a class: names, arguments, and kinds that a language spells."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Literal

from pocketrec.contract import Contract, Feature, Signature
from pocketrec.package.apps.names import camels
from pocketrec.package.host.roles import OPTIONS, Call, axis_of, calls_of, has_rows, is_text

Takes = Literal["text", "item", "number", "flag", "candidate", "count", "excluded"]
ANSWERS = {
    "recommend": "Recommendations",
    "search": "Recommendations",
    "generate": "Recommendations",
    "rank": "Recommendations",
    "arrange": "Recommendations",
    "embed": "Embedding",
    "predict": "Prediction",
    "decide": "Decision",
}
_SAYS = {
    "recommend": "The items that may come next, best first.",
    "search": "The items that a text asks for, best first.",
    "generate": "The items that may come next, best first, each spelled out by the model.",
    "rank": "The candidates, best first.",
    "arrange": "The page: the candidates in the model's order.",
    "embed": "The vector.",
    "predict": "Every output by its name.",
    "decide": "The arm to show.",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """What an argument takes.

    Attributes:
        takes: a text, an item by token or title, a number, true or false, a candidate with features, how many
            to list, or items that are not listed.
        depth: how many lists stand around it.
        alone: whether one may be given without the list around it.
        whole: whether numbers are whole.
    """

    takes: Takes
    depth: int = 0
    alone: bool = False
    whole: bool = False


_OPTIONS = {  # the kind of each, and what to pass
    "k": (Kind(takes="count"), "How many to list, 10 by default."),
    "excluding": (
        Kind(takes="excluded", depth=1),
        "Items that are not listed, by token or title; what is neither excludes nothing.",
    ),
    "draw": (
        Kind(takes="number"),
        "A number from 0 to below 1 by which the arm is drawn; left out, the best is taken.",
    ),
    "candidates": (Kind(takes="item", depth=1), "What to order, by token or title."),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Argument:
    """One argument of a method.

    Attributes:
        name: in the language.
        given: what the host logic calls it.
        kind: what it takes.
        optional: whether it may be left out.
        says: what to pass.
    """

    name: str
    given: str
    kind: Kind
    optional: bool
    says: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Method:
    """One function of the contract as a method.

    Attributes:
        name: in the language.
        type: what the types of its arguments begin with.
        call: what the host logic knows of it.
        arguments: of the call, the options last.
        candidate: the fields of a candidate of `rank`; empty for others.
        answer: what comes back.
        says: what comes back, in a sentence.
    """

    name: str
    type: str
    call: Call
    arguments: tuple[Argument, ...]
    candidate: tuple[Argument, ...]
    answer: str
    says: str

    @property
    def shown(self) -> tuple[Argument, ...]:
        """The arguments of an example: what has to be there, `k`, and what plain candidates leave out."""
        asked = self.candidate
        return tuple(
            each
            for each in self.arguments
            if not each.optional or each.kind.takes == "count" or each in asked
        )


def methods_of(
    contract: Contract, *, members: Collection[str], arguments: Collection[str] = ()
) -> tuple[Method, ...]:
    """Every call of the contract as a method, in the contract's order.

    Args:
        contract: of the model.
        members: what the class has beside them; no method is called so.
        arguments: what methods take beside theirs; no argument is called so.
    """
    calls = calls_of(contract)
    names = camels(calls, taken=members)
    return tuple(_method(contract, call, names[name], arguments) for name, call in calls.items())


def types_of(methods: Iterable[Method]) -> frozenset[str]:
    """The names of the types of all arguments and candidates."""
    return frozenset(f"{each.type}{what}" for each in methods for what in ("Arguments", "Candidate"))


def _method(contract: Contract, call: Call, name: str, taken: Collection[str]) -> Method:
    shown = camels(call.names, taken=taken)
    asked = [
        _argument(contract, call, feature, shown[given], given)
        for given, feature in call.arguments.items()
        if given != "candidates"
    ]
    return Method(
        name=name,
        type=name[0].upper() + name[1:],
        call=call,
        arguments=(*asked, *_options(call, shown)),
        candidate=tuple(_candidate(contract, call, asked)) if call.role == "rank" else (),
        answer=ANSWERS[call.role],
        says=_SAYS[call.role],
    )


def _argument(contract: Contract, call: Call, name: str, shown: str, given: str) -> Argument:
    """The argument of a feature; those of `rank` may be given by every candidate, so they may be left out."""
    signature = _signature(contract, call, name)
    kind, says = _kind(contract, signature, signature.input(name), call.items)
    return Argument(name=shown, given=given, kind=kind, optional=call.role == "rank", says=says)


def _signature(contract: Contract, call: Call, name: str) -> Signature:
    """The function that takes an input: the call's own, else one that feeds it."""
    own = contract.functions[call.function]
    takes = [
        each for each in (own, *contract.functions.values()) if name in [one.name for one in each.inputs]
    ]
    return takes[0]


def _kind(contract: Contract, signature: Signature, feature: Feature, items: str) -> tuple[Kind, str]:
    """What a feature's argument takes, and what to pass; items are those of the vocabulary `items`."""
    others = feature.vocabulary != items
    if is_text(contract, feature):
        return Kind(takes="text"), "Text."
    if feature.kind in ("id_sequence", "id_bag"):
        most = contract.bounds(axis_of(signature, feature) or 1)[1]
        what = f"Words of `{feature.vocabulary}`" if others else "Items by token or title"
        return Kind(takes="item", depth=1), f"{what}, the latest last; the last {most} count."
    if feature.kind == "id":
        what = f"A word of `{feature.vocabulary}`" if others else "An item by token or title"
        return Kind(takes="item"), f"{what}."
    flag, whole = feature.dtype == "bool", feature.dtype in ("int32", "int64")
    word = "boolean" if flag else "number"
    depth = max(0, len(feature.shape) - has_rows(signature))
    alone = depth == 1 and feature.shape[-1] == 1
    kind = Kind(takes="flag" if flag else "number", depth=depth, alone=alone, whole=whole)
    return kind, f"{word.capitalize()}s." if depth and not alone else f"A {word}."


def _options(call: Call, shown: dict[str, str]) -> Iterator[Argument]:
    """What a call of this role takes beside its features."""
    for name in [*(["candidates"] if "candidates" in call.arguments else []), *OPTIONS[call.role]]:
        kind, says = _OPTIONS[name]
        if name == "candidates" and call.role == "rank":
            kind = replace(kind, takes="candidate")
        yield Argument(name=shown[name], given=name, kind=kind, optional=name != "candidates", says=says)


def _candidate(contract: Contract, call: Call, shared: list[Argument]) -> Iterator[Argument]:
    """The fields of a candidate: the item, and what differs from candidate to candidate."""
    name = camels([call.candidate], taken=[each.name for each in shared])[call.candidate]
    yield replace(_argument(contract, call, call.candidate, name, call.candidate), optional=False)
    yield from shared
