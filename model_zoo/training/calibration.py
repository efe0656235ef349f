"""Scores made probabilities: Platt's scaling, fitted to examples that no weight was fitted to."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Doubles = npt.NDArray[np.float64]
_STEPS = 100
_CONVERGED = 1e-10


def platt(logits: Doubles, labels: Doubles) -> tuple[float, float]:
    """A and B of P(1) = 1 / (1 + exp(-(A z + B))), by Newton's method on the regularized log loss.

    Targets are not 0 and 1 but 1 / (n0 + 2) and (n1 + 1) / (n1 + 2), so that few examples give no certainty
    (Platt, 1999, section 2; its A has the other sign). Where all logits are equal, A stays 1.

    Args:
        logits: `[n]`.
        labels: 0 or 1, `[n]`.
    """
    ones = labels.sum()
    targets = np.where(labels > 0, (ones + 1) / (ones + 2), 1 / (len(labels) - ones + 2))
    spread = np.ptp(logits) > 0
    columns = np.stack([logits, np.ones_like(logits)], axis=1)[:, slice(None) if spread else slice(1, 2)]
    offset = np.zeros_like(logits) if spread else logits
    found = np.zeros(columns.shape[1])
    for _ in range(_STEPS):
        chances = _sigmoid(columns @ found + offset)
        gradient = columns.T @ (chances - targets)
        hessian = (columns * (chances * (1 - chances))[:, None]).T @ columns
        step = np.linalg.solve(hessian, gradient).astype(np.float64)
        found -= _damped(found, step, columns, offset, targets) * step
        if np.abs(step).max() < _CONVERGED:
            break
    return (float(found[0]), float(found[1])) if spread else (1.0, float(found[0]))


def _damped(found: Doubles, step: Doubles, columns: Doubles, offset: Doubles, targets: Doubles) -> float:
    """The longest of the steps 1, 1/2, 1/4 … that does not raise the loss."""
    before = _loss(columns @ found + offset, targets)
    rate = 1.0
    while rate > _CONVERGED and _loss(columns @ (found - rate * step) + offset, targets) > before:
        rate /= 2
    return rate


def _loss(z: Doubles, targets: Doubles) -> float:
    return float((np.logaddexp(0.0, z) - targets * z).sum())


def _sigmoid(z: Doubles) -> Doubles:
    found: Doubles = np.exp(-np.logaddexp(0.0, -z))
    return found
