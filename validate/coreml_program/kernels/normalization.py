"""Kernels that normalize: batch_norm, instance_norm, l2_norm, layer_norm, local_response_norm."""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from typing import Any

import numpy as np
import numpy.typing as npt

from pocketrec.errors import ExecutionError

Array = npt.NDArray[Any]


def _per_channel(values: Array, rank: int) -> Array:
    return np.asarray(values).reshape((1, -1) + (1,) * (rank - 2))


def _affine(y: Array, gamma: Array | None, beta: Array | None) -> Array:
    if gamma is not None:
        y = y * gamma
    return y if beta is None else y + beta


def batch_norm(
    x: Array,
    mean: Array,
    variance: Array,
    gamma: Array | None = None,
    beta: Array | None = None,
    epsilon: Any = 1e-5,
) -> Array:
    """`gamma · (x - mean) / sqrt(variance + epsilon) + beta`, per channel (axis 1)."""
    scale = 1.0 / np.sqrt(np.asarray(variance) + epsilon)
    if gamma is not None:
        scale = scale * gamma
    shift: Array = -np.asarray(mean) * scale
    if beta is not None:
        shift = shift + beta
    y: Array = x * _per_channel(scale, x.ndim) + _per_channel(shift, x.ndim)
    return y


def _standardize(x: Array, axes: tuple[int, ...], epsilon: Any) -> Array:
    count = np.float32(prod(x.shape[axis] for axis in axes))
    centred: Array = x - np.add.reduce(x, axis=axes, keepdims=True) / count
    variance = np.add.reduce(np.square(centred), axis=axes, keepdims=True) / count
    centred /= np.sqrt(variance + epsilon)
    return centred


def instance_norm(
    x: Array, gamma: Array | None = None, beta: Array | None = None, epsilon: Any = 1e-5
) -> Array:
    """`x` standardized over its spatial axes per sample and channel, then scaled by gamma, moved by beta."""
    normal = _standardize(x, tuple(range(2, x.ndim)), epsilon)
    scale = None if gamma is None else _per_channel(gamma, x.ndim)
    return _affine(normal, scale, None if beta is None else _per_channel(beta, x.ndim))


def layer_norm(
    x: Array,
    axes: Array | None = None,
    gamma: Array | None = None,
    beta: Array | None = None,
    epsilon: Any = 1e-5,
) -> Array:
    """`x` standardized over `axes` (default all), times gamma, plus beta, both of shape `x.shape[axes]`.

    Where `axes` is None, coremltools' value inference takes the sizes of `x` for axes; the
    documented meaning, all axes, is computed here.
    """
    wanted = range(x.ndim) if axes is None else (int(axis) % x.ndim for axis in np.asarray(axes).reshape(-1))
    places = tuple(sorted(wanted))
    shape = [size if axis in places else 1 for axis, size in enumerate(x.shape)]
    scale = None if gamma is None else np.asarray(gamma).reshape(shape)
    return _affine(_standardize(x, places, epsilon), scale, None if beta is None else beta.reshape(shape))


def l2_norm(x: Array, epsilon: Any = 1e-6) -> Array:
    """`x` divided by sqrt(sum of squares over the last three axes + epsilon)."""
    if x.ndim < 3:
        raise ExecutionError(f"x has rank {x.ndim}; l2_norm needs at least 3")
    y: Array = x / np.sqrt(np.square(x).sum(axis=(-3, -2, -1), keepdims=True) + epsilon)
    return y


def local_response_norm(x: Array, size: Any, alpha: Any = 1e-4, beta: Any = 0.75, k: Any = 1.0) -> Array:
    """`x / (k + alpha/size · sum of squares over size neighbouring channels) ** beta`.

    For an even size the window reaches one channel further to the front, as in PyTorch.
    """
    width = int(size)
    pads = [(0, 0)] * x.ndim
    pads[1] = (width // 2, (width - 1) // 2)
    squares = np.pad(np.square(x), pads)
    total = sum(squares[:, offset : offset + x.shape[1]] for offset in range(width))
    y: Array = x / np.power(k + (alpha / width) * total, beta)
    return y


KERNELS: dict[str, Callable[..., Any]] = {
    "batch_norm": batch_norm,
    "instance_norm": instance_norm,
    "l2_norm": l2_norm,
    "layer_norm": layer_norm,
    "local_response_norm": local_response_norm,
}
