"""How far a module's outputs move where its weights and inputs are rounded once more."""

from __future__ import annotations

import copy
from collections.abc import Sequence

import torch
from torch import Tensor, nn

_ULP = 2.0**-23  # of float32
_SEEDS = range(4)


def moved_by_rounding(module: nn.Module, inputs: Sequence[Tensor]) -> tuple[float, ...]:
    """The largest change of every output where every float moves by one unit in its last place.

    What moves far is ill-conditioned: no two engines that add in another order agree on it.
    """
    with torch.no_grad():
        before = module(*(each.clone() for each in inputs))
        after = [_rounded(module, seed)(*(_nudged(each.clone(), seed) for each in inputs)) for seed in _SEEDS]
    return tuple(
        max(map(_largest, [one] * len(after), others)) for one, *others in zip(before, *after, strict=True)
    )


def _rounded(module: nn.Module, seed: int) -> nn.Module:
    other = copy.deepcopy(module)
    for tensor in (*other.parameters(), *other.buffers()):
        tensor.data = _nudged(tensor.data, seed)
    return other


def _nudged(tensor: Tensor, seed: int) -> Tensor:
    """The tensor with every float one unit up or down, by chance that is the same in every run."""
    if not tensor.is_floating_point():
        return tensor
    generator = torch.Generator().manual_seed(seed)
    signs = torch.randint(0, 2, tensor.shape, generator=generator, dtype=tensor.dtype) * 2 - 1
    return tensor * (1 + signs * _ULP)


def _largest(one: Tensor, two: Tensor) -> float:
    if not one.is_floating_point() or one.shape != two.shape or not one.numel():
        return 0.0
    return float((one.double() - two.double()).abs().nan_to_num(0.0, 0.0, 0.0).max())
