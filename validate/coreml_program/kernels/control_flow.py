"""Kernels that branch, loop and choose, and those of lists: cond, while_loop, select, make_list, list_*."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from pocketrec.errors import ExecutionError

Array = npt.NDArray[Any]


class ListValue:
    """A list of tensors of one shape; writing gives a new list, since values of a program never change.

    `shape` is None where an element's sizes are not known before something is written; places that
    were never written read as zeros. The dtype is that of the declared type.
    """

    __slots__ = ("dynamic", "items", "shape")

    def __init__(self, items: list[Array | None], *, shape: tuple[int, ...] | None, dynamic: bool) -> None:
        self.items, self.shape, self.dynamic = items, shape, dynamic

    def __len__(self) -> int:
        return len(self.items)

    def at(self, index: int) -> Array:
        """The element at `index`; raises where it is outside the list, or neither written nor sized."""
        if not 0 <= index < len(self.items):
            raise ExecutionError(f"index {index} is outside a list of {len(self.items)} elements")
        item = self.items[index]
        if item is not None:
            return item
        if self.shape is None:
            raise ExecutionError(f"element {index} was never written, and its shape is not declared")
        return np.zeros(self.shape, dtype=np.float32)

    def with_items(self, indices: list[int], values: list[Array]) -> ListValue:
        """A new list with `values` at `indices`, prolonged as far as they need if it is dynamic."""
        wanted = max(indices, default=-1) + 1
        if min(indices, default=0) < 0 or (wanted > len(self.items) and not self.dynamic):
            worst = min(indices) if min(indices) < 0 else wanted - 1
            raise ExecutionError(f"index {worst} is outside a list of {len(self.items)} elements")
        items = self.items + [None] * (wanted - len(self.items))
        for index, value in zip(indices, values, strict=True):
            items[index] = value
        shape = np.shape(values[0]) if values else self.shape
        return ListValue(items, shape=shape, dynamic=self.dynamic)


def cond(pred: Any, *, op: Any) -> tuple[Any, ...]:
    """What the first nested block gives where `pred` holds, else what the second gives."""
    results: tuple[Any, ...] = op.run_block(0 if bool(np.asarray(pred).reshape(())) else 1, [])
    return results


def while_loop(loop_vars: list[Any], *, op: Any) -> tuple[Any, ...]:
    """The loop variables once the condition (block 0) fails; the body (block 1) replaces them until then."""
    current = tuple(loop_vars)
    while bool(np.asarray(op.run_block(0, current)[0]).reshape(())):
        current = op.run_block(1, current)
    return current


def select(cond: Array, a: Array, b: Array) -> Array:
    """`a` where `cond` holds, else `b`, all three broadcast."""
    return np.where(cond, a, b)


def make_list(
    elem_shape: Any, init_length: Any = 1, dynamic_length: bool = True, dtype: str = "fp32"
) -> ListValue:
    """A list of `init_length` unwritten elements; a str in `elem_shape` is a size that is not known yet."""
    sizes = list(elem_shape)
    if len(sizes) == 1 and isinstance(sizes[0], np.ndarray):
        sizes = list(sizes[0].reshape(-1))
    known = not any(isinstance(size, str) for size in sizes)
    shape = tuple(int(size) for size in sizes) if known else None
    return ListValue([None] * int(init_length), shape=shape, dynamic=bool(dynamic_length))


def list_length(ls: ListValue) -> Array:
    """The number of elements (int32)."""
    return np.array(len(ls), dtype=np.int32)


def list_read(ls: ListValue, index: Any) -> Array:
    """The element at `index`."""
    return ls.at(int(index))


def list_write(ls: ListValue, index: Any, value: Array) -> ListValue:
    """The list with `value` at `index`; a dynamic list grows to hold it."""
    return ls.with_items([int(index)], [value])


def list_gather(ls: ListValue, indices: Array) -> Array:
    """[len(indices), *elem_shape]: the elements at `indices`."""
    if np.size(indices) == 0:
        return np.zeros((0, *(ls.shape or ())), dtype=np.float32)
    return np.stack([ls.at(int(index)) for index in np.asarray(indices).reshape(-1)])


def list_scatter(ls: ListValue, indices: Array, value: Array) -> ListValue:
    """The list with the slices of `value` at `indices`; a dynamic list grows to hold them."""
    places = [int(index) for index in np.asarray(indices).reshape(-1)]
    if len(places) != len(value):
        raise ExecutionError(f"value holds {len(value)} elements for {len(places)} indices")
    return ls.with_items(places, list(value))


KERNELS: dict[str, Callable[..., Any]] = {
    "cond": cond,
    "list_gather": list_gather,
    "list_length": list_length,
    "list_read": list_read,
    "list_scatter": list_scatter,
    "list_write": list_write,
    "make_list": make_list,
    "select": select,
    "while_loop": while_loop,
}
