"""Lloyd's algorithm: on numbers by prefix sums over their sorted order, on vectors in plain form.

Lloyd (1982), "Least squares quantization in PCM". On sorted numbers the nearest-centre regions
are intervals, so one iteration is a binary search per centre instead of a pass over the data.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Doubles = npt.NDArray[np.float64]
_ITERATIONS = 60
_VECTORS_PER_CENTRE = 64  # more of them move a centre by less than its rounding to float16
_LEAST_FALL = 0.001  # of the error in an iteration on vectors: what is left comes to some hundredths of a dB
_AT_ONCE = 1 << 10  # vectors: their distances to 256 centres stay in the cache


def centres_of_numbers(
    values: npt.NDArray[Any], count: int, *, weights: npt.NDArray[Any] | None = None, pin_zero: bool = False
) -> Doubles:
    """At most `count` centres of least weighted squared error found, rising, float64 `[count]`.

    Started from quantiles and from an even grid; the better end is taken.

    Args:
        values: any shape.
        count: how many centres.
        weights: one per value; all alike where it is None.
        pin_zero: keep one centre at exactly zero.
    """
    flat = np.asarray(values, np.float64).ravel()
    order = np.argsort(flat, kind="stable")
    ordered = flat[order]
    weight = np.ones_like(ordered) if weights is None else np.asarray(weights, np.float64).ravel()[order]
    sums = _prefix_sums(ordered, weight)
    starts: tuple[Doubles, ...] = (
        _quantiles(ordered, sums[0], count),
        np.linspace(ordered[0], ordered[-1], 2 * count + 1)[1::2],
    )
    ends = [_iterate(ordered, sums, start, pin_zero) for start in starts]
    return min(ends, key=lambda centres: _cost(ordered, sums, centres))


def _prefix_sums(ordered: Doubles, weight: Doubles) -> tuple[Doubles, Doubles, Doubles]:
    """Weight, weighted sum and weighted square of everything before each place."""
    parts = (weight, weight * ordered, weight * ordered**2)
    mass, first, second = (np.concatenate(([0.0], np.cumsum(each))) for each in parts)
    return mass, first, second


def _quantiles(ordered: Doubles, mass: Doubles, count: int) -> Doubles:
    """The values at `count` even steps of the weight."""
    levels = mass[-1] * (np.arange(count) + 0.5) / count
    places = np.searchsorted(mass[1:], levels)
    found: Doubles = ordered[np.minimum(places, len(ordered) - 1)]
    return found


def _edges(ordered: Doubles, centres: Doubles) -> npt.NDArray[np.intp]:
    inner = np.searchsorted(ordered, (centres[1:] + centres[:-1]) / 2)
    return np.concatenate(([0], inner, [len(ordered)])).astype(np.intp)


def _iterate(
    ordered: Doubles, sums: tuple[Doubles, Doubles, Doubles], centres: Doubles, pin_zero: bool
) -> Doubles:
    centres = _pinned(np.sort(centres), pin_zero)
    mass, first, _ = sums
    for _ in range(_ITERATIONS):
        edges = _edges(ordered, centres)
        share = np.diff(mass[edges])
        means = np.diff(first[edges]) / np.where(share > 0, share, 1.0)
        moved = _pinned(np.sort(np.where(share > 0, means, centres)), pin_zero)
        if np.array_equal(moved, centres):
            break
        centres = moved
    return centres


def _pinned(centres: Doubles, pin_zero: bool) -> Doubles:
    if pin_zero:
        centres = centres.copy()
        centres[np.argmin(np.abs(centres))] = 0.0
    return centres


def _cost(ordered: Doubles, sums: tuple[Doubles, Doubles, Doubles], centres: Doubles) -> float:
    edges = _edges(ordered, centres)
    mass, first, second = (np.diff(each[edges]) for each in sums)
    return float((second - 2 * centres * first + centres**2 * mass).sum())


def nearest_number(
    values: npt.NDArray[np.float32], centres: npt.NDArray[np.float32]
) -> npt.NDArray[np.uint8]:
    """The place of the nearest centre for each value; `centres` rise. A value halfway goes up."""
    middles = (centres[1:] + centres[:-1]) / 2
    return np.searchsorted(middles, values, side="right").astype(np.uint8)


def centres_of_vectors(
    vectors: npt.NDArray[np.float32],
    count: int,
    *,
    weights: npt.NDArray[Any] | None = None,
    pin_zero: bool = False,
) -> npt.NDArray[np.float32]:
    """`count` centres of `vectors` `[n, width]`, float32 `[count, width]`.

    A centre that serves nothing moves to the vector that is served worst.

    Args:
        vectors: what is clustered.
        count: how many centres.
        weights: one per vector; all alike where it is None.
        pin_zero: keep centre 0 at exactly zero.
    """
    weight = np.ones(len(vectors)) if weights is None else np.asarray(weights, np.float64)
    step = max(1, -(-len(vectors) // (_VECTORS_PER_CENTRE * count)))
    vectors, weight = vectors[::step], weight[::step]
    rng = np.random.default_rng(0)  # fixed: the same values give the same codebook
    chosen = rng.choice(len(vectors), size=count, replace=len(vectors) < count)
    centres, before = vectors[chosen].astype(np.float32), np.inf
    if pin_zero:
        centres[0] = 0
    for _ in range(_ITERATIONS):
        codes, distance = _nearest_by_product(vectors, centres)
        error = float(weight @ distance)
        if before - error <= _LEAST_FALL * error:
            break
        before = error
        centres = _means(vectors, codes, weight, centres, distance)
        if pin_zero:
            centres[0] = 0
    return centres


def _nearest_by_product(
    vectors: npt.NDArray[np.float32], centres: npt.NDArray[np.float32]
) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.float32]]:
    """As `nearest_vector`, by one matrix product: fast, and good enough while centres still move."""
    codes = np.empty(len(vectors), np.intp)
    distance = np.square(vectors).sum(axis=1)
    lengths, doubled = np.square(centres).sum(axis=1), np.ascontiguousarray(-2 * centres.T)
    for start in range(0, len(vectors), _AT_ONCE):
        part = slice(start, start + _AT_ONCE)
        total = vectors[part] @ doubled + lengths
        codes[part] = total.argmin(axis=1)
        distance[part] += total[np.arange(len(total)), codes[part]]
    return codes, distance


def _means(
    vectors: npt.NDArray[np.float32],
    codes: npt.NDArray[np.intp],
    weight: Doubles,
    centres: npt.NDArray[np.float32],
    distance: npt.NDArray[np.float32],
) -> npt.NDArray[np.float32]:
    count = len(centres)
    mass = np.bincount(codes, weight, count)
    sums = np.stack(
        [np.bincount(codes, weight * column, count) for column in vectors.T.astype(np.float64)], axis=1
    )
    moved = np.where(mass[:, None] > 0, sums / np.where(mass > 0, mass, 1)[:, None], centres)
    empty = np.flatnonzero(mass == 0)
    if len(empty):
        farthest = np.argsort(-distance * weight, kind="stable")[: len(empty)]
        moved[empty[: len(farthest)]] = vectors[farthest]
    return moved.astype(np.float32)


def nearest_vector(
    vectors: npt.NDArray[np.float32], centres: npt.NDArray[np.float32]
) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.float32]]:
    """The nearest centre's number, uint8 `[n]`, and its squared distance, float32 `[n]`.

    Summed column by column, so that the result does not depend on how many vectors come at once.
    """
    codes = np.empty(len(vectors), np.uint8)
    distances = np.empty(len(vectors), np.float32)
    for start in range(0, len(vectors), _AT_ONCE):
        part = vectors[start : start + _AT_ONCE]
        total = np.zeros((len(part), len(centres)), np.float32)
        for column in range(vectors.shape[1]):
            total += np.square(part[:, column, None] - centres[None, :, column])
        codes[start : start + len(part)] = total.argmin(axis=1)
        distances[start : start + len(part)] = total.min(axis=1)
    return codes, distances
