"""Small systems of linear equations, which bandits solve: elimination step by step, from plain ops.

Neither target has them. A matrix that no input changes is inverted once, when constants are folded; what
is left depends on inputs, such as a bandit's own state.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from pocketrec.convert.rewrite.ops import OpRule

aten = torch.ops.aten

LARGEST = 64  # rows of a matrix; each is a dozen ops in the graph


@dataclass(frozen=True, slots=True, kw_only=True)
class _Eliminated:
    """What Gauss-Jordan elimination with row pivoting made of `[A | B]`.

    Attributes:
        solution: `inverse(A) @ B`, `[..., n, m]`.
        pivots: of each step, `[..., n]`.
        places: the row that was the pivot of each step, `[..., n]`.
    """

    solution: Tensor
    pivots: Tensor
    places: Tensor


def _is_small(matrix: Tensor) -> bool:
    size = matrix.shape[-1] if matrix.ndim > 1 else None
    return isinstance(size, int) and 0 < size <= LARGEST and matrix.dtype in (torch.float32, torch.float64)


def _eliminate(matrix: Tensor, right: Tensor) -> _Eliminated:
    """Rows are not swapped: a row that was a pivot is marked, and the marks put the solution in order."""
    size = matrix.shape[-1]
    both = torch.cat([matrix, right], -1)
    rows = torch.arange(size)
    used = torch.zeros_like(matrix[..., 0], dtype=torch.bool)
    marks, pivots, places = [], [], []
    for step in range(size):
        column = both[..., step]
        place = torch.where(used, -1.0, column.abs()).argmax(-1, keepdim=True)
        mark = rows == place
        row = torch.where(mark.unsqueeze(-1), both, 0.0).sum(-2, keepdim=True)
        pivot = row[..., step : step + 1]
        row = row / pivot
        both = torch.where(mark.unsqueeze(-1), row, both - column.unsqueeze(-1) * row)
        used = torch.logical_or(used, mark)
        marks.append(mark)
        pivots.append(pivot.squeeze(-1))
        places.append(place)
    order = torch.stack(marks, -2).to(both.dtype)
    return _Eliminated(
        solution=order @ both[..., size:],
        pivots=torch.cat(pivots, -1),
        places=torch.cat(places, -1),
    )


def solve(A: Tensor, B: Tensor, *, left: bool = True) -> Any:  # noqa: N803 - their names in PyTorch
    """What torch.linalg.solve gives."""
    if not _is_small(A):
        return NotImplemented
    vector = B.ndim == 1 or (B.ndim == A.ndim - 1 and _same_shape(B.shape, A.shape[:-1]))
    if vector:
        return _eliminate(*_wide(A, B.unsqueeze(-1))).solution.squeeze(-1) if left else NotImplemented
    A, B = _wide(A, B)  # noqa: N806
    return _eliminate(A, B).solution if left else _eliminate(A.mT, B.mT).solution.mT


def _wide(matrix: Tensor, right: Tensor) -> tuple[Tensor, Tensor]:
    """Both with the same leading axes."""
    broadcast: Any = torch.broadcast_shapes
    rows = broadcast(matrix.shape[:-2], right.shape[:-2])
    return matrix.expand(*rows, *matrix.shape[-2:]), right.expand(*rows, *right.shape[-2:])


def _same_shape(one: Sequence[Any], other: Sequence[Any]) -> bool:
    return len(one) == len(other) and all(a == b for a, b in zip(one, other, strict=True))


def inverse(A: Tensor) -> Any:  # noqa: N803
    """What torch.linalg.inv gives."""
    if not _is_small(A):
        return NotImplemented
    return _eliminate(A, torch.eye(A.shape[-1], dtype=A.dtype).expand(A.shape)).solution


def det(A: Tensor) -> Any:  # noqa: N803
    """What torch.linalg.det gives: the product of the pivots, with the sign of their order."""
    if not _is_small(A):
        return NotImplemented
    found = _eliminate(A, A[..., :1])
    return _sign(found.places).to(A.dtype) * found.pivots.prod(-1)


def slogdet(A: Tensor) -> Any:  # noqa: N803
    """What torch.linalg.slogdet gives."""
    if not _is_small(A):
        return NotImplemented
    found = _eliminate(A, A[..., :1])
    sign = _sign(found.places).to(A.dtype) * found.pivots.sign().prod(-1)
    return sign, found.pivots.abs().log().sum(-1)


def logdet(A: Tensor) -> Any:  # noqa: N803
    """What torch.logdet gives: not a number where the determinant is negative."""
    found = slogdet(A)
    return found if found is NotImplemented else torch.where(found[0] < 0, torch.nan, found[1])


def _sign(places: Tensor) -> Tensor:
    """1 for an even permutation, -1 for an odd one."""
    size = places.shape[-1]
    later = torch.ones(size, size).triu(1) > 0
    swapped = torch.logical_and(places.unsqueeze(-1) > places.unsqueeze(-2), later)
    return 1 - 2 * (swapped.to(torch.int32).sum((-2, -1)) % 2)


def cholesky(A: Tensor, *, upper: bool = False) -> Any:  # noqa: N803
    """What torch.linalg.cholesky gives; not a number where the matrix is not positive definite."""
    if not _is_small(A):
        return NotImplemented
    rest = A.triu().mT + A.triu(1) if upper else A.tril() + A.tril(-1).mT
    size, columns = A.shape[-1], []
    for step in range(size):
        column = rest[..., step] / rest[..., step, step : step + 1].sqrt()
        column = column * (torch.arange(size) >= step)
        rest = rest - column.unsqueeze(-1) * column.unsqueeze(-2)
        columns.append(column)
    return torch.stack(columns, -2 if upper else -1)


def solve_triangular(
    A: Tensor,  # noqa: N803
    B: Tensor,  # noqa: N803
    *,
    upper: bool,
    left: bool = True,
    unitriangular: bool = False,
) -> Any:
    """What torch.linalg.solve_triangular gives; the other half of the matrix is not read."""
    if not _is_small(A) or B.ndim < 2:
        return NotImplemented
    A, B = _wide(A, B)  # noqa: N806
    if not left:
        return solve_triangular(A.mT, B.mT, upper=not upper, unitriangular=unitriangular).mT
    size = A.shape[-1]
    found: dict[int, Tensor] = {}
    for step in reversed(range(size)) if upper else range(size):
        row = B[..., step : step + 1, :]
        found[step] = row if unitriangular else row / A[..., step : step + 1, step : step + 1]
        B = B - A[..., step : step + 1] * found[step]  # noqa: N806
    return torch.cat([found[step] for step in range(size)], -2)


def cholesky_solve(input: Tensor, input2: Tensor, upper: bool = False) -> Any:  # noqa: A002
    """What torch.cholesky_solve gives, from the factor `input2`."""
    lower = input2.mT if upper else input2
    half = solve_triangular(lower, input, upper=False)
    return half if half is NotImplemented else solve_triangular(lower.mT, half, upper=True)


_REASON = "no target solves linear equations"

RULES = tuple(
    OpRule(name=name, op=op, replace=replace, reason=_REASON)
    for name, op, replace in (
        ("solve_to_elimination", aten.linalg_solve.default, solve),
        ("inverse_to_elimination", aten.linalg_inv.default, inverse),
        ("inverse_to_elimination", aten.inverse.default, inverse),
        ("det_to_elimination", aten.linalg_det.default, det),
        ("slogdet_to_elimination", aten.linalg_slogdet.default, slogdet),
        ("slogdet_to_elimination", aten.slogdet.default, slogdet),
        ("logdet_to_elimination", aten.logdet.default, logdet),
        ("cholesky_to_columns", aten.linalg_cholesky.default, cholesky),
        ("solve_triangular_to_steps", aten.linalg_solve_triangular.default, solve_triangular),
        ("cholesky_solve_to_steps", aten.cholesky_solve.default, cholesky_solve),
    )
)
