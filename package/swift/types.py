"""The arguments and answers of methods as Swift spells them."""

from __future__ import annotations

from dataclasses import dataclass

from pocketrec.contract import Contract, Output, Signature
from pocketrec.package.apps.methods import Argument, Method
from pocketrec.package.apps.names import camels
from pocketrec.package.host.roles import one_number, rest_of
from pocketrec.package.swift.names import UNSPEAKABLE, Names, quoted

MEMBERS = (
    *(
        "calls",
        "contract",
        "computeUnits",
        "contractSHA256",
        "dispose",
        "fallback",
        "item",
        "loaded",
        "loader",
    ),
    *("prewarm", "report", "session", "spec", "suggest", "version"),
)
_ONE = {"text": "String", "item": "String", "flag": "Bool", "count": "Int"}
ARGUMENTS = (*UNSPEAKABLE, "asValue", "hashValue")  # what no argument is called, as a candidate has it
_FIELDS = ("unknown", "hashValue", *UNSPEAKABLE)
_HEADS = ("id", "probability", "score", "scores", "title", "token", "hashValue", "hash", *UNSPEAKABLE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter:
    """An argument of a method, or a field of a candidate.

    Attributes:
        name: as an app writes it before the colon.
        label: the name as a declaration has it, between backticks where it is a keyword.
        given: what the host logic calls it.
        type: in Swift.
        default: what it is where it is left out; empty where it cannot be.
        value: of the argument, for the host logic.
        says: what to pass.
    """

    name: str
    label: str
    given: str
    type: str
    default: str
    value: str
    says: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Property:
    """An output as a property of what a method answers.

    Attributes:
        label: in a declaration.
        output: the contract's name.
        type: in Swift.
        read: how it is read from the prediction.
        chance: the property of the probability that a logit stands for; empty for others.
        meaning: the contract's.
        unit: the contract's.
        says: what it is.
    """

    label: str
    output: str
    type: str
    read: str
    chance: str
    meaning: str
    unit: str
    says: str


def parameters(method: Method, names: Names, *, plain: bool = False) -> tuple[Parameter, ...]:
    """The parameters of a method; with `plain`, candidates are words alone."""
    candidates = "[String]" if plain else f"[{names.type}.{method.type}Candidate]"
    return tuple(_parameter(each, candidates) for each in method.arguments)


def fields(method: Method) -> tuple[Parameter, ...]:
    """The fields of a candidate of `rank`."""
    return tuple(_parameter(each, "") for each in method.candidate)


def _parameter(argument: Argument, candidates: str) -> Parameter:
    label = quoted(argument.name)
    kind, default, value = _spelled(argument, candidates), "", f"{label}.asValue"
    if argument.kind.takes == "count":
        default = "10"
    elif argument.kind.takes == "excluded":
        kind, default, value = "some Sequence<String>", "[String]()", f"{label}.map {{ $0 }}.asValue"
    elif argument.optional:
        kind, default = f"{kind}?", "nil"
    return Parameter(
        name=argument.name,
        label=label,
        given=argument.given,
        type=kind,
        default=default,
        value=value,
        says=argument.says,
    )


def _spelled(argument: Argument, candidates: str) -> str:
    kind = argument.kind
    if kind.takes == "candidate":
        return candidates
    one = _ONE.get(kind.takes) or ("Int" if kind.whole else "Double")
    depth = 0 if kind.alone else kind.depth
    return "[" * depth + one + "]" * depth


def answer_type(method: Method, names: Names) -> str:
    """What a method gives."""
    if method.answer in ("Recommendations", "Decision"):
        return f"{method.answer}<{names.ids[method.call.items]}>"
    return f"{names.type}.{method.type}Outputs" if method.answer == "Prediction" else method.answer


def asked(method: Method) -> str:
    """The call that answers a method."""
    called = {
        "Recommendations": "items",
        "Embedding": "embedding",
        "Prediction": "prediction",
        "Decision": "decision",
    }
    return called[method.answer]


def properties(contract: Contract, method: Method) -> tuple[Property, ...]:
    """A property for every output of a method that predicts, and one for the probability of a logit."""
    signature = contract.functions[method.call.function]
    outputs = [each for each in signature.outputs if each.meaning != "state"]
    chances = [f"{each.name}_probability" for each in outputs if _is_chance(signature, each)]
    spelled = camels([*(each.name for each in outputs), *chances], taken=_FIELDS)
    return tuple(_property(contract, signature, each, spelled) for each in outputs)


def _is_chance(signature: Signature, out: Output) -> bool:
    return out.meaning == "logit" and one_number(signature, out)


def _property(contract: Contract, signature: Signature, out: Output, spelled: dict[str, str]) -> Property:
    rest = rest_of(signature, out)
    depth = 0 if one_number(signature, out) else len(rest)
    shape = " × ".join(str(contract.bounds(size)[1]) for size in rest) if depth else ""
    unit = f", in {out.unit}" if out.unit else ""
    return Property(
        label=quoted(spelled[out.name]),
        output=out.name,
        type="[" * depth + "Double" + "]" * depth,
        read=_read(f'"{out.name}"', depth),
        chance=quoted(spelled[f"{out.name}_probability"]) if _is_chance(signature, out) else "",
        meaning=out.meaning,
        unit=out.unit,
        says=f"The {out.meaning.replace('_', ' ')}{unit}{': ' if shape else ''}{shape}.",
    )


def _read(name: str, depth: int) -> str:
    """How numbers in so many lists are read."""
    if depth == 0:
        return f".one({name})"
    inner = f"$0.one({name})"
    for _ in range(depth - 1):
        inner = f"$0.list({name}).map {{ try {inner} }}"
    return f".value.list({name}).map {{ try {inner} }}"


def heads(
    contract: Contract, methods: tuple[Method, ...], names: Names
) -> dict[str, tuple[tuple[str, str], ...]]:
    """The names of a ranking's heads as properties of its items, by the type of their id."""
    found: dict[str, dict[str, str]] = {}
    for method in methods:
        signature = contract.functions[method.call.function]
        scored = [each.name for each in signature.outputs if one_number(signature, each)]
        if method.call.role == "rank" and len(scored) > 1:
            found.setdefault(names.ids[method.call.items], {}).update(dict.fromkeys(scored, ""))
    return {
        each: tuple((quoted(label), name) for name, label in camels(outputs, taken=_HEADS).items())
        for each, outputs in found.items()
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """The method that the example asks with what is chosen alone: its argument, and the argument's value."""

    method: str
    argument: str
    value: str


def shown_of(methods: tuple[Method, ...]) -> Shown | None:
    """What the example asks; None where every method takes more than items or a text."""
    values = {"history": "chosen", "candidates": "chosen", "text": 'chosen.joined(separator: " ")'}
    for method in methods:
        asked_for = [each for each in method.arguments if each.kind.takes not in ("count", "excluded")]
        if method.answer == "Recommendations" and [each.given in values for each in asked_for] == [True]:
            name, given = asked_for[0].name, asked_for[0].given
            return Shown(method=method.name, argument=name, value=values[given])
    return None


def example_of(method: Method) -> str:
    """Arguments as a reader may type them; what may be left out is, but for `k`."""
    return ", ".join(f"{each.name}: {_example(each)}" for each in method.shown)


def _example(argument: Argument) -> str:
    kind = argument.kind
    if kind.takes == "count":
        return "10"
    if kind.takes == "candidate" or (kind.takes == "item" and kind.depth):
        return '["a title", "a token"]'
    one = {"flag": "true", "number": "1"}.get(
        kind.takes, '"a text"' if kind.takes == "text" else '"a title or a token"'
    )
    depth = 0 if kind.alone else kind.depth
    return "[" * depth + one + "]" * depth


def reading(parameter: Parameter) -> str:
    """How a test reads a parameter from the arguments of a call; nil where it is of another type."""
    sequence = parameter.type.startswith("some Sequence")
    kind = "[String]" if sequence else parameter.type
    kind = f"Optional<{kind[:-1]}>" if kind.endswith("?") else kind
    given = f'given["{parameter.given}"]'
    read = f"{kind}.read({given})"
    return read if parameter.default in ("", "nil") else f"{given} == nil ? {parameter.default} : {read}"
