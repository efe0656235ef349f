"""What a function of a contract is called for, over which items, and what its arguments are called.

A role is inferred from kinds and meanings, unless the function states it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from pocketrec.contract import SCORES, Contract, Feature, Output, Role, Signature
from pocketrec.errors import ContractError

SEQUENCES = ("id_sequence", "id_bag")
OPTIONS: Mapping[str, tuple[str, ...]] = {
    "recommend": ("k", "excluding"),
    "search": ("k", "excluding"),
    "generate": ("k", "excluding"),
    "rank": ("candidates",),
    "arrange": ("k",),
    "decide": ("draw",),
    "embed": (),
    "predict": (),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One function as an app sees it.

    Attributes:
        function: its name in the contract.
        role: what it is called for.
        method: what it is called: the role where no other function has it, else role and function.
        items: the vocabulary of its items; empty where it has none.
        arguments: the app's name of an argument to the feature that it fills, in the contract's order.
        filled: the features that no argument fills: masks, lengths and states.
        candidate: the feature that a candidate of `rank` or `arrange` is an item of; empty for others.
    """

    function: str
    role: Role
    method: str
    items: str
    arguments: Mapping[str, str]
    filled: tuple[str, ...]
    candidate: str = ""

    @property
    def names(self) -> tuple[str, ...]:
        """Every name that a call may pass, the options last."""
        return (*self.arguments, *OPTIONS[self.role])


def calls_of(contract: Contract) -> dict[str, Call]:
    """Every function as an app sees it, by method.

    Raises:
        ContractError: a stated role does not fit the function's inputs and outputs.
    """
    roles: dict[str, Role] = {name: role_of(contract, name) for name in contract.functions}
    inner = {each for name in roles if roles[name] == "generate" for each in fed_by(contract, name).values()}
    roles = {name: role for name, role in roles.items() if name not in inner}
    calls = {}
    for name, role in roles.items():
        alone = list(roles.values()).count(role) == 1
        call = _call(contract, name, role, f"{role}" if alone else f"{role}_{name}")
        calls[call.method] = call
    return calls


def role_of(contract: Contract, function: str) -> Role:
    """The role that the function states, else the one that its kinds and meanings show."""
    signature = contract.functions[function]
    items = items_of(contract, function)
    if signature.role:
        _check(contract, function, signature.role, items)
        return signature.role
    return next(role for role, fits in _FITS.items() if fits(contract, signature, items))


def items_of(contract: Contract, function: str) -> str:
    """The vocabulary of a function's items; empty where none shows.

    The one stated, else that of its listed ids or scores, else one that an id and a sequence share, else
    the only one with titles; of generation the one that is spelled.
    """
    signature = contract.functions[function]
    if signature.items:
        return signature.items
    spelled = [name for name, each in contract.vocabularies.items() if each.spelled_in]
    if signature.role == "generate":
        return spelled[0] if spelled else ""
    listed = [str(each.vocabulary) for each in signature.outputs if lists_items(contract, each)]
    singles = {each.vocabulary for each in signature.inputs if each.kind == "id"}
    shared = [str(e.vocabulary) for e in signature.inputs if e.kind in SEQUENCES and e.vocabulary in singles]
    read = {str(each.vocabulary) for each in signature.inputs if each.is_id}
    titled = [name for name in sorted(read) if contract.vocabularies[name].titles_sha256]
    for found in (listed[:1], shared[:1], titled if len(titled) == 1 else []):
        if found:
            return found[0]
    return ""


def lists_items(contract: Contract, out: Output) -> bool:
    """Whether an output has a score for every id of a vocabulary, or lists ids of one."""
    if out.vocabulary is None or not out.shape:
        return False
    if out.meaning == "top_k_ids":
        return True
    size = contract.vocabularies[out.vocabulary].size
    return out.meaning in SCORES and contract.bounds(out.shape[-1]) == (size, size)


def fed_by(contract: Contract, function: str) -> dict[str, str]:
    """The inputs of a function that are outputs of another one, such as an encoder's, and of which."""
    given = {
        out.name: name
        for name, signature in contract.functions.items()
        for out in signature.outputs
        if name != function
    }
    return {
        each.name: given[each.name]
        for each in contract.functions[function].inputs
        if each.name in given and each.kind == "dense"
    }


def prefix_of(contract: Contract, function: str, items: str) -> Feature:
    """The sequence that a generating function goes on with: the last one in what spells its items.

    One that a function before it takes, too, is a history.
    """
    code = contract.vocabularies[items].spelled_in
    before = {
        each.name for name in fed_by(contract, function).values() for each in contract.functions[name].inputs
    }
    spelled = [
        each
        for each in contract.functions[function].inputs
        if each.vocabulary == code and each.kind in SEQUENCES
    ]
    return next((each for each in reversed(spelled) if each.name not in before), spelled[-1])


def is_text(contract: Contract, feature: Feature) -> bool:
    """Whether a feature is text, which its vocabulary's tokenizer cuts into tokens."""
    return feature.vocabulary is not None and contract.vocabularies[feature.vocabulary].tokenizer is not None


def has_rows(signature: Signature) -> bool:
    """Whether the first axis of every input counts rows: calls of one user, or candidates."""
    leading = {each.shape[:1] for each in signature.inputs if each.kind != "state"}
    if len(leading) != 1 or () in leading:
        return False
    return all(len(each.shape) > 1 for each in signature.inputs if each.kind in SEQUENCES)


def rows_stack(signature: Signature) -> bool:
    """Whether rows of several calls can run as one: all that goes in and out counts them first, once."""
    shapes = [each.shape for each in signature.inputs] + [each.shape for each in signature.outputs]
    row = shapes[0][0] if shapes and shapes[0] else None
    return (
        has_rows(signature)
        and not signature.states
        and isinstance(row, str)
        and all(shape[:1] == (row,) and row not in shape[1:] for shape in shapes)
    )


def rest_of(signature: Signature, each: Feature | Output) -> tuple[int | str, ...]:
    """A feature's or an output's shape without the axis that counts rows."""
    return each.shape[1:] if has_rows(signature) else each.shape


def one_number(signature: Signature, out: Output) -> bool:
    """Whether an output is one number a row."""
    return out.meaning in SCORES and rest_of(signature, out) in ((), (1,))


def axis_of(signature: Signature, feature: Feature) -> int | str | None:
    """The axis that runs along a feature's entries; None for a feature of one entry."""
    rest = rest_of(signature, feature)
    return rest[-1] if rest else None


def sequence_of(signature: Signature, axis: int | str) -> Feature | None:
    """The sequence whose entries an axis counts; None where it counts something else."""
    found = (each for each in signature.inputs if each.kind in SEQUENCES)
    return next((each for each in found if axis_of(signature, each) == axis), None)


def along(signature: Signature, feature: Feature) -> Feature | None:
    """The sequence that a feature has one number for every entry of; None where it has none, or others."""
    rest = rest_of(signature, feature)
    if feature.kind != "dense" or len(rest) != 1:
        return None
    return sequence_of(signature, rest[0])


def _recommends(contract: Contract, signature: Signature, items: str) -> bool:
    return any(lists_items(contract, each) for each in signature.outputs)


def _searches(contract: Contract, signature: Signature, items: str) -> bool:
    text = any(is_text(contract, each) for each in signature.inputs)
    return text and _recommends(contract, signature, items)


def _embeds(contract: Contract, signature: Signature, items: str) -> bool:
    return any(each.meaning == "embedding" for each in signature.outputs)


def _arranges(contract: Contract, signature: Signature, items: str) -> bool:
    axes = {axis_of(signature, each) for each in _of_items(signature, items) if each.kind in SEQUENCES}
    return any(
        each.meaning in SCORES and rest_of(signature, each)[-1:] and each.shape[-1] in axes
        for each in signature.outputs
    )


def _ranks(contract: Contract, signature: Signature, items: str) -> bool:
    single = any(each.kind == "id" for each in _of_items(signature, items))
    return single and any(one_number(signature, each) for each in signature.outputs)


def _anything(contract: Contract, signature: Signature, items: str) -> bool:
    return True


def _decides(contract: Contract, signature: Signature, items: str) -> bool:
    return _recommends(contract, signature, items)


def _generates(contract: Contract, signature: Signature, items: str) -> bool:
    code = contract.vocabularies[items].spelled_in if items else ""
    logits = any(each.meaning == "logit" and each.vocabulary == code for each in signature.outputs)
    return bool(code) and logits and any(each.vocabulary == code for each in signature.inputs)


_Fits = Callable[[Contract, Signature, str], bool]
_FITS: dict[Role, _Fits] = {  # in the order in which a role is inferred
    "search": _searches,
    "recommend": _recommends,
    "embed": _embeds,
    "arrange": _arranges,
    "rank": _ranks,
    "predict": _anything,
}
_NEEDS: dict[Role, tuple[_Fits, str]] = {
    "search": (_searches, "text and scores over a vocabulary, or ids of it"),
    "recommend": (_recommends, "scores over a vocabulary, or ids of it"),
    "embed": (_embeds, "an output that is an embedding"),
    "arrange": (_arranges, "a sequence of items and a score for each of its places"),
    "rank": (_ranks, "an id of an item and one number a row; name the vocabulary by items"),
    "predict": (_anything, ""),
    "decide": (_decides, "scores or probabilities over a vocabulary of arms"),
    "generate": (_generates, "items that are spelled, a prefix of the ids that spell them, and their logits"),
}


def _check(contract: Contract, function: str, role: Role, items: str) -> None:
    fits, needs = _NEEDS[role]
    if not fits(contract, contract.functions[function], items):
        raise ContractError(f"function {function}: role is {role!r}, which needs {needs}; correct the role")


def _of_items(signature: Signature, items: str) -> list[Feature]:
    return [each for each in signature.inputs if items and each.vocabulary == items]


def _call(contract: Contract, function: str, role: Role, method: str) -> Call:
    signature = contract.functions[function]
    items = items_of(contract, function)
    candidate = _candidate(signature, role, items)
    filled = tuple(each.name for each in signature.inputs if _is_filled(signature, each))
    asked = _asked_inputs(contract, function, role, items)
    arguments = dict(_arguments(contract, asked, role, items, candidate, filled))
    return Call(
        function=function,
        role=role,
        method=method,
        items=items,
        arguments=arguments,
        filled=filled,
        candidate=candidate,
    )


def _asked_inputs(contract: Contract, function: str, role: Role, items: str) -> tuple[Feature, ...]:
    """The inputs that a call is asked for: of generation, those of every function that takes part."""
    own = contract.functions[function].inputs
    if role != "generate":
        return own
    fed = fed_by(contract, function)
    without = {*fed, prefix_of(contract, function, items).name}
    parts = [each for name in dict.fromkeys(fed.values()) for each in contract.functions[name].inputs]
    return tuple({each.name: each for each in (*parts, *own) if each.name not in without}.values())


def _candidate(signature: Signature, role: Role, items: str) -> str:
    kinds = {"rank": ("id",), "arrange": SEQUENCES}.get(role, ())
    return next((each.name for each in _of_items(signature, items) if each.kind in kinds), "")


def _is_filled(signature: Signature, feature: Feature) -> bool:
    """Whether the host knows what a feature holds: states, and what sequences say of themselves."""
    if feature.kind == "state":
        return True
    sequences = [each for each in signature.inputs if each.kind in SEQUENCES]
    if feature.kind == "mask":
        return any(axis_of(signature, each) == axis_of(signature, feature) for each in sequences)
    return feature.kind == "length" and len(sequences) == 1


def _arguments(
    contract: Contract,
    inputs: tuple[Feature, ...],
    role: Role,
    items: str,
    candidate: str,
    filled: tuple[str, ...],
) -> Iterator[tuple[str, str]]:
    """Arguments and their features: the one sequence of items is the history, the one text the text.

    A feature with the name of an option, such as `k`, is called `k_feature`.
    """
    words = {items, contract.vocabularies[items].spelled_in} if role == "generate" else {items} - {""}
    histories = [each.name for each in inputs if each.vocabulary in words and each.kind in SEQUENCES]
    texts = [each.name for each in inputs if is_text(contract, each)]
    own = {each.name for each in inputs}
    for each in inputs:
        if each.name in filled or (role == "rank" and each.name == candidate):
            continue
        name = each.name
        if role == "arrange" and name == candidate:
            name = "candidates"
        elif role in ("recommend", "generate") and histories == [name] and "history" not in own - {name}:
            name = "history"
        elif texts == [name] and "text" not in own - {name}:
            name = "text"
        reserved = {*OPTIONS[role], *(("candidates",) if role == "arrange" else ())}
        while each.name != candidate and name in reserved | own - {each.name}:
            name = f"{name}_feature"
        yield name, each.name
