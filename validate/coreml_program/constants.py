"""What is the same in every run: computed once and kept or, where it is a large table, row by row.

A compressed table of 10,000,000 x 64 is 640 MB in its file and 2.6 GB of float32. Kernels that read
rows of it, or multiply it, take a `LongConstant`; to all others it is an array as every other constant.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from math import prod
from typing import Any

import numpy as np
import numpy.typing as npt

from pocketrec.validate.coreml_program.values import ValueType, widen

Array = npt.NDArray[Any]
Places = slice | npt.NDArray[np.intp]

# So much float32 is widened once and kept: the widening costs more than the product with one user,
# and an evaluation asks for thousands of them. What takes more is widened anew in every run.
WHOLE_BYTES = 256_000_000
# What is widened at a time: beyond the caches, so that the product of a block is as fast as of all.
BLOCK_BYTES = 32_000_000


class LongConstant:
    """A constant with a long axis, along which any part is computed from stored numbers when it is read.

    Attributes:
        shape: of the constant.
        axis: the long one, along which it is read.
    """

    __slots__ = ("_read", "axis", "shape")

    def __init__(self, shape: tuple[int, ...], axis: int, read: Callable[[Places], Array]) -> None:
        self.shape, self.axis, self._read = shape, axis, read

    @property
    def ndim(self) -> int:
        """The number of axes."""
        return len(self.shape)

    def swapped(self) -> LongConstant:
        """Of two axes: these swapped, with nothing computed."""
        return LongConstant(self.shape[::-1], 1 - self.axis, lambda places: self._read(places).T)

    def read(self, places: Places) -> Array:
        """The float32 numbers at some places of the long axis."""
        return self._read(places)

    def blocks(self) -> Iterator[tuple[slice, Array]]:
        """Where a block lies on the long axis, and its float32 numbers; always the same blocks."""
        count = self.shape[self.axis]
        step = max(1, BLOCK_BYTES * count // max(1, 4 * prod(self.shape)))
        for start in range(0, count, step):
            place = slice(start, min(start + step, count))
            yield place, self._read(place)

    def whole(self) -> Array:
        """All of it, float32."""
        result = np.empty(self.shape, np.float32)
        for place, values in self.blocks():
            result[along(self.axis, place)] = values
        return result


def along(axis: int, places: Any) -> tuple[Any, ...]:
    """The index of some places of an axis."""
    return (*[slice(None)] * axis, places)


class Folded:
    """A value that is the same in every run, computed when it is first used."""

    __slots__ = ("_make", "_make_table", "_raw", "_table", "_wide")

    def __init__(
        self, make: Callable[[], Any], *, table: Callable[[], LongConstant | None] | None = None
    ) -> None:
        self._make, self._raw, self._wide = make, None, None
        self._make_table = table
        self._table: LongConstant | None = None

    def raw(self) -> Any:
        """As stored: a float16 table is not widened."""
        if self._raw is None:
            self._raw = self._make()
        return self._raw

    def wide(self) -> Any:
        """As kernels take it, and read-only, since every run takes it again."""
        if self._wide is None:
            self._wide = argument(self.raw())
            if isinstance(self._wide, np.ndarray):
                self._wide.setflags(write=False)
        return self._wide

    def table(self) -> LongConstant | None:
        """By rows, where that is known and all of it is too large to be kept."""
        if self._make_table is not None:
            self._table, self._make_table = self._make_table(), None
        return self._table

    def shape(self) -> tuple[int, ...]:
        """The shape, with nothing computed where it is a table."""
        table = self.table()
        return np.shape(self.raw()) if table is None else table.shape

    def part(self, axis: int, places: Places) -> Any:
        """Some places of an axis, as kernels take them."""
        table = self.table()
        if table is not None and table.axis == axis:
            return table.read(places)
        return argument(self.raw()[along(axis, places)])


def argument(value: Any) -> Any:
    """A stored value as kernels take it: float16 as float32, single numbers without axes."""
    if isinstance(value, np.bool_):
        return bool(value)
    return widen(np.asarray(value))[()] if isinstance(value, np.ndarray | np.generic) else value


def is_large(kind: ValueType) -> bool:
    """True for a tensor of floats, of two or more axes, that takes too much to be kept as float32."""
    if kind.form != "tensor" or kind.dtype not in ("float16", "float32") or len(kind.shape) < 2:
        return False
    return None not in kind.shape and 4 * prod(size or 0 for size in kind.shape) > WHOLE_BYTES


def long_axis(kind: ValueType) -> int:
    """The axis along which a constant of that type is read."""
    return int(np.argmax([size or 0 for size in kind.shape]))


def stored(kind: ValueType, load: Callable[[], Any]) -> Folded:
    """A constant of the file. Of float32 a large one stays mapped, of float16 it is widened by parts."""
    if kind.dtype != "float16" or not is_large(kind):
        return Folded(load)
    axis = long_axis(kind)
    return Folded(
        load,
        table=lambda: LongConstant(np.shape(load()), axis, lambda places: widen(load()[along(axis, places)])),
    )


# The inputs of which a place of the result reads the same place alone, or that of its group.
_APART: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(("add", "mul", "real_div", "sub"), ("x", "y")),
    **dict.fromkeys(("cast", "identity"), ("x",)),
    "constexpr_affine_dequantize": ("quantized_data", "scale", "zero_point"),
    "constexpr_blockwise_shift_scale": ("data", "scale", "offset"),
    "constexpr_cast": ("source_val",),
    "constexpr_lut_to_dense": ("indices", "lut"),
    "dequantize": ("input", "scale", "zero_point"),
}


def cut(
    op_type: str, kind: ValueType, given: Mapping[str, Folded]
) -> Callable[[Places], dict[str, Any]] | None:
    """What gives an op's arguments for some places of its result's long axis; None where it needs all."""
    if op_type not in _APART or not is_large(kind):
        return None
    axis = long_axis(kind)
    if op_type == "constexpr_lut_to_dense" and not _by_itself(given, axis):
        return None
    own = {name: _own_axis(name, given, kind, axis) for name in _APART[op_type] if name in given}
    cuts = {name: (place, given[name].shape()[place]) for name, place in own.items() if place is not None}
    count = kind.shape[axis] or 0
    if not cuts or any(count % size for _, size in cuts.values()):
        return None
    fixed = {name: each.wide() for name, each in given.items() if name not in cuts}

    def arguments(places: Places) -> dict[str, Any]:
        return fixed | {
            name: given[name].part(place, _grouped(places, count // size))
            for name, (place, size) in cuts.items()
        }

    return arguments


def _own_axis(name: str, given: Mapping[str, Folded], kind: ValueType, axis: int) -> int | None:
    """The input's axis that runs along the result's; None where all of it is for every place."""
    shape = given[name].shape()
    if "axis" in given and name in ("scale", "zero_point"):
        own = 0 if shape and int(given["axis"].wide()) == axis else -1
    else:  # aligned at the last axis where NumPy would; the lookup table's own two axes come after
        own = axis - max(0, len(kind.shape) - len(shape))
    return own if own >= 0 and shape[own] > 1 else None


def _by_itself(given: Mapping[str, Folded], axis: int) -> bool:
    """False where bits are packed beyond a place's end, or a vector of the lookup table is."""
    return "shape" not in given and ("vector_axis" not in given or int(given["vector_axis"].wide()) != axis)


def _grouped(places: Places, size: int) -> Places:
    if size == 1:
        return places
    single = np.arange(places.start, places.stop) if isinstance(places, slice) else places
    return single // size
