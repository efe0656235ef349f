"""The calls of a contract as methods of a TypeScript class: names, and the types of their arguments."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from pocketrec.contract import Contract, Feature, Signature
from pocketrec.package.host.roles import OPTIONS, Call, axis_of, calls_of, has_rows, is_text
from pocketrec.package.web.names import camel, camels

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
_OPTION_TYPES = {"k": "number", "excluding": "Iterable<string>", "draw": "number"}
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
        form: how a page asks for it: items, item, words, text, numbers, number, switch or skip.
        vocabulary: that its items are of; empty where it takes none.
    """

    name: str
    given: str
    type: str
    optional: bool
    says: str
    form: str = "skip"
    vocabulary: str = ""


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


def methods_of(contract: Contract) -> tuple[Method, ...]:
    """Every call of the contract as a method, in the contract's order."""
    calls = calls_of(contract)
    names = camels(calls, taken=_MEMBERS)
    return tuple(_method(contract, call, names[name]) for name, call in calls.items())


def _method(contract: Contract, call: Call, name: str) -> Method:
    signature = contract.functions[call.function]
    shown = camels(call.names, taken=_OWN_ARGUMENTS)
    features = {each.name: each for each in signature.inputs}
    ranks = call.role == "rank"
    own = [
        _argument(contract, signature, features[feature], given, shown[given], optional=ranks)
        for given, feature in call.arguments.items()
        if not (call.role == "arrange" and feature == call.candidate)
    ]
    return Method(
        name=name,
        type=name[0].upper() + name[1:],
        call=call,
        arguments=(*own, *_options(contract, call, shown, features, name[0].upper() + name[1:])),
        candidate=tuple(_candidate(contract, signature, call, own, features)) if ranks else (),
        answer=_ANSWERS[call.role],
        says=_SAYS[call.role],
    )


def _argument(
    contract: Contract, signature: Signature, feature: Feature, given: str, name: str, *, optional: bool
) -> Argument:
    kind, form, says = _kind(contract, signature, feature)
    vocabulary = feature.vocabulary or ""
    return Argument(
        name=name, given=given, type=kind, optional=optional, says=says, form=form, vocabulary=vocabulary
    )


def _kind(contract: Contract, signature: Signature, feature: Feature) -> tuple[str, str, str]:
    """The type of a feature's argument, how a form asks for it, and what to pass."""
    if is_text(contract, feature):
        return "string", "text", "Text."
    if feature.kind in ("id_sequence", "id_bag"):
        most = contract.bounds(axis_of(signature, feature) or 1)[1]
        return "readonly string[]", "items", f"Items by token or title; of more than {most} the last count."
    if feature.kind == "id":
        return "string", "item", "An item by token or title."
    axes = len(feature.shape) - has_rows(signature)
    single = "boolean" if feature.dtype == "bool" else "number"
    if axes <= 0:
        return single, "switch" if single == "boolean" else "number", f"A {single}."
    listed = f"{'readonly ' * (axes > 0)}{single}[]"
    for _ in range(axes - 1):
        listed = f"readonly ({listed})[]"
    if axes == 1 and feature.shape[-1] == 1:
        return f"{single} | {listed}", "switch" if single == "boolean" else "number", f"A {single}."
    form = "numbers" if axes == 1 and single == "number" else "skip"
    return f"{listed} | Float32Array" if form == "numbers" else listed, form, f"A list of {single}s."


def _options(
    contract: Contract, call: Call, shown: dict[str, str], features: dict[str, Feature], type_name: str
) -> Iterator[Argument]:
    says = {
        "k": "How many to list, 10 by default.",
        "excluding": "Items that are not listed, by token or title.",
        "draw": "A number from 0 to below 1 by which the arm is drawn; left out, the best is taken.",
        "candidates": "What to order, by token or title.",
    }
    if call.role == "arrange":
        yield Argument(
            name=shown["candidates"],
            given="candidates",
            type="readonly string[]",
            optional=False,
            says=says["candidates"],
            form="items",
            vocabulary=call.items,
        )
    for name in OPTIONS[call.role]:
        ranks = name == "candidates"
        yield Argument(
            name=shown[name],
            given=name,
            type=f"readonly (string | {type_name}Candidate)[]" if ranks else _OPTION_TYPES[name],
            optional=not ranks,
            says=says[name],
            form="items" if name in ("candidates", "excluding") else "number",
            vocabulary=call.items if name in ("candidates", "excluding") else "",
        )


def _candidate(
    contract: Contract,
    signature: Signature,
    call: Call,
    shared: list[Argument],
    features: dict[str, Feature],
) -> Iterator[Argument]:
    """The fields of a candidate: the item, and what differs from candidate to candidate."""
    item = features[call.candidate]
    taken = [each.name for each in shared]
    name = camel(item.name) if camel(item.name) not in taken else camels([item.name], taken=taken)[item.name]
    yield _argument(contract, signature, item, item.name, name, optional=False)
    yield from shared
