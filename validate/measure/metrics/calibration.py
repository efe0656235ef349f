"""Calibration error: how far probabilities are from the shares of ones among rows that have them.

    ECE = Σ_b |b| / n · |mean label of b - mean probability of b|

over bins b of equal width (a probability on an edge belongs to the bin above it, 1 to the last), or,
adaptive, over bins of equal numbers of rows in the order of their probabilities. Ties: rows of equal
probability count with their mean label, so that no order among them matters where a bin ends within them.
Both are means of values of rows, ±(label - probability) with the sign of their bin's sum, so changes have
intervals as those of other means. The signs are taken as given: where a bin's sum is no more than chance, a
resample could turn them, and the interval is that of the rows at hand.
Sources: Naeini, Cooper and Hauskrecht, AAAI 2015; Guo et al., On calibration of modern neural networks,
ICML 2017 (equal width, 15 bins); Nguyen and O'Connor, EMNLP 2015 (adaptive).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Doubles = npt.NDArray[np.float64]
BINS = 15


def calibration_error(
    probabilities: npt.NDArray[Any], labels: npt.NDArray[Any], *, bins: int = BINS
) -> float:
    """ECE with bins of equal width, 0 to 1; NaN where a probability is NaN, or there are no rows."""
    return _mean(calibration_values(probabilities, labels, bins=bins))


def adaptive_calibration_error(
    probabilities: npt.NDArray[Any], labels: npt.NDArray[Any], *, bins: int = BINS
) -> float:
    """ECE with bins of as equal numbers of rows as can be, 0 to 1; NaN as above."""
    return _mean(adaptive_calibration_values(probabilities, labels, bins=bins))


def calibration_values(
    probabilities: npt.NDArray[Any], labels: npt.NDArray[Any], *, bins: int = BINS
) -> Doubles:
    """A number a row, `[rows]`, whose mean is the ECE with bins of equal width; NaN where a chance is."""
    p, y = probabilities.astype(np.float64), labels.astype(np.float64)
    if np.isnan(p).any():
        return np.full(len(p), np.nan)
    place = np.clip(np.floor(p * bins), 0, bins - 1).astype(np.int64)
    gaps = np.bincount(place, y, bins) - np.bincount(place, p, bins)
    values: Doubles = np.sign(gaps)[place] * (y - p)
    return values


def adaptive_calibration_values(
    probabilities: npt.NDArray[Any], labels: npt.NDArray[Any], *, bins: int = BINS
) -> Doubles:
    """The same of bins of equal numbers of rows; a row counts with the mean label of its probability."""
    p = probabilities.astype(np.float64)
    if np.isnan(p).any():
        return np.full(len(p), np.nan)
    values, owner, counts = np.unique(p, return_inverse=True, return_counts=True)
    shares = np.bincount(owner, labels.astype(np.float64), len(counts)) / counts
    gaps = np.repeat(shares - values, counts)  # in the order of the probabilities
    signed = [np.sign(each.sum()) * each for each in np.array_split(gaps, bins)]
    found = np.empty(len(p))
    found[np.argsort(p, kind="stable")] = np.concatenate(signed)
    return found


def _mean(values: Doubles) -> float:
    return float(values.mean()) if len(values) else float("nan")
