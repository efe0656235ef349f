"""The calls of a contract as methods of a TypeScript class: names, and the types of their arguments."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from pocketrec.contract import Contract, Feature, Signature
from pocketrec.package.host.roles import OPTIONS, Call, axis_of, calls_of, has_rows, is_text
from pocketrec.package.web.names import camels

_MEMBERS = ("constructor", "load", "loader", "session", "reset", "item", "suggest", "dispose", "provider")
_OWN_ARGUMENTS = ("signal",)
_ANSWERS = {
    "recommend": "Recommendations",
    "search": "Recommendations",
    "generate": "Recommendations",
    "rank": "Recommendations",
    "arrange": "Recommendations",
    "embed": "Embedding",
    "predict": "Prediction",
    "decide": "Decision",
}
_OPTIONS = {  # the type of each, and what to pass
    "k": ("number", "How many to list, 10 by default."),
    "excluding": ("Iterable<string>", "Items that are not listed, by token or title."),
    "draw": ("number", "A number from 0 to below 1 by which the arm is drawn; left out, the best is taken."),
    "candidates": ("readonly string[]", "What to order, by token or title."),
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
class Argument:
    """One argument of a method.

    Attributes:
        name: in TypeScript.
        given: what the host logic calls it.
        type: in TypeScript.
        optional: whether it may be left out.
        says: what to pass.
    """

    name: str
    given: str
    type: str
    optional: bool
    says: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Method:
    """One function of the contract as a method.

    Attributes:
        name: in TypeScript.
        type: what the types of its arguments begin with.
        call: what the host logic knows of it.
        arguments: of the call, the options last.
        candidate: the fields of a candidate of `rank`; empty for others.
        answer: the type of what comes back.
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
    def example(self) -> str:
        """Arguments as a reader may type them; what may be left out is, but for candidates."""
        shown = [each for each in self.arguments if not each.optional or each.given == "k"]
        return ", ".join(f"{each.name}: {_example(each)}" for each in shown)


def _example(argument: Argument) -> str:
    """A value of an argument's type."""
    first = argument.type.partition(" | ")[0]
    if argument.given == "k":
        return "10"
    known = {"string": '"a title or a token"', "number": "1", "boolean": "true"}
    return known.get(first, '["a title", "a token"]' if "string" in first else "[…]")


def methods_of(contract: Contract) -> tuple[Method, ...]:
    """Every call of the contract as a method, in the contract's order."""
    calls = calls_of(contract)
    names = camels(calls, taken=_MEMBERS)
    return tuple(_method(contract, call, names[name]) for name, call in calls.items())


def _method(contract: Contract, call: Call, name: str) -> Method:
    shown = camels(call.names, taken=_OWN_ARGUMENTS)
    asked = [
        _argument(contract, call, feature, shown[given], given)
        for given, feature in call.arguments.items()
        if given != "candidates"
    ]
    return Method(
        name=name,
        type=name[0].upper() + name[1:],
        call=call,
        arguments=(*asked, *_options(call, shown, name[0].upper() + name[1:])),
        candidate=tuple(_candidate(contract, call, asked)) if call.role == "rank" else (),
        answer=_ANSWERS[call.role],
        says=_SAYS[call.role],
    )


def _argument(contract: Contract, call: Call, name: str, shown: str, given: str) -> Argument:
    """The argument of a feature; those of `rank` may be given by every candidate, so they may be left out."""
    signature = _signature(contract, call, name)
    kind, says = _kind(contract, signature, signature.input(name))
    return Argument(name=shown, given=given, type=kind, optional=call.role == "rank", says=says)


def _signature(contract: Contract, call: Call, name: str) -> Signature:
    """The function that takes an input: the call's own, else one that feeds it."""
    own = contract.functions[call.function]
    takes = [
        each for each in (own, *contract.functions.values()) if name in [one.name for one in each.inputs]
    ]
    return takes[0]


def _kind(contract: Contract, signature: Signature, feature: Feature) -> tuple[str, str]:
    """The type of a feature's argument, and what to pass."""
    if is_text(contract, feature):
        return "string", "Text."
    if feature.kind in ("id_sequence", "id_bag"):
        most = contract.bounds(axis_of(signature, feature) or 1)[1]
        return "readonly string[]", f"Items by token or title, the latest last; the last {most} count."
    if feature.kind == "id":
        return "string", "An item by token or title."
    axes = len(feature.shape) - has_rows(signature)
    single = "boolean" if feature.dtype == "bool" else "number"
    if axes <= 0:
        return single, f"A {single}."
    listed = f"readonly {single}[]"
    for _ in range(axes - 1):
        listed = f"readonly ({listed})[]"
    if axes == 1 and feature.shape[-1] == 1:
        return f"{single} | {listed}", f"A {single}."
    return f"{listed} | Float32Array" if listed == "readonly number[]" else listed, f"{single.capitalize()}s."


def _options(call: Call, shown: dict[str, str], type_name: str) -> Iterator[Argument]:
    """What a call of this role takes beside its features."""
    for name in [*(["candidates"] if "candidates" in call.arguments else []), *OPTIONS[call.role]]:
        kind, says = _OPTIONS[name]
        if name == "candidates" and call.role == "rank":
            kind = f"readonly (string | {type_name}Candidate)[]"
        yield Argument(name=shown[name], given=name, type=kind, optional=name != "candidates", says=says)


def _candidate(contract: Contract, call: Call, shared: list[Argument]) -> Iterator[Argument]:
    """The fields of a candidate: the item, and what differs from candidate to candidate."""
    name = camels([call.candidate], taken=[each.name for each in shared])[call.candidate]
    yield replace(_argument(contract, call, call.candidate, name, call.candidate), optional=False)
    yield from shared
