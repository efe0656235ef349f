"""Stubs: tensors and arrays with a table's shape and dtype, and the memory of one number.

A torch stub is a zero-stride view of one number. Every table has a number of its own, which is how
it is recognised in a lowered graph, whatever a converter called it. A NumPy stub is an `ndarray`
that computes on its one number, so a pass that scans values costs nothing, and that remembers how
each of its rows is made from the table's, so that the bytes can be written later.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from pocketrec.errors import ConversionError

Array = npt.NDArray[Any]

# Numbers that float16 holds exactly, so that casts between the float types keep them apart.
_FIRST, _STEP, _MOST = 1 + 205 / 1024, 1 / 1024, 800
_IDEMPOTENT = frozenset(["logical_or", "logical_and", "maximum", "minimum"])


def stub_tensor(number: int, shape: tuple[int, ...], dtype: torch.dtype = torch.float32) -> Tensor:
    """The stub of table `number`, of any float dtype."""
    if number >= _MOST:
        raise ConversionError(f"{number + 1} tables to stream; at most {_MOST} can be told apart")
    return torch.full((1,) * len(shape), _FIRST + number * _STEP, dtype=dtype).expand(shape)


def number_of(values: object) -> int | None:
    """The number of the table that `values`, a tensor or an array, stands in for; None where it is none."""
    if isinstance(values, Stub):
        return values.source.number if values.source else None
    if not isinstance(values, np.ndarray | Tensor) or values.ndim != 2 or 0 in values.shape:
        return None
    strides = values.stride() if isinstance(values, Tensor) else values.strides
    if any(strides) or "float" not in str(values.dtype):
        return None
    place = (float(values[0, 0]) - _FIRST) / _STEP
    return int(place) if place == int(place) and 0 <= place < _MOST else None


def stub_or(values: Array) -> Array:
    """The stub that `values` is a view of in NumPy's terms; `values` themselves where they are of none."""
    number = number_of(values)
    return values if number is None else Stub.table(number, values.shape, values.dtype)


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """How a stub's rows are made from the parts of a chunk of the table's rows.

    Attributes:
        number: of the table.
        part: what they are made from: `values`, or a field of `Encoded` such as `codes`.
        key: says how they are made; equal for equal rows.
        make: parts by name to rows.
    """

    number: int
    part: str
    key: Hashable
    make: Callable[[Mapping[str, Array]], Array] = field(compare=False)

    @classmethod
    def of(cls, number: int, part: str) -> Source:
        """The rows of a part as they are."""
        return cls(number=number, part=part, key=part, make=lambda parts: parts[part])

    def then(self, key: Hashable, step: Callable[[Array], Array]) -> Source:
        """The same rows with one more step."""
        make = self.make
        return replace(self, key=(self.key, key), make=lambda parts: step(make(parts)))


class Stub(np.ndarray[Any, Any]):
    """An array whose elements are all the same number, stored once.

    Attributes:
        source: how its rows are made; None where nobody will ask.
    """

    source: Source | None

    @classmethod
    def of(cls, value: Any, shape: Sequence[int], source: Source | None) -> Stub:
        """The stub of that shape with `value`, a NumPy scalar, everywhere."""
        stub = np.broadcast_to(np.asarray(value), tuple(shape)).view(cls)
        stub.source = source
        return stub

    @classmethod
    def table(cls, number: int, shape: Sequence[int], dtype: npt.DTypeLike = np.float32) -> Stub:
        """The stub of the values of table `number`."""
        value = np.asarray(_FIRST + number * _STEP, dtype)
        return cls.of(value, shape, Source.of(number, "values"))

    def __array_finalize__(self, other: Any) -> None:
        self.source = getattr(other, "source", None)

    @property
    def one(self) -> Any:
        """The number, without axes."""
        return self.view(np.ndarray)[(0,) * self.ndim]

    def mapped(self, key: Hashable, step: Callable[[Array], Array], shape: Sequence[int]) -> Stub:
        """The stub, of `shape`, of what `step` makes of rows; `key` is equal for equal steps."""
        value = step(np.full((8, *self.shape[1:]), self.one)).ravel()[0]
        return Stub.of(value, shape, self.source and self.source.then(key, step))

    def astype(self, dtype: npt.DTypeLike, *args: Any, **kwargs: Any) -> Any:
        """The stub in another dtype; its metadata, which marks integers below 8 bits, is kept."""
        kind = np.dtype(dtype)
        source = self.source and self.source.then(kind.str, lambda rows: rows.astype(kind, copy=False))
        return Stub.of(np.asarray(self.one).astype(kind), self.shape, source)

    def flatten(self, order: Any = "C") -> Any:
        """The stub with one axis."""
        return Stub.of(self.one, (self.size,), self.source)

    ravel = flatten

    def __getitem__(self, index: Any) -> Any:
        places = index if isinstance(index, tuple) else (index,)
        if places and isinstance(places[0], _Everywhere):
            return self.flatten()[: self.size if places[0].holds else 0]
        found = super().__getitem__(index)
        if isinstance(found, Stub):
            rows = places[0] == slice(None) and self.source is not None
            source = (
                self.source.then(repr(index), lambda array: array[index]) if rows and self.source else None
            )
            found.source = source  # a choice of rows is not made chunk by chunk
        return found

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **kwargs: Any) -> Any:
        ones = [each.one if isinstance(each, Stub) else each for each in inputs]
        if method == "__call__" and "out" not in kwargs and all(np.ndim(each) == 0 for each in ones):
            value = ufunc(*ones, **kwargs)
            shape = np.broadcast_shapes(*(np.shape(each) for each in inputs))
            return Stub.of(value, shape, self._after(ufunc, inputs, kwargs))
        if method == "reduce" and ufunc.__name__ in _IDEMPOTENT and kwargs.get("axis") is None and self.size:
            return ufunc.reduce(np.array([ones[0]]), **{k: v for k, v in kwargs.items() if k == "initial"})
        return getattr(ufunc, method)(*(_plain(each) for each in inputs), **kwargs)

    def _after(self, ufunc: np.ufunc, inputs: Sequence[Any], kwargs: Any) -> Source | None:
        """The source of an elementwise result; None where the inputs are of different tables."""
        sources = [each.source if isinstance(each, Stub) else None for each in inputs]
        numbers = {each.source and each.source.number for each in inputs if isinstance(each, Stub)}
        if self.source is None or len(numbers) != 1:
            return None
        pairs = list(zip(inputs, sources, strict=True))
        key = (ufunc.__name__, *(each if source is None else source.key for each, source in pairs))

        def make(parts: Mapping[str, Array]) -> Array:
            arrays = [each if source is None else source.make(parts) for each, source in pairs]
            result: Array = ufunc(*arrays, **kwargs)
            return result

        return replace(self.source, key=key, make=make)

    def __array_function__(self, func: Any, types: Any, args: Any, kwargs: Any) -> Any:
        if func is np.where and len(args) == 1:
            return (_Everywhere(bool(args[0].one)),)
        if func in (np.allclose, np.array_equal):
            left, right = (each.source if isinstance(each, Stub) else None for each in args[:2])
            return left is not None and left == right
        return super().__array_function__(func, types, args, kwargs)


class _Everywhere:
    """The places where a condition on a stub holds: all of them, or none."""

    def __init__(self, holds: bool) -> None:
        self.holds = holds


def _plain(value: Any) -> Any:
    return value.view(np.ndarray) if isinstance(value, Stub) else value


def contiguous(values: Array) -> Array:
    """The array in C order; a stub as it is, since it has no order."""
    return values if isinstance(values, Stub) else np.ascontiguousarray(values)
