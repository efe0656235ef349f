"""FBGEMM's ops on jagged rows, which torchrec and its models call, from plain ones.

A jagged tensor has the rows of all lists one after the other, and offsets of where each list starts.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

_OVERLOAD = ".default"
_NAMES = (
    *("asynchronous_complete_cumsum", "asynchronous_inclusive_cumsum", "asynchronous_exclusive_cumsum"),
    *("jagged_to_padded_dense", "jagged_2d_to_dense", "jagged_1d_to_dense", "dense_to_jagged"),
)


class JaggedRule:
    """Offsets from lengths, padded lists from jagged ones, and jagged from padded; exact."""

    name = "fbgemm_to_plain_ops"
    reason = "FBGEMM's operators have no lowering"

    functions = frozenset(f"{name}{overload}" for name in _NAMES for overload in ("", _OVERLOAD))

    def replace(self, function: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        """What the operator gives; NotImplemented for lists of lists."""
        return _PARTS[function.__name__.removesuffix(_OVERLOAD)](*args, **kwargs)


def _complete_cumsum(t_in: Tensor) -> Tensor:
    ends = _inclusive_cumsum(t_in)
    return torch.cat([torch.zeros_like(ends[..., :1]), ends], -1)


def _inclusive_cumsum(t_in: Tensor) -> Tensor:
    return t_in.cumsum(-1).to(t_in.dtype)


def _exclusive_cumsum(t_in: Tensor) -> Tensor:
    return _inclusive_cumsum(t_in) - t_in


def _padding_arguments(
    values: Tensor,
    offsets: Tensor | Sequence[Tensor],
    max_lengths: Any = 0,
    padding_value: float = 0.0,
    *,
    max_sequence_length: Any = None,
) -> tuple[Tensor, Tensor, Any, float] | None:
    """Values, offsets, length and padding of the one level of lists; None where there are more."""
    length = max_lengths if max_sequence_length is None else max_sequence_length
    levels = [offsets] if isinstance(offsets, Tensor) else [*offsets]
    lengths = [*length] if isinstance(length, tuple | list) else [length]
    return (values, levels[0], lengths[0], padding_value) if len(levels) == len(lengths) == 1 else None


def _to_padded(*args: Any, **kwargs: Any) -> Any:
    given = _padding_arguments(*args, **kwargs)
    if given is None:
        return NotImplemented
    values, offsets, length, padding = given
    places = offsets[:-1].unsqueeze(1) + torch.arange(length)
    rows = values.index_select(0, places.reshape(-1).clamp(min=0, max=values.shape[0] - 1))
    return _kept(rows.reshape(offsets.shape[0] - 1, length, *values.shape[1:]), offsets, padding)


def _kept(rows: Tensor, offsets: Tensor, padding: float) -> Tensor:
    """`[lists, length, ...]` with the padding beyond each list's end."""
    lengths = (offsets[1:] - offsets[:-1]).unsqueeze(1)
    inside = torch.arange(rows.shape[1]) < lengths
    for _ in range(rows.ndim - 2):
        inside = inside.unsqueeze(-1)
    return torch.where(inside, rows, torch.full_like(rows, padding))


def _to_jagged(dense: Tensor, x_offsets: Sequence[Tensor], total_L: Any = None) -> Any:  # noqa: N803
    if len(x_offsets) != 1:
        return NotImplemented
    lengths = x_offsets[0][1:] - x_offsets[0][:-1]
    inside = torch.arange(dense.shape[1]) < lengths.unsqueeze(1)
    return dense[inside], list(x_offsets)


_PARTS: dict[str, Callable[..., Any]] = {
    "asynchronous_complete_cumsum": _complete_cumsum,
    "asynchronous_inclusive_cumsum": _inclusive_cumsum,
    "asynchronous_exclusive_cumsum": _exclusive_cumsum,
    "jagged_to_padded_dense": _to_padded,
    "jagged_2d_to_dense": _to_padded,
    "jagged_1d_to_dense": _to_padded,
    "dense_to_jagged": _to_jagged,
}
