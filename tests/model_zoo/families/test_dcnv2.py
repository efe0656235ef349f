"""DCN-V2 computes the paper's equations."""

import numpy as np
from tests.model_zoo.families.equations import SIZES, Weights, doubles, drawn, scattered

from pocketrec.model_zoo.families import dcnv2


def test_each_cross_layer_multiplies_by_the_first_vectors_and_adds_what_came() -> None:
    net = dcnv2.model(**SIZES, dim=3, layers=3, hidden=6)
    weights, rows = Weights(scattered(net)), drawn(7, 9, 3)
    first = x = doubles(rows.flatten(1))
    for layer in range(3):
        x = first * weights.linear(f"cross.layers.{layer}", x) + x
    both = np.concatenate([x, weights.perceptron("deep", first, 2)], axis=1)
    np.testing.assert_allclose(doubles(net.logits(rows)), weights.linear("out", both)[:, 0], rtol=1e-4)


def test_the_degree_grows_by_one_a_layer() -> None:
    """x_L of t·x_0 is a polynomial in t of degree L + 1."""
    cross = dcnv2.CrossNetwork(4, layers=3)
    x = drawn(5, 4).double()
    scales = np.arange(1, 7, dtype=np.float64)
    found = np.stack([doubles(cross.double()(scale * x)) for scale in scales])
    assert abs(np.diff(found, n=5, axis=0)).max() < 1e-9 * abs(found).max()
    assert abs(np.diff(found, n=4, axis=0)).max() > 1e-6 * abs(found).max()
