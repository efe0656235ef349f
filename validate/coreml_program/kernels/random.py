"""Kernels that draw: random_bernoulli, random_categorical, random_normal, random_uniform.

A seed other than -1 gives the same values at every run of the op; without one they come from the
run's own generator. The values are not those that Core ML draws from the same seed.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from pocketrec.errors import ExecutionError

Array = npt.NDArray[Any]


def _generator(seed: Any, op: Any) -> np.random.Generator:
    if int(seed) != -1:
        return np.random.default_rng(int(seed) & 0xFFFFFFFF)
    generator: np.random.Generator = op.rng
    return generator


def _shape(shape: Array) -> tuple[int, ...]:
    return tuple(int(size) for size in np.asarray(shape).reshape(-1))


def random_bernoulli(shape: Array, prob: Any = 0.5, seed: Any = -1, *, op: Any) -> Array:
    """Ones with probability `prob`, else zeros, in `shape`."""
    return (_generator(seed, op).random(_shape(shape)) < float(prob)).astype(np.float32)


def random_normal(shape: Array, mean: Any = 0.0, stddev: Any = 1.0, seed: Any = -1, *, op: Any) -> Array:
    """Normally distributed values in `shape`."""
    drawn = _generator(seed, op).standard_normal(_shape(shape), dtype=np.float32)
    return drawn * np.float32(stddev) + np.float32(mean)


def random_uniform(shape: Array, low: Any = 0.0, high: Any = 1.0, seed: Any = -1, *, op: Any) -> Array:
    """Values spread evenly over [low, high) in `shape`."""
    drawn = _generator(seed, op).random(_shape(shape), dtype=np.float32)
    return drawn * np.float32(high - low) + np.float32(low)


def random_categorical(x: Array, mode: str = "logits", size: Any = 1, seed: Any = -1, *, op: Any) -> Array:
    """`size` classes drawn with replacement per distribution of the last axis, [*x.shape[:-1], size]."""
    if mode not in ("logits", "probs"):
        raise ExecutionError(f"mode {str(mode)!r} is not known; expected logits or probs")
    weights = x.astype(np.float64)
    if mode == "logits":
        weights = np.exp(weights - weights.max(axis=-1, keepdims=True))
    cumulative = np.cumsum(weights, axis=-1).reshape(-1, x.shape[-1])
    draws = _generator(seed, op).random((len(cumulative), int(size))) * cumulative[:, -1:]
    rows = [np.searchsorted(edges, draw, side="right") for edges, draw in zip(cumulative, draws, strict=True)]
    classes: Array = np.minimum(np.array(rows).reshape(*x.shape[:-1], int(size)), x.shape[-1] - 1)
    return classes.astype(np.float32)


KERNELS: dict[str, Callable[..., Any]] = {
    "random_bernoulli": random_bernoulli,
    "random_categorical": random_categorical,
    "random_normal": random_normal,
    "random_uniform": random_uniform,
}
