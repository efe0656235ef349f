"""AutoInt computes the paper's equations."""

import numpy as np
from tests.model_zoo.families.equations import (
    SIZES,
    Doubles,
    Weights,
    doubles,
    drawn,
    scattered,
    softmax,
)

from pocketrec.model_zoo.families import autoint


def interacting(weights: Weights, name: str, x: Doubles) -> Doubles:
    """One layer, feature by feature and head by head."""
    query, key, value = (weights.linear(f"{name}.{each}", x) for each in ("query", "key", "value"))
    heads = []
    for part in (slice(0, 2), slice(2, 4)):
        shares = softmax(np.einsum("bmd,bkd->bmk", query[..., part], key[..., part]))
        heads.append(np.einsum("bmk,bkd->bmd", shares, value[..., part]))
    mixed = np.concatenate(heads, axis=-1)
    out: Doubles = np.maximum(mixed + weights.linear(f"{name}.residual", x), 0)
    return out


def test_features_attend_to_each_other_and_keep_themselves_by_a_residual() -> None:
    net = autoint.model(**SIZES, dim=4, heads=2, layers=2, hidden=6)
    weights, rows = Weights(scattered(net)), drawn(7, 9, 4)
    x = doubles(rows)
    for layer in range(2):
        x = interacting(weights, f"interacting.{layer}", x)
    expected = weights.linear("out", x.reshape(7, 36))[:, 0]
    expected += weights.scorer("deep", doubles(rows).reshape(7, 36), 2)
    np.testing.assert_allclose(doubles(net.logits(rows)), expected, atol=1e-4)
