"""What a model says of itself to people: who made it, and what each input, output and state is.

Xcode shows these texts, `inspect` prints them, and what is generated from a contract takes its comments here.
All of them follow from the contract alone; `sizes` are those of one artifact, which may be narrower.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

from pocketrec.contract import SCORES, Contract, Feature, Output, Signature, VocabularySpec
from pocketrec.errors import UsageError

Bounds = Sequence[tuple[int, int]]  # smallest and largest size of every axis

_ORDERED = {"id": "Id", "id_sequence": "Ids in order", "id_bag": "Ids in any order"}
_SEQUENCES = ("id_sequence", "id_bag")
_OUTPUTS = {
    "score": "Scores, more is better",
    "logit": "Logits, more is better",
    "probability": "Probabilities from 0 to 1",
    "embedding": "An embedding",
    "top_k_ids": "Ids, best first",
    "top_k_scores": "Scores, best first",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class About:
    """A release in its maker's words; empty where nothing was said.

    Attributes:
        version: of the model.
        description: what it is for, in a sentence or more.
        author: who made it.
        license: under which terms it may be used.
    """

    version: str = ""
    description: str = ""
    author: str = ""
    license: str = ""

    def __post_init__(self) -> None:
        for each in fields(self):
            value: object = getattr(self, each.name)
            if not isinstance(value, str) or "\0" in value or not _is_text(value):
                raise UsageError(f"about: {each.name} is {value!r}; expected text without zero bytes")


def _is_text(value: str) -> bool:
    """Whether it can be written as UTF-8, which a lone surrogate cannot."""
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def describe_model(about: About, contract: Contract, function: str) -> str:
    """The maker's description, then what a function takes and gives; a blank line between them."""
    return "\n\n".join(text for text in (about.description, describe_function(contract, function)) if text)


def describe_function(contract: Contract, name: str) -> str:
    """A function's inputs and outputs by name, and which other functions the model has."""
    signature = contract.functions[name]
    others = [each for each in contract.functions if each != name]
    beside = f" Its other functions: {', '.join(others)}." if others else ""
    return (
        f"Function {name} takes {', '.join(each.name for each in signature.inputs)} "
        f"and gives {', '.join(each.name for each in signature.outputs)}.{beside}"
    )


def describe_input(
    feature: Feature, signature: Signature, contract: Contract, sizes: Bounds | None = None
) -> str:
    """What an input is: meaning, dtype, unit, shape, length, padding, and what an id from outside becomes.

    Args:
        feature: an input of the function.
        signature: the function.
        contract: the function's contract.
        sizes: the artifact's; by default what the contract allows.
    """
    sizes = _sizes(feature, contract) if sizes is None else sizes
    said = [_what_input(feature, signature, contract), _shape(feature, sizes)]
    if feature.vocabulary is not None:
        spec = contract.vocabularies[feature.vocabulary]
        said += [_length(feature, spec, sizes), _outside(feature, contract)]
    elif feature.kind == "dense":
        said += [_along(feature, signature, contract), f"Tried from {_range(feature)}."]
    return " ".join(text for text in said if text)


def describe_state(feature: Feature, contract: Contract, sizes: Bounds | None = None) -> str:
    """What a state is that the artifact itself keeps from call to call."""
    shape = _shape(feature, _sizes(feature, contract) if sizes is None else sizes)
    return f"State that the model keeps from call to call, zeros at first. {shape}"


def describe_output(output: Output, contract: Contract, sizes: Bounds | None = None) -> str:
    """What an output is: meaning, unit, dtype, shape, and which place belongs to which id.

    Args:
        output: an output of a function.
        contract: the function's contract.
        sizes: the artifact's; by default what the contract allows.
    """
    sizes = _sizes(output, contract) if sizes is None else sizes
    return " ".join(
        text for text in (_what_output(output), _shape(output, sizes), _places(output, contract)) if text
    )


def _sizes(each: Feature | Output, contract: Contract) -> Bounds:
    return [contract.bounds(size) for size in each.shape]


def _what_input(feature: Feature, signature: Signature, contract: Contract) -> str:
    if feature.vocabulary is not None:
        spec = contract.vocabularies[feature.vocabulary]
        return (
            f"{_ORDERED[feature.kind]} of the vocabulary {feature.vocabulary}, 0 to {spec.size - 1}, "
            f"{feature.dtype}."
        )
    if feature.kind == "state":
        update = next(output.name for state, output in signature.states if state == feature)
        return f"State, {feature.dtype}: zeros at first, then what {update} was in the last call."
    if feature.kind == "mask":
        yes, no = ("true", "false") if feature.dtype == "bool" else ("1", "0")
        return f"Mask, {feature.dtype}: {yes} where an entry counts, {no} where it only fills."
    if feature.kind == "length":
        return f"How many entries count, {feature.dtype}."
    numbers = {"float32": "Numbers", "bool": "True or false"}.get(feature.dtype, "Whole numbers")
    return f"{numbers}{_unit(feature.unit)}, {feature.dtype}."


def _unit(unit: str) -> str:
    return f" in {unit}" if unit else ""


def _range(feature: Feature) -> str:
    return f"{feature.minimum:g} to {feature.maximum:g}"


def _shape(each: Feature | Output, sizes: Bounds) -> str:
    """The sizes of the artifact, and what the contract calls the axes where it has names for them."""
    if not each.shape:
        return "One number."
    shape = " × ".join(_size(low, high) for low, high in sizes)
    named = any(isinstance(size, str) for size in each.shape)
    return f"Shape {shape} ({' × '.join(map(str, each.shape))})." if named else f"Shape {shape}."


def _size(low: int, high: int) -> str:
    return str(low) if low == high else f"{low}...{high}"


def _length(feature: Feature, spec: VocabularySpec, sizes: Bounds) -> str:
    """How many ids a row has, and what fills a shorter one."""
    if feature.kind not in _SEQUENCES or not sizes:
        return ""
    low, high = sizes[-1]
    count = f"Exactly {high} ids a row" if low == high else f"{low} to {high} ids a row"
    if spec.padding_id is None:
        return f"{count}; nothing pads a shorter one."
    side = feature.padding_side or "right"
    return f"{count}; a shorter one is filled on the {side} with the padding id {spec.padding_id}."


def _outside(feature: Feature, contract: Contract) -> str:
    guard = contract.guard_id(feature)
    if guard is None:
        return "Pass no id from outside of the vocabulary: nothing guards against it."
    return f"An id from outside of the vocabulary becomes the {feature.out_of_vocabulary} id {guard}."


def _along(feature: Feature, signature: Signature, contract: Contract) -> str:
    """Which sequence the numbers run along, place by place."""
    axis = feature.shape[-1] if feature.shape else None
    if not isinstance(axis, str):
        return ""
    source = next(
        (each for each in signature.inputs if each.kind in _SEQUENCES and each.shape[-1] == axis), None
    )
    return "" if source is None else f"One for each id of {source.name}; 0 where that is filled."


def _what_output(output: Output) -> str:
    if output.updates is not None:
        what = f"The next value of the state {output.updates}, {output.dtype}"
        return f"{what}: pass it as that input in the next call."
    what = _OUTPUTS.get(output.meaning, "A state")
    of = f" of the vocabulary {output.vocabulary}" if output.vocabulary is not None else ""
    head, comma, tail = what.partition(",")
    return f"{head}{of}{_unit(output.unit)}{comma}{tail}, {output.dtype}."


def _places(output: Output, contract: Contract) -> str:
    """Which place of the last axis belongs to which id, and which ids are no items."""
    if output.vocabulary is None or output.meaning not in (*SCORES, "top_k_ids"):
        return ""
    spec = contract.vocabularies[output.vocabulary]
    whole = output.meaning in SCORES and bool(output.shape) and output.shape[-1] == spec.size
    said = ["Place n of the last axis belongs to id n."] if whole else []
    words = {spec.padding_id: "padding", spec.unknown_id: "unknown"}
    said += [f"Id {each} is {words[each]}, no item." for each in sorted(spec.aside)]
    return " ".join(said)
