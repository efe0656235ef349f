"""Rank-biased overlap, extrapolated (RBO_ext): agreement of two lists of which the top weighs most.

With l ids in the longer and s in the shorter list, X_d of them common to both prefixes of length d:

    RBO_ext = (1 - p) / p · [ Σ_{d=1..l} X_d / d · p^d + Σ_{d=s+1..l} X_s (d - s) / (s d) · p^d ]
              + [ (X_l - X_s) / l + X_s / s ] · p^l

Of the variants (minimum, residual, extrapolated) this is the point estimate that takes the agreement seen
so far to go on below the lists' ends; equal lists give 1. Lists have no ties, the order of ids having
broken them. -1 stands for nothing and fills a list's end; two empty lists give 1, one empty list 0.
Source: Webber, Moffat and Zobel, A similarity measure for indefinite rankings, ACM TOIS 2010, equation
32.
"""

from __future__ import annotations

import numpy as np

from pocketrec.validate.measure.metrics.ranks import Doubles, Lists

PERSISTENCE = 0.9  # the first ten places have 86 % of the weight
_CELLS = 1 << 22  # comparisons of ids at a time


def rank_biased_overlap(left: Lists, right: Lists, *, p: float = PERSISTENCE) -> Doubles:
    """RBO_ext per row of `[rows, k]`, 0 to 1, float64 `[rows]`; ids of a row differ."""
    step = max(1, _CELLS // max(1, left.shape[1] * right.shape[1]))
    cuts = range(0, len(left), step)
    parts = [_extrapolated(left[each : each + step], right[each : each + step], p) for each in cuts]
    return np.concatenate(parts) if parts else np.zeros(0)


def _extrapolated(left: Lists, right: Lists, p: float) -> Doubles:
    sizes = np.stack([(left >= 0).sum(axis=1), (right >= 0).sum(axis=1)])
    short, long = sizes.min(axis=0), sizes.max(axis=0)
    deepest = max(left.shape[1], right.shape[1])
    depth = np.arange(1, deepest + 1)
    common = _common(left, right, deepest)
    last = np.take_along_axis(common, np.maximum(long - 1, 0)[:, None], axis=1)[:, 0]
    middle = np.where(
        short > 0, np.take_along_axis(common, np.maximum(short - 1, 0)[:, None], axis=1)[:, 0], 0
    )
    lower = np.maximum(short, 1)
    beyond = np.maximum(depth - short[:, None], 0) * (middle / lower)[:, None]  # as if agreement went on
    weights = np.where(depth <= long[:, None], p**depth / depth, 0.0)
    summed = (1 - p) / p * ((common + beyond) * weights).sum(axis=1)
    rest = ((last - middle) / np.maximum(long, 1) + middle / lower) * p**long
    return np.where(long == 0, 1.0, summed + rest)


def _common(left: Lists, right: Lists, deepest: int) -> Doubles:
    """How many ids both prefixes of each length share, `[rows, deepest]`."""
    same = (left[:, :, None] == right[:, None, :]) & (left[:, :, None] >= 0)
    row, one, two = np.nonzero(same)
    counts = np.bincount(row * deepest + np.maximum(one, two), minlength=len(left) * deepest)
    return np.cumsum(counts.reshape(len(left), deepest), axis=1).astype(np.float64)
