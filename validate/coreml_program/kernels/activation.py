"""Kernels of activations: rectifiers, sigmoids, softmax and their relatives."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from pocketrec.errors import ExecutionError
from pocketrec.validate.coreml_program.kernels.elementwise_unary import erf

Array = npt.NDArray[Any]


def _per_channel(values: Any, rank: int) -> Array:
    """`values`, one per channel (axis 1), ready to broadcast against a tensor of `rank`."""
    given: Array = np.asarray(values)
    return given if given.ndim == 0 else given.reshape((1, -1) + (1,) * (rank - 2))


def clamped_relu(x: Array, alpha: Any, beta: Any) -> Array:
    """`min(x, beta)` where x is not negative, else `min(alpha · x, beta)`."""
    result: Array = np.minimum(np.where(x >= 0, x, x * alpha), beta)
    return result


def elu(x: Array, alpha: Any = 1.0) -> Array:
    """`x` where it is not negative, else `alpha · (exp(x) - 1)`."""
    return np.where(x >= 0, x, alpha * np.expm1(np.minimum(x, 0)))


def gelu(x: Array, mode: str = "EXACT") -> Array:
    """`x` times the normal distribution function of `x`, exact or by tanh or by sigmoid."""
    if mode == "EXACT":
        weight = 0.5 * (1.0 + erf(x * np.float32(0.5**0.5)))
    elif mode == "TANH_APPROXIMATION":
        inner = np.float32((2 / np.pi) ** 0.5) * (x + np.float32(0.044715) * x * x * x)
        weight = 0.5 * (1.0 + np.tanh(inner))
    elif mode == "SIGMOID_APPROXIMATION":
        weight = sigmoid(np.float32(1.702) * x)
    else:
        raise ExecutionError(
            f"mode {str(mode)!r} is not known; expected EXACT, TANH_APPROXIMATION or SIGMOID_APPROXIMATION"
        )
    result: Array = x * weight
    return result


def leaky_relu(x: Array, alpha: Any = 0.01) -> Array:
    """`x` where it is not negative, else `alpha · x`."""
    return np.where(x >= 0, x, x * alpha)


def linear_activation(x: Array, alpha: Any, beta: Any = 0.0) -> Array:
    """`alpha · x + beta`."""
    result: Array = x * alpha + beta
    return result


def prelu(x: Array, alpha: Array) -> Array:
    """`x` where it is not negative, else `alpha · x`, with one alpha per channel (axis 1)."""
    return np.where(x >= 0, x, x * _per_channel(alpha, x.ndim))


def relu(x: Array) -> Array:
    """`max(x, 0)`."""
    result: Array = np.maximum(x, 0)
    return result


def relu6(x: Array) -> Array:
    """`x` held between 0 and 6."""
    return np.clip(x, 0, 6)


def scaled_tanh(x: Array, alpha: Any = 1.0, beta: Any = 1.0) -> Array:
    """`alpha · tanh(beta · x)`."""
    result: Array = alpha * np.tanh(x * beta)
    return result


def sigmoid(x: Array) -> Array:
    """`1 / (1 + exp(-x))`, exact at both ends of the range."""
    small = np.exp(-np.abs(x))
    result: Array = np.where(x >= 0, 1, small) / (1 + small)
    return result


def sigmoid_hard(x: Array, alpha: Any = 0.2, beta: Any = 0.5) -> Array:
    """`alpha · x + beta` held between 0 and 1."""
    result: Array = np.clip(alpha * x + beta, 0, 1)
    return result


def silu(x: Array) -> Array:
    """`x · sigmoid(x)`."""
    result: Array = x * sigmoid(x)
    return result


def softplus(x: Array) -> Array:
    """`log(1 + exp(x))`, by a form that cannot overflow."""
    result: Array = np.log1p(np.exp(-np.abs(x))) + np.maximum(x, 0)
    return result


def softplus_parametric(x: Array, alpha: Array, beta: Array) -> Array:
    """`alpha · log(1 + exp(beta · x))`, with one alpha and one beta per channel (axis 1)."""
    result: Array = _per_channel(alpha, x.ndim) * softplus(x * _per_channel(beta, x.ndim))
    return result


def softmax(x: Array, axis: Any = -1) -> Array:
    """`exp(x) / sum(exp(x))` along `axis`, about the maximum; NaN where all of `x` is -inf."""
    weights: Array = x - x.max(axis=int(axis), keepdims=True)
    np.exp(weights, out=weights)
    weights /= weights.sum(axis=int(axis), keepdims=True)
    return weights


def softsign(x: Array) -> Array:
    """`x / (1 + |x|)`."""
    result: Array = x / (1 + np.abs(x))
    return result


def thresholded_relu(x: Array, alpha: Any = 1.0) -> Array:
    """`x` where it is at least `alpha`, else 0."""
    return np.where(x >= alpha, x, np.zeros_like(x))


KERNELS: dict[str, Callable[..., Any]] = {
    "clamped_relu": clamped_relu,
    "elu": elu,
    "gelu": gelu,
    "leaky_relu": leaky_relu,
    "linear_activation": linear_activation,
    "prelu": prelu,
    "relu": relu,
    "relu6": relu6,
    "scaled_tanh": scaled_tanh,
    "sigmoid": sigmoid,
    "sigmoid_hard": sigmoid_hard,
    "silu": silu,
    "softmax": softmax,
    "softplus": softplus,
    "softplus_parametric": softplus_parametric,
    "softsign": softsign,
    "thresholded_relu": thresholded_relu,
}
