"""Stubs: tensors and arrays with a table's shape, dtype and name, and the memory of one number.

A torch stub is a zero-stride view of one number; every stub has a number of its own, which is how
it is recognised in a lowered graph, whatever the converter called it. A NumPy stub is an `ndarray`
whose operations are computed on that one number, so a pass that scans values costs nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from pocketrec.errors import ConversionError

# Numbers that float16 holds exactly: casts between the float types keep them apart.
_FIRST, _STEP, _MOST = 1.0, 2.0**-10, 1000
_SMALLEST = 1 << 10  # elements; below it a zero-stride array may be anybody's
_IDEMPOTENT = frozenset(["logical_or", "logical_and", "maximum", "minimum"])


def stub_tensor(number: int, shape: tuple[int, ...], dtype: torch.dtype = torch.float32) -> Tensor:
    """The stub with that number, of any float dtype."""
    if number >= _MOST:
        raise ConversionError(f"{number + 1} tables to stream; at most {_MOST} can be told apart")
    return torch.full((1,) * len(shape), _FIRST + number * _STEP, dtype=dtype).expand(shape)


def number_of(values: object) -> int | None:
    """The number of the stub that `values`, a tensor or an array, is or is a view of; None where it is none."""
    if not isinstance(values, np.ndarray | Tensor) or 0 in values.shape:
        return None
    strides = values.stride() if isinstance(values, Tensor) else values.strides
    count = int(np.prod(values.shape, dtype=np.int64))
    if any(strides) or count < _SMALLEST:
        return None
    value = float(values[(0,) * values.ndim])
    number = round((value - _FIRST) / _STEP)
    return number if 0 <= number < _MOST and _FIRST + number * _STEP == value else None


class Stub(np.ndarray[Any, Any]):
    """An array whose elements are all the same number, stored once."""

    @classmethod
    def of(cls, value: Any, shape: Sequence[int]) -> Stub:
        """The stub of that shape with `value`, a NumPy scalar, everywhere."""
        return np.broadcast_to(np.asarray(value), tuple(shape)).view(cls)

    @property
    def one(self) -> Any:
        """The number, as a NumPy scalar."""
        return self[(0,) * self.ndim]

    def astype(self, dtype: npt.DTypeLike, *args: Any, **kwargs: Any) -> Any:
        """The stub in another dtype."""
        return Stub.of(np.asarray(self.one).astype(dtype), self.shape)

    def flatten(self, order: Any = "C") -> Any:
        """The stub with one axis."""
        return Stub.of(self.one, (self.size,))

    def __getitem__(self, index: Any) -> Any:
        places = index if isinstance(index, tuple) else (index,)
        if any(isinstance(each, _Everywhere) for each in places):
            return self.flatten()[: self.size if places[0].holds else 0]
        return super().__getitem__(index)

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **kwargs: Any) -> Any:
        plain = [each.one if isinstance(each, Stub) else each for each in inputs]
        if method == "__call__" and "out" not in kwargs and all(np.ndim(each) == 0 for each in plain):
            value = ufunc(*plain, **kwargs)
            shape = np.broadcast_shapes(*(np.shape(each) for each in inputs))
            return Stub.of(value, shape) if isinstance(value, np.generic | np.ndarray) else value
        whole = kwargs.get("axis") is None and kwargs.get("out") in (None, (None,))
        if method == "reduce" and ufunc.__name__ in _IDEMPOTENT and whole and self.size:
            kept = {key: each for key, each in kwargs.items() if key in ("initial", "dtype")}
            return ufunc.reduce(np.array([plain[0]]), **kept)
        return getattr(ufunc, method)(*(_plain(each) for each in inputs), **kwargs)

    def __array_function__(self, func: Any, types: Any, args: Any, kwargs: Any) -> Any:
        if func is np.where and len(args) == 1 and not kwargs:
            return (_Everywhere(bool(args[0].one)),)
        return super().__array_function__(func, types, args, kwargs)


class _Everywhere:
    """The places where a condition on a stub holds: all of them, or none."""

    def __init__(self, holds: bool) -> None:
        self.holds = holds


def _plain(value: Any) -> Any:
    return value.view(np.ndarray) if isinstance(value, Stub) else value
