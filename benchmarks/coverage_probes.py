"""Inputs on which an artifact is compared with its module, and what the module gives for them."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from coverage_models import Built
from torch import Generator, Tensor
from torch.utils import _pytree


def tensors(tree: Any) -> list[Tensor]:
    """The tensor leaves in the order of flattening."""
    return [each for each in _pytree.tree_leaves(tree) if isinstance(each, Tensor)]


def untouched(module: torch.nn.Module) -> torch.nn.Module:
    """A copy, since some models write into their own state; the module itself where it has none."""
    try:
        return copy.deepcopy(module)
    except Exception:  # a logger, a lambda, a tensor that is no leaf: whatever cannot be copied
        return module


def reference(module: torch.nn.Module, inputs: tuple[Any, ...]) -> list[np.ndarray[Any, Any]]:
    """The outputs of a copy of the original; inputs are cloned, since some models write into them."""
    module = untouched(module)
    cloned = _pytree.tree_map(lambda each: each.clone() if isinstance(each, Tensor) else each, inputs)
    with torch.no_grad():
        return [each.detach().cpu().numpy().copy() for each in tensors(module(*cloned))]


def probes(built: Built) -> dict[str, tuple[Any, ...]]:
    """Inputs that the conversion has not seen: other contents, rows in another order, batch 1 and 7."""
    example = built.draw(Generator().manual_seed(1), built.batch)
    found = {
        f"resampled {seed}": built.draw(Generator().manual_seed(seed), built.batch) for seed in (11, 12, 13)
    }
    if built.batched:
        order = torch.randperm(built.batch, generator=Generator().manual_seed(5))
        found["permuted"] = _pytree.tree_map(
            lambda each: (
                each[order] if isinstance(each, Tensor) and each.ndim and len(each) == len(order) else each
            ),
            example,
        )
        found["batch 1"] = built.draw(Generator().manual_seed(21), 1)
        found["batch 7"] = built.draw(Generator().manual_seed(22), 7)
    return found


_FACTORS = {"zeros": 0.0, "the other sign": -1.0, "a millionth": 1e-6, "a hundred times": 100.0}
_DRAWN = 32  # inputs of which the smallest and the largest of each integer is taken


def far_probes(built: Built) -> dict[str, tuple[Any, ...]]:
    """Inputs far from the example: real numbers of other sizes and signs, and every integer at its ends."""
    example = built.draw(Generator().manual_seed(1), built.batch)
    found = {name: _pytree.tree_map(_scaled(factor), example) for name, factor in _FACTORS.items()}
    drawn = [built.draw(Generator().manual_seed(100 + seed), built.batch) for seed in range(_DRAWN)]
    for name, end in (("smallest integers", torch.amin), ("largest integers", torch.amax)):
        found[name] = _pytree.tree_map(_at_end(end), *[example, *drawn])
    before = tensors(example)
    return {
        name: inputs
        for name, inputs in found.items()
        if not all(torch.equal(a, b) for a, b in zip(before, tensors(inputs), strict=True))
    }


def _scaled(factor: float) -> Callable[[Any], Any]:
    """Multiplies real numbers; columns of whole ones may be ids or masks, and stay."""

    def scale(value: Any) -> Any:
        if not isinstance(value, Tensor) or not value.is_floating_point():
            return value
        columns = value.reshape(-1, value.shape[-1]) if value.ndim else value.reshape(1, 1)
        whole = (columns == columns.round()).all(0)
        return torch.where(whole, columns, columns * factor).reshape(value.shape)

    return scale


def _at_end(end: Callable[..., Tensor]) -> Callable[..., Any]:
    """Fills integers with the end of what was drawn at their place, over all rows of a batch."""

    def fill(value: Any, *drawn: Any) -> Any:
        if not isinstance(value, Tensor) or value.dtype not in (torch.int32, torch.int64) or not value.ndim:
            return value
        if any(each.shape != value.shape for each in drawn):
            return value  # as long as its contents say: no column has a meaning
        dims = (0, 1) if value.ndim > 1 else (0,)
        return (
            end(torch.stack((value, *drawn)), dim=dims).expand(value.shape).clone()
            if value.numel()
            else value
        )

    return fill
