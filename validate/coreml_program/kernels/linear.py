"""Kernels of matrix products: linear, matmul, einsum."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from pocketrec.errors import ExecutionError
from pocketrec.validate.coreml_program.constants import LongConstant

Array = npt.NDArray[Any]


def linear(x: Array, weight: Array | LongConstant, bias: Array | None = None, *, op: Any = None) -> Array:
    """`x · weightᵀ + bias` for `weight` [D_out, D_in] and `x` [*, D_in]."""
    if x.shape[-1] != weight.shape[-1]:
        raise ExecutionError(f"x {list(x.shape)} does not fit weight {list(weight.shape)} in the last axis")
    turned = weight.swapped() if isinstance(weight, LongConstant) else weight.T
    result = _by_blocks(x, turned, op) if isinstance(turned, LongConstant) else product(x, turned, op)
    return result if bias is None else result + bias


def matmul(
    x: Array | LongConstant,
    y: Array | LongConstant,
    transpose_x: bool = False,
    transpose_y: bool = False,
    *,
    op: Any = None,
) -> Array:
    """`x · y` over the last two axes, the others broadcast; transposing a vector changes nothing."""
    left, right = _turned(x, transpose_x), _turned(y, transpose_y)
    if left.shape[-1] != right.shape[-2 if right.ndim > 1 else -1]:
        raise ExecutionError(f"x {list(left.shape)} and y {list(right.shape)} do not multiply")
    if isinstance(left, LongConstant) or isinstance(right, LongConstant):
        return _by_blocks(left, right, op)
    return product(left, right, op)


def _turned(x: Array | LongConstant, transpose: bool) -> Array | LongConstant:
    if not transpose or x.ndim < 2:
        return x
    if isinstance(x, LongConstant):
        return x.swapped() if x.ndim == 2 else x.whole().swapaxes(-1, -2)
    return x.swapaxes(-1, -2)


def _by_blocks(left: Array | LongConstant, right: Array | LongConstant, op: Any) -> Array:
    """`left @ right` with a table among them, dequantized for a block of the result after the other."""
    tables = [each for each in (left, right) if isinstance(each, LongConstant)]
    if len(tables) == 1 and tables[0].ndim == 2:
        if isinstance(right, LongConstant) and right.axis == 1 and not isinstance(left, LongConstant):
            result = np.empty((*left.shape[:-1], right.shape[1]), np.float32)
            for place, block in right.blocks():
                result[..., place] = product(left, block, op)
            return result
        if (
            isinstance(left, LongConstant)
            and left.axis == 0
            and not isinstance(right, LongConstant)
            and right.ndim <= 2
        ):
            result = np.empty((left.shape[0], *right.shape[1:]), np.float32)
            for place, block in left.blocks():
                result[place] = product(block, right, op)
            return result
    whole = [each.whole() if isinstance(each, LongConstant) else each for each in (left, right)]
    return product(whole[0], whole[1], op)


def product(left: Array, right: Array, op: Any = None) -> Array:
    """`left @ right`; where `op` asks for it, the partial sums are rounded to float16 at every step."""
    if op is None or op.accumulation != "float16" or op.output_types[0].dtype != "float16":
        result: Array = np.matmul(left, right)
        return result
    rows = left[None, :] if left.ndim == 1 else left
    columns = right[:, None] if right.ndim == 1 else right
    total: Array = _half_sum(rows, columns)
    if left.ndim == 1:
        total = total[..., 0, :]
    return total[..., 0] if right.ndim == 1 else total


def _half_sum(rows: Array, columns: Array) -> Array:
    batch = np.broadcast_shapes(rows.shape[:-2], columns.shape[:-2])
    total: Array = np.zeros((*batch, rows.shape[-2], columns.shape[-1]), dtype=np.float32)
    for k in range(rows.shape[-1]):
        term = rows[..., :, k, None] * columns[..., None, k, :]
        total = (total + term).astype(np.float16).astype(np.float32)
    return total


# Equations by the axes of (first, second, result), labels numbered as they first appear.
_EQUATIONS = {"0123,0324->0124", "012,213->013"}


def einsum(values: list[Array], equation: str, *, op: Any = None) -> Array:
    """[*D, C, H, W2] from [*D, C, H, W1] and [*D, W1, H, W2]; axes of size 1 in *D and H broadcast.

    These two equations, and those that differ from them in letters only, are all that the op knows.
    """
    letters = str(equation).replace(" ", "")
    seen = "".join(dict.fromkeys(each for each in letters if each.isalpha()))
    if "".join(str(seen.index(each)) if each in seen else each for each in letters) not in _EQUATIONS:
        raise ExecutionError(
            f"equation {str(equation)!r} is not known; expected nchw,nwhu->nchu or chw,whr->chr"
        )
    x, y = values
    if x.shape[-1] != y.shape[-3]:
        raise ExecutionError(f"values {list(x.shape)} and {list(y.shape)} differ in the summed axis")
    return product(x.swapaxes(-3, -2), y.swapaxes(-3, -2), op).swapaxes(-3, -2)


KERNELS: dict[str, Callable[..., Any]] = {"einsum": einsum, "linear": linear, "matmul": matmul}
