"""DeepFM computes the paper's equations."""

from itertools import combinations

import numpy as np
from tests.model_zoo.families.equations import SIZES, Weights, doubles, drawn, scattered

from pocketrec.model_zoo.families import deepfm


def test_the_logit_is_weights_products_of_all_pairs_and_the_deep_net() -> None:
    net = deepfm.model(**SIZES, dim=3, hidden=6)
    weights, rows = Weights(scattered(net)), drawn(7, 9, 4)
    vectors, first = doubles(rows)[..., :3], doubles(rows)[..., 3]
    pairs = sum((vectors[:, i] * vectors[:, j]).sum(1) for i, j in combinations(range(9), 2))
    expected = first.sum(1) + pairs + weights.scorer("deep", vectors.reshape(7, 27), 2)
    np.testing.assert_allclose(doubles(net.logits(rows)), expected, atol=1e-4)
