"""Rounding with error feedback: what one column loses is made up for by the columns after it.

Of all codes near a row w the nearest are not the best ones: what counts is that the outputs move
little, e H e for the row's error e, with H from `Usage.moment`. Columns are rounded one by one, those
that matter most first, and after each the remaining ones move to where they cancel its error best:

    w[j + 1:] -= (w[j] - rounded[j]) · U[j, j + 1:] / U[j, j],    U = cholesky(H⁻¹), upper

Frantar et al. (2023), "GPTQ", arXiv 2210.17323, with the order of columns by falling diagonal and
damping of H by a hundredth of its mean diagonal, as in the authors' implementation. There H holds the
inputs of a layer; ours holds gradients of the outputs, so tables that are only looked up have one too.

Rows do not depend on each other, and each is computed by operations that do not depend on how many
come at once.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from pocketrec.errors import PlanError
from pocketrec.quantize.tensor import Array, Floats
from pocketrec.quantize.usage import Rounding, Usage

# (numbers `[n]`, which rows they are of, their column) to their codes and what these stand for, `[n]` each.
Nearest = Callable[[Floats, slice, int], tuple[Array, Floats]]

MAX_COLUMNS = 4096  # the moment of more is larger than the matrices that have so many
_DAMPING = 0.01
_TILE_ROWS = 4096
_BLOCK = 64  # columns that are updated one by one before the rest is updated by a product
_PRODUCT_ROWS = 64  # of every such product, so that a row's sums do not depend on its neighbours


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Feedback:
    """What a column's error does to the columns after it.

    Attributes:
        order: the columns in the order in which they are rounded, int `[columns]`.
        shares: float32 `[columns, columns]`, both axes in that order, above the diagonal: how far a later
            column moves for an error of one in an earlier one.
    """

    order: Array
    shares: Floats

    def encode(self, rows: Floats, nearest: Nearest) -> Array:
        """The codes of `rows`, `[n, columns]`, of the dtype that `nearest` gives."""
        parts = [
            self._tile(rows[start : start + _TILE_ROWS], start, nearest)
            for start in range(0, len(rows), _TILE_ROWS)
        ]
        return np.concatenate(parts)

    def _tile(self, rows: Floats, start: int, nearest: Nearest) -> Array:
        columns, chosen = len(self.order), slice(start, start + len(rows))
        waiting = np.ascontiguousarray(rows.T[self.order])
        codes: list[Array] = []
        for first in range(0, columns, _BLOCK):
            last = min(first + _BLOCK, columns)
            errors = np.empty((last - first, len(rows)), np.float32)
            for column in range(first, last):
                code, value = nearest(waiting[column], chosen, int(self.order[column]))
                codes.append(code)
                error = errors[column - first] = waiting[column] - value
                waiting[column + 1 : last] -= self.shares[column, column + 1 : last, None] * error
            waiting[last:] -= _product(self.shares[first:last, last:], errors)
        found = np.empty((len(rows), columns), codes[0].dtype)
        found[:, self.order] = np.stack(codes, axis=1)
        return found


def _product(shares: Floats, errors: Floats) -> Floats:
    """`shares.T @ errors`, in products of one size: how a library sums depends on the size."""
    rows = errors.shape[1]
    if not shares.shape[1]:
        return np.zeros((0, rows), np.float32)
    padded = np.zeros((len(errors), -(-rows // _PRODUCT_ROWS) * _PRODUCT_ROWS), np.float32)
    padded[:, :rows] = errors
    parts = [
        shares.T @ np.ascontiguousarray(padded[:, place : place + _PRODUCT_ROWS])
        for place in range(0, padded.shape[1], _PRODUCT_ROWS)
    ]
    dense: Floats = np.concatenate(parts, axis=1)[:, :rows]
    return dense


def feedback_of(name: str, rounding: Rounding, usage: Usage) -> Feedback | None:
    """The feedback for a tensor; None where each number is rounded for itself; raises as `damped_moment`."""
    damped = damped_moment(name, rounding, usage)
    if damped is None:
        return None
    order = np.argsort(-np.diagonal(np.asarray(usage.moment, np.float64)), kind="stable")
    upper = np.linalg.cholesky(np.linalg.inv(damped[np.ix_(order, order)])).T
    shares = np.triu(upper / np.diagonal(upper)[:, None], 1).astype(np.float32)
    return Feedback(order=order, shares=shares)


def damped_moment(name: str, rounding: Rounding, usage: Usage) -> Array | None:
    """The moment that feedback rests on, of mean diagonal 1 and damped; None where there is no feedback.

    Codes that are distilled begin with feedback where there can be some.

    Raises:
        PlanError: feedback is asked for, and nobody knows the moment, or it is not finite.
    """
    if rounding == "nearest" or (rounding == "distilled" and usage.moment is None):
        return None
    if usage.moment is None:
        raise PlanError(
            f"{name}: rounding = 'feedback' needs gradients of the evaluated outputs, and there are none "
            "for this tensor; use rounding = 'nearest'"
        )
    moment = np.asarray(usage.moment, np.float64)
    if not np.isfinite(moment).all():
        raise PlanError(
            f"{name}: gradients of the evaluated outputs are not finite, and rounding = 'feedback' rests on "
            "them; use rounding = 'nearest'"
        )
    damped: Array = moment / (float(np.diagonal(moment).mean()) or 1.0) + _DAMPING * np.eye(len(moment))
    return damped


def output_noise(moment: Array, errors: Floats) -> float:
    """How far errors of all rows, `[rows, columns]`, move the outputs: the sum of e · moment · e."""
    gram = errors.astype(np.float64).T @ errors.astype(np.float64)
    return float((gram * moment).sum())
