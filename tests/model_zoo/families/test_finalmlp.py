"""FinalMLP computes the paper's equations."""

import numpy as np
from tests.model_zoo.families.equations import SIZES, Weights, doubles, drawn, scattered, sigmoid

from pocketrec.model_zoo.families import finalmlp


def test_two_gated_streams_are_fused_piece_by_piece() -> None:
    net = finalmlp.model(**SIZES, dim=3, gate=5, hidden=8, pieces=2)
    weights, rows = Weights(scattered(net)), drawn(7, 9, 3)
    everything, outs = doubles(rows).reshape(7, 27), []
    for stream, feature in enumerate((0, 1)):  # what the gates see: the user, the item
        name = f"gates.{stream}.net"
        hidden = np.maximum(weights.linear(f"{name}.0", doubles(rows)[:, feature]), 0)
        gated = 2 * sigmoid(weights.linear(f"{name}.3", hidden)) * everything
        outs.append(weights.perceptron(f"streams.{stream}", gated, 2))
    expected = (weights.linear("fusion.first", outs[0]) + weights.linear("fusion.second", outs[1]))[:, 0]
    for piece, part in enumerate((slice(0, 4), slice(4, 8))):
        products = weights["fusion.products"][piece]
        expected += np.einsum("bi,ij,bj->b", outs[0][:, part], products, outs[1][:, part])
    np.testing.assert_allclose(doubles(net.logits(rows)), expected, rtol=1e-4, atol=1e-4)
    assert net.forward.__annotations__.keys() >= {"user", "item"}
