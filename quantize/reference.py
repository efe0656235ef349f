"""A module and a plan to the compressed reference and its codes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from pocketrec.quantize.copies import copied
from pocketrec.quantize.plan import Plan
from pocketrec.quantize.tensor import Floats, QuantizedTensor
from pocketrec.quantize.usage import UNKNOWN, Usages

M = TypeVar("M", bound=nn.Module)


def compress(
    module: M,
    plan: Plan,
    *,
    usage: Usages | None = None,
    made: Mapping[str, QuantizedTensor] | None = None,
) -> tuple[M, dict[str, QuantizedTensor]]:
    """A copy of the module that carries the dequantized values in float32, and the codes by name.

    The copy is the compressed reference: what every artifact must equal. Tied parameters have one
    set of codes, under the first of their names; tensors that the plan leaves out are shared with
    the original, which is not changed.

    Args:
        module: in eval mode.
        plan: which tensors, and how.
        usage: what is known of how a tensor is used, by its name.
        made: tensors that a search has in the form that is planned, by name.

    Raises:
        PlanError: a pattern fits nothing, or a scheme does not fit its tensor.
    """
    tensors = compressible(module)
    known, codes = usage or {}, dict(made or {})
    for name, scheme in plan.schemes_for(tensors).items():
        if name not in codes:
            codes[name] = scheme.quantize(name, to_array(tensors[name]), usage=known.get(name, UNKNOWN))
    return with_values(module, {name: each.dequantize() for name, each in codes.items()}), codes


def compressible(module: nn.Module) -> dict[str, Tensor]:
    """The float tensors of a module by name, parameters first, a tied one under its first name only."""
    found: dict[str, Tensor] = {}
    seen: set[tuple[int, torch.Size]] = set()
    for name, tensor in (*module.named_parameters(), *module.named_buffers()):
        place = (tensor.data_ptr(), tensor.shape)
        if tensor.is_floating_point() and tensor.numel() and place not in seen:
            seen.add(place)
            found[name] = tensor
    return found


def to_array(tensor: Tensor) -> Floats:
    """The tensor's values as a float32 array."""
    values: Floats = tensor.detach().to("cpu", torch.float32).numpy()
    return values


def with_values(module: M, values: Mapping[str, Floats]) -> M:
    """A copy with other values for the named tensors, ties kept; all other tensors are shared."""
    given = {name: torch.from_numpy(np.ascontiguousarray(each)) for name, each in values.items()}
    return copied(module, stand_ins(module, given))


def stand_ins(module: nn.Module, values: Mapping[str, Tensor]) -> dict[int, Tensor]:
    """By id, what a copy has in place of every parameter and buffer: one tensor for all that are tied.

    What is not named stands for itself. Wherever else the module holds such a parameter or buffer, in a list
    or in an attribute, its copy holds the same stand-in.
    """
    tensors = dict(compressible(module))
    new = {(tensors[name].data_ptr(), tensors[name].shape): each for name, each in values.items()}
    memo: dict[int, Tensor] = {}
    made: dict[tuple[int, torch.Size], Tensor] = {}
    everything = (
        *module.named_parameters(remove_duplicate=False),
        *module.named_buffers(remove_duplicate=False),
    )
    for _, tensor in everything:
        place = (tensor.data_ptr(), tensor.shape)
        if place in new and place not in made:
            value = new[place].to(tensor.dtype)
            made[place] = (
                nn.Parameter(value, requires_grad=False) if isinstance(tensor, nn.Parameter) else value
            )
        memo[id(tensor)] = made.get(place, tensor) if place in new else tensor
    return memo
