"""How a contract's names become a method's arguments, and what it returns the contract's outputs.

Names that are parameters, or keys of what comes back, bind by name; where they are not, by place.
"""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from pocketrec.contract import Signature
from pocketrec.errors import ContractError

_PLACED = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
_NAMED = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)


@dataclass(frozen=True, slots=True, kw_only=True)
class Binding:
    """The contract's inputs as arguments: how many go by place, and the names of those that follow."""

    placed: int
    named: tuple[str, ...] = ()

    def arguments(self, values: Sequence[Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """The positional and the keyword arguments for values in the contract's order."""
        return tuple(values[: self.placed]), dict(zip(self.named, values[self.placed :], strict=True))


def bind_inputs(method: Callable[..., Any], signature: Signature) -> Binding:
    """The binding of the signature's inputs to the parameters of `method`.

    Raises:
        ContractError: some names are parameters at other places and others are none, or a parameter
            without default gets nothing; says both orders.
    """
    names = [each.name for each in signature.inputs]
    parameters = _parameters(method)
    if parameters is None or any(each.kind is each.VAR_POSITIONAL for each in parameters):
        return Binding(placed=len(names))
    placed = [each.name for each in parameters if each.kind in _PLACED]
    by_name = {each.name for each in parameters if each.kind in _NAMED}
    if placed[: len(names)] == names:
        _check_filled(parameters, names, signature)
        return Binding(placed=len(names))
    anything = any(each.kind is each.VAR_KEYWORD for each in parameters) and not placed
    if anything or set(names) <= by_name:
        _check_filled(parameters, names, signature)
        return Binding(placed=0, named=tuple(names))
    moved = [each for place, each in enumerate(names) if each in placed and placed.index(each) != place]
    if moved:
        raise ContractError(
            f"input {moved[0]!r} stands at place {names.index(moved[0]) + 1} of the contract and at place "
            f"{placed.index(moved[0]) + 1} of {signature.method}({', '.join(placed)}); name all inputs as "
            "its parameters, or put them in their order"
        )
    return Binding(placed=len(names))


def _parameters(method: Callable[..., Any]) -> list[inspect.Parameter] | None:
    """The parameters without self; None where nothing says what they are."""
    schema = getattr(method, "schema", None)  # of TorchScript
    if schema is not None:
        return [
            inspect.Parameter(
                each.name,
                inspect.Parameter.POSITIONAL_OR_KEYWORD,
                default=None if each.has_default_value() else inspect.Parameter.empty,
            )
            for each in schema.arguments[1:]
        ]
    try:
        return list(inspect.signature(method).parameters.values())
    except (TypeError, ValueError):
        return None


def _check_filled(
    parameters: Sequence[inspect.Parameter], names: Sequence[str], signature: Signature
) -> None:
    """Checks that every parameter that has no default is among the names."""
    for each in parameters:
        needed = each.default is each.empty and each.kind in (*_PLACED, each.KEYWORD_ONLY)
        if needed and each.name not in names:
            raise ContractError(
                f"{signature.method} takes {each.name!r}, which the contract ({', '.join(names)}) does not "
                "have; add the input, or give the parameter a default"
            )


def bind_outputs(given: object, signature: Signature) -> tuple[Any, ...]:
    """What a method returned, in the order of the signature's outputs.

    A mapping, a dataclass or a named tuple is bound by its names, anything else by place.

    Raises:
        ContractError: an output is missing, surplus, or no tensor; says what was returned.
    """
    names = [each.name for each in signature.outputs]
    table = _named(given, names)
    if table is not None:
        lacking = [each for each in names if each not in table]
        if lacking:
            known = ", ".join(map(str, table))
            raise ContractError(f"{signature.method} returned no output {lacking[0]!r}; it returned {known}")
        values: tuple[Any, ...] = tuple(table[each] for each in names)
    else:
        values = tuple(given) if isinstance(given, tuple | list) else (given,)
    if len(values) != len(names):
        raise ContractError(
            f"{signature.method} returned {len(values)} tensor{'s'[: len(values) != 1]}; the contract names "
            f"{len(names)} ({', '.join(names)}); correct one of them"
        )
    for name, value in zip(names, values, strict=True):
        if not isinstance(value, Tensor):
            raise ContractError(f"output {name} is {type(value).__name__}; expected a tensor")
    return values


def _named(given: object, names: Sequence[str]) -> Mapping[Any, Any] | None:
    """What was returned by name; None where it has no names, or a tuple's are not the contract's."""
    if isinstance(given, Mapping):
        return given
    if dataclasses.is_dataclass(given) and not isinstance(given, type):
        return {each.name: getattr(given, each.name) for each in dataclasses.fields(given)}
    fields = getattr(given, "_fields", None)
    if isinstance(given, tuple) and fields and set(names) <= set(fields):
        return dict(zip(fields, given, strict=True))
    return None
