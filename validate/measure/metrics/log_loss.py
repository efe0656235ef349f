"""Log loss: the mean negative log-likelihood of the labels.

    loss_i = -(y_i ln p_i + (1 - y_i) ln(1 - p_i)); of a logit x: ln(1 + e^x) - y x

Probabilities are clipped to 1e-7 and 1 - 1e-7, float32's resolution, before the logarithm; logits are not.
There are no ties. Source: Good, Rational decisions, JRSS B 1952.
"""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import numpy.typing as npt

Doubles = npt.NDArray[np.float64]
EPSILON = 1e-7


def log_loss(
    values: npt.NDArray[Any], labels: npt.NDArray[Any], *, meaning: Literal["probability", "logit"]
) -> Doubles:
    """The loss of each row in nats, float64 `[rows]`; NaN where the value is NaN."""
    x, y = values.astype(np.float64), labels.astype(np.float64)
    if meaning == "logit":
        with np.errstate(invalid="ignore"):  # of NaN, which stays one
            losses: Doubles = np.logaddexp(0.0, x) - y * x
        return losses
    p = np.clip(x, EPSILON, 1 - EPSILON)
    losses = -(y * np.log(p) + (1 - y) * np.log1p(-p))
    return losses
