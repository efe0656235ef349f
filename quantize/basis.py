"""Coordinates of rows that are independent and count alike, so that codes go where they tell most.

What counts of a row's error e is e · H · e, with H from `Usage.moment`, or e · e where nobody knows it. In
the coordinates f of

    row = f · B        B = Vᵀ H^-½, V the eigenvectors of what H^½ · rows vary by

an error counts as its square, and no coordinate says anything of another. How many bits each is worth follows
from its variance ("reverse water-filling": Cover and Thomas, 2006, "Elements of information theory", 10.3).
Vectors are filled so that each has as many bits to give as any other: the first coordinates go with the last.

Ge et al. (2014), "Optimized product quantization", has the filling, for H = 1 and vectors of one variance.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pocketrec.errors import PlanError
from pocketrec.quantize.tensor import Array, Floats
from pocketrec.quantize.tiled import tiled

_LEAST = 1e-12  # of the largest variance: of rows that are all alike


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Basis:
    """A basis as it is stored, and the way into it.

    Attributes:
        stored: float16 `[coordinates, columns]`; rows of zeros where no coordinate is.
        into: its inverse, float32 `[columns, coordinates]`.
    """

    stored: Array
    into: Floats

    def coordinates(self, rows: Floats) -> Floats:
        """The coordinates of rows, float32 `[n, coordinates]`, each row for itself; zeros stay zeros."""
        return tiled(rows, self.into)


def basis_of(name: str, stored: Array) -> Basis:
    """A basis that is stored; PlanError where its rows are no basis."""
    wide = stored.astype(np.float64)
    used = wide.any(axis=1)
    into = np.zeros(wide.shape[::-1], np.float32)
    try:
        into[:, used] = np.linalg.inv(wide[used])
    except np.linalg.LinAlgError as error:
        raise PlanError(
            f"{name}: its principal components are none in float16; use basis = 'columns'"
        ) from error
    return Basis(stored=stored, into=into)


def principal_basis(
    name: str,
    rows: Floats,
    *,
    weights: Array | None,
    metric: Array | None,
    vectors: int,
    width: int,
    bits: int,
) -> Basis:
    """The basis for codes of some rows.

    Args:
        name: of the tensor, for messages.
        rows: float32 `[n, columns]`.
        weights: how much each row counts; all alike where it is None, or where none counts.
        metric: H, positive definite; None where all columns count alike.
        vectors: of a row, which have places for all columns together.
        width: coordinates of a vector.
        bits: of a vector's code.

    Raises:
        PlanError: the components cannot be told apart in float16.
    """
    columns = rows.shape[1]
    root, back = _roots(np.eye(columns) if metric is None else metric)
    weight = np.ones(len(rows)) if weights is None or not weights.any() else weights.astype(np.float64)
    wide = rows.astype(np.float64) @ root
    varying, vectors_of = np.linalg.eigh((wide * weight[:, None]).T @ wide / weight.sum())
    falling = np.argsort(-varying, kind="stable")
    components = (back @ vectors_of[:, falling]).T
    places = _places(np.maximum(varying[falling], 0), vectors, width, bits)
    basis = np.zeros((vectors * width, columns))
    basis[places] = components / float(np.abs(components).max())  # so none is beyond float16
    return basis_of(name, basis.astype(np.float16))


def _roots(metric: Array) -> tuple[Array, Array]:
    """The symmetric root of a metric, and its inverse."""
    values, vectors = np.linalg.eigh(metric)
    lengths = np.sqrt(np.maximum(values, _LEAST * values.max()))
    return (vectors * lengths) @ vectors.T, (vectors / lengths) @ vectors.T


def _places(variances: Array, vectors: int, width: int, bits: int) -> Array:
    """The place of each coordinate among `vectors * width`, for variances that fall."""
    rates = _rates(variances, vectors * bits)
    filled, given = np.zeros(vectors, np.int64), np.zeros(vectors)
    places = np.empty(len(variances), np.int64)
    for each, rate in enumerate(rates):
        vector = int(np.where(filled < width, given, np.inf).argmin())
        places[each] = vector * width + filled[vector]
        filled[vector] += 1
        given[vector] += rate
    return places


def _rates(variances: Array, total: int) -> Array:
    """The bits that each coordinate is worth, of `total`, for variances that fall: reverse water-filling."""
    largest = float(variances[0]) or 1.0
    levels = np.log2(np.maximum(variances / largest, _LEAST))
    water = (np.cumsum(levels) - 2 * total) / np.arange(1, len(levels) + 1)
    count = int(np.flatnonzero(levels > water)[-1]) + 1
    rates: Array = np.maximum(0.0, (levels - water[count - 1]) / 2)
    return rates
