"""MMoE computes the paper's equations."""

import numpy as np
from tests.model_zoo.families.equations import SIZES, Weights, doubles, drawn, scattered, softmax

from pocketrec.model_zoo.families import mmoe


def test_each_task_mixes_the_shared_experts_by_its_own_gate() -> None:
    net = mmoe.model(**SIZES, dim=3, experts=3, hidden=6, tower=4)
    weights, rows = Weights(scattered(net)), drawn(7, 9, 3)
    x = doubles(rows.flatten(1))
    experts = np.stack([weights.perceptron(f"experts.{i}", x, 1) for i in range(3)], axis=1)
    expected = []
    for task in range(2):
        gate = softmax(weights.linear(f"gates.{task}", x))
        mixed = np.einsum("bi,bih->bh", gate, experts)
        expected.append(weights.scorer(f"towers.{task}", mixed, 1))
    np.testing.assert_allclose(doubles(net.logits(rows)), np.stack(expected, axis=1), atol=1e-4)
    assert abs(expected[0] - expected[1]).max() > 0.01
