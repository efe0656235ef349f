"""Functions of PyTorch that read sizes as numbers, and so would fix a free batch, from others that do not."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor


class CompositeRule:
    """Reading along an axis, products of chains of matrices, Kronecker products; exact up to rounding."""

    name = "composite_to_parts"
    reason = "PyTorch's own version reads the free sizes as numbers"
    functions = frozenset({"take_along_dim", "chain_matmul", "linalg_multi_dot", "kron"})

    def replace(self, function: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        """What the function gives; NotImplemented where an argument is not as expected."""
        return _PARTS[function.__name__](*args, **kwargs)


def _take_along_dim(input: Tensor, indices: Tensor, dim: int | None = None) -> Any:  # noqa: A002
    if dim is None:
        return input.reshape(-1).gather(0, indices.reshape(-1))
    if input.ndim != indices.ndim or not input.ndim:
        return NotImplemented
    axis = dim % input.ndim
    both = zip(input.shape, indices.shape, strict=True)
    shape = [one if _is_one(other) else other for one, other in both]
    source, places = list(shape), list(shape)
    source[axis], places[axis] = input.shape[axis], indices.shape[axis]
    return input.expand(source).gather(axis, indices.expand(places))


def _is_one(size: Any) -> bool:
    return isinstance(size, int) and size == 1


def _chain_matmul(*matrices: Any, out: object = None) -> Any:
    chain = matrices[0] if len(matrices) == 1 and not isinstance(matrices[0], Tensor) else matrices
    return functools.reduce(torch.matmul, chain)


def _kron(input: Tensor, other: Tensor) -> Any:  # noqa: A002
    if input.ndim != other.ndim:
        return NotImplemented
    one, two = input, other
    for axis in range(input.ndim):
        one, two = one.unsqueeze(2 * axis + 1), two.unsqueeze(2 * axis)
    sizes = zip(input.shape, other.shape, strict=True)
    return (one * two).reshape([a * b for a, b in sizes])


_PARTS: dict[str, Callable[..., Any]] = {
    "take_along_dim": _take_along_dim,
    "chain_matmul": _chain_matmul,
    "linalg_multi_dot": _chain_matmul,
    "kron": _kron,
}
