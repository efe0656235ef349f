"""What the lowerings to MIL read of a node of either front end: its arguments, constants as such.

coremltools is imported with this module, so import it inside functions.
"""

from __future__ import annotations

from typing import Any

from coremltools.converters.mil.frontend.torch import ops as torch_ops
from coremltools.converters.mil.mil import Builder as mb  # noqa: N813 - its name everywhere in the field
from coremltools.converters.mil.mil import Var, types


def arguments(context: Any, node: Any, **defaults: Any) -> list[Any]:
    """A node's arguments in the order of `defaults`, given by place or by name; constants as such."""
    placed = torch_ops._get_inputs(context, node)
    by_name: Any = torch_ops._get_kwinputs  # its annotations say less than it takes
    found = []
    for number, (name, default) in enumerate(defaults.items()):
        value = placed[number] if number < len(placed) else None
        if value is None:
            named = by_name(context, node, name, default=[None])[0]
            value = default if named is None else named
        found.append(value)
    return found


def known(value: Any) -> Any:
    """The constant itself, which the front ends wrap or not."""
    return value.val if isinstance(value, Var) else value


def as_float(x: Var) -> Var:
    """The tensor in floats, as functions of real numbers take it."""
    return x if types.is_float(x.dtype) else mb.cast(x=x, dtype="fp32")


def number(value: float, like: Var) -> Any:
    """A constant in the float dtype of `like`."""
    return types.nptype_from_builtin(like.dtype)(value)
