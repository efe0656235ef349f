"""`chunk` and `split` of an axis whose size is a symbol, as slices: `torch.cat([a, b]).chunk(2)`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from torch import SymInt, Tensor
from torch.fx.experimental.symbolic_shapes import statically_known_true


class SymbolicSplitRule:
    """Equal parts, or parts of given sizes, of an axis that is free; exact."""

    name = "split_to_slices"
    reason = "how many parts a free axis gives is not known when the graph is made"
    functions = frozenset({"chunk", "split", "split_with_sizes"})

    def replace(self, function: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        """The parts in order; NotImplemented where a size is plain or does not divide for sure."""
        tensor, asked, dim = _arguments(args, kwargs)
        if not isinstance(tensor, Tensor) or not isinstance(dim, int) or tensor.ndim == 0:
            return NotImplemented
        size = tensor.shape[dim]
        if not isinstance(size, SymInt):
            return NotImplemented
        sizes = _sizes(function.__name__, size, asked)
        if not sizes:
            return NotImplemented
        parts, start = [], 0
        for each in sizes:
            parts.append(tensor.narrow(dim, start, each))
            start = start + each
        return tuple(parts)


def _arguments(args: Sequence[Any], kwargs: Mapping[str, Any]) -> tuple[Any, Any, Any]:
    names = ("input", ("chunks", "split_size", "split_size_or_sections", "split_sizes"), "dim")
    given = list(args)
    for name in names[len(given) :]:
        keys = (name,) if isinstance(name, str) else name
        given.append(next((kwargs[key] for key in keys if key in kwargs), 0 if name == "dim" else None))
    return given[0], given[1], given[2]


def _sizes(name: str, size: SymInt, asked: Any) -> list[Any]:
    """The sizes of the parts; none where their number is not certain for every size of the axis."""
    if isinstance(asked, tuple | list):
        return list(asked)
    if name == "chunk":
        return (
            [size // asked] * asked
            if isinstance(asked, int) and statically_known_true(size % asked == 0)
            else []
        )
    if not isinstance(asked, int | SymInt):
        return []
    count = next((n for n in range(1, 65) if statically_known_true(size == n * asked)), 0)
    return [asked] * count
