"""Labels train every head, and the baseline is what an item's ratings alone say."""

from collections.abc import Mapping

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from pocketrec.evaluation import ClassificationData
from pocketrec.model_zoo.training.labels import fit_labels, heads, item_means, label_loss, probabilities
from pocketrec.model_zoo.training.loop import Schedule
from pocketrec.model_zoo.training.run import Run


class Biases(nn.Module):
    """A logit an item and head, and nothing else."""

    def __init__(self, items: int, heads: int) -> None:
        super().__init__()
        self.table = nn.Embedding(items, heads)

    def scored(self, **inputs: Tensor) -> tuple[Tensor, Tensor]:
        rows = self.table(inputs["item"])
        return rows.squeeze(-1), rows.unsqueeze(1)


def rated(labels: list[int], item: list[int]) -> ClassificationData:
    return ClassificationData(inputs={"item": np.array(item, np.int32)}, labels=np.array(labels, np.float32))


def test_the_loss_sums_over_heads_and_decays_the_rows_that_are_read() -> None:
    net = Biases(4, 2)
    net.table.weight.data = torch.tensor([[9.0, 9.0], [0.0, 1.0], [2.0, -1.0], [9.0, 9.0]])
    batch: Mapping[str, Tensor] = {"item": torch.tensor([1, 2])}
    found = float(label_loss(net, batch, torch.tensor([[1.0, 0.0], [0.0, 1.0]]), 0.5).detach())

    def error(logit: float, label: int) -> float:
        return float(-np.log(1 / (1 + np.exp(-logit if label else logit))))

    crosses = error(0, 1) + error(1, 0) + error(2, 0) + error(-1, 1)
    assert found == pytest.approx(crosses / 2 + 0.5 * (0 + 1 + 4 + 1) / 2)


def test_every_head_learns_its_own_labels() -> None:
    items = [1, 1, 2, 2, 3, 3] * 8
    first, second = rated([0, 0, 0, 1, 1, 1] * 8, items), rated([1, 1, 0, 1, 0, 0] * 8, items)
    assert heads([first]).shape == (48,)
    assert heads([first, second]).shape == (48, 2)
    torch.manual_seed(0)
    net = Biases(4, 2)
    auc = fit_labels(
        net,
        [first, second],
        [first, second],
        schedule=Schedule(epochs=12, patience=12, learning_rate=0.5),
        batch_size=16,
        run=Run(rng=np.random.default_rng(0)),
    )
    assert auc == pytest.approx(1 - 0.5 * 8 * 8 / (24 * 24)), "all pairs, but item 2's are equal"
    found = probabilities(net, {"item": np.array([1, 2, 3], np.int32)})
    assert (np.diff(found, axis=0) * [1, -1] > 0.1).all(), "the first head rises, the second falls"


def test_an_item_without_examples_has_the_mean_of_all_and_one_with_many_its_own() -> None:
    train = rated([1] * 990 + [0] * 10 + [0] * 1000, [1] * 1000 + [2] * 1000)
    found = item_means(train, {"item": np.array([1, 2, 7], np.int32)})
    np.testing.assert_allclose(found, [(990 + 4.95) / 1010, 4.95 / 1010, 0.495], rtol=1e-5)
