"""PLE computes the paper's equations."""

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

from pocketrec.model_zoo.families import ple


def level(weights: Weights, name: str, inputs: list[Doubles]) -> list[Doubles]:
    """The mixes of task 0, of task 1 and of all, from the level before."""
    outs = [
        [weights.perceptron(f"{name}.experts.{own}.{i}", x, 1) for i in range(2)]
        for own, x in enumerate(inputs)
    ]
    gates = [weights.linear(f"{name}.gates.{task}", inputs[task]) for task in (0, 1)]
    gates.append(weights.linear(f"{name}.shared_gate", inputs[2]))
    read = [outs[0] + outs[2], outs[1] + outs[2], outs[0] + outs[1] + outs[2]]
    return [
        sum((softmax(gate)[:, [i]] * each for i, each in enumerate(experts)), np.zeros(1))
        for gate, experts in zip(gates, read, strict=True)
    ]


def test_each_task_mixes_its_own_and_the_shared_experts_level_by_level() -> None:
    net = ple.model(**SIZES, dim=3, levels=2, experts=2, hidden=6, tower=4)
    weights, rows = Weights(scattered(net)), drawn(7, 9, 3)
    mixes = [doubles(rows.flatten(1))] * 3
    for place in range(2):
        mixes = level(weights, f"levels.{place}", mixes)
    expected = np.stack([weights.scorer(f"towers.{task}", mixes[task], 1) for task in (0, 1)], axis=1)
    np.testing.assert_allclose(doubles(net.logits(rows)), expected, atol=1e-4)
    assert abs(expected[:, 0] - expected[:, 1]).max() > 0.01
