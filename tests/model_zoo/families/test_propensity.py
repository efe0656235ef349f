"""Propensities are probabilities: the formula, the scaling, and the loss on clicks of later days."""

from __future__ import annotations

from collections.abc import Callable
from itertools import combinations

import numpy as np
import pytest
import torch
from sklearn.metrics import log_loss, roc_auc_score
from torch import nn

from pocketrec.evaluation import ClassificationData
from pocketrec.model_zoo.data import open_bandit
from pocketrec.model_zoo.families import propensity
from pocketrec.model_zoo.registry import FAMILIES
from pocketrec.model_zoo.training.loop import Floats, score_all
from pocketrec.validate.measure.metrics.calibration import calibration_error

Trained = Callable[[str], nn.Module]
IDS = {name: torch.tensor([1, 2, 0]) for name in propensity.COLUMNS}
AFFINITY = torch.tensor([0.0, 3.0, 1.0])


def small() -> propensity.Propensity:
    torch.manual_seed(0)
    numbers = {f"num_person_{place}s": 3 for place in range(4)}
    net = propensity.model(num_items=7, num_positions=3, dim=5, **numbers)
    for each in net.parameters():
        nn.init.normal_(each)
    net.slope.fill_(0.5)
    net.shift.fill_(-2.0)
    return net


def test_the_logit_is_the_sum_of_weights_and_of_the_products_of_all_pairs() -> None:
    net = small()
    with torch.no_grad():
        found = net(**IDS, affinity=AFFINITY)
    rows = [net.tables.get_parameter(f"{name}.weight").detach().numpy() for name in propensity.COLUMNS]
    for row, (place, clicks) in enumerate(zip([1, 2, 0], AFFINITY.tolist(), strict=True)):
        weights = [each[place, -1] for each in rows]
        products = [one[place, :-1] @ two[place, :-1] for one, two in combinations(rows, 2)]
        z = net.base.item() + sum(weights) + net.of_affinity.item() * np.log1p(clicks) + sum(products)
        assert found[row].item() == pytest.approx(1 / (1 + np.exp(-(0.5 * z - 2))), rel=1e-4)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
def test_unknown_ids_have_a_probability_too(dtype: torch.dtype) -> None:
    with torch.no_grad():
        found = small().to(dtype)(**IDS, affinity=AFFINITY.to(dtype))
    assert (found.shape, found.dtype) == ((3,), dtype)
    assert ((found > 0) & (found < 1)).all()


def of(net: nn.Module, data: ClassificationData) -> Floats:
    return score_all(lambda batch: net(**batch), data.inputs, size=4096)


def test_the_weights_hold_the_floor_and_are_calibrated_on_later_days(
    shop: Callable[[str], str], trained: Trained, untrained: Trained
) -> None:
    """Of 63 clicks in 12,000: they say little of the order, and more of the level."""
    shop("open-bandit")
    data = open_bandit.impressions()
    found, seen = of(trained("propensity"), data), open_bandit.impressions(split="train").labels
    assert roc_auc_score(data.labels, found) >= FAMILIES["propensity"].floor("auc") == 0.53
    assert calibration_error(found, data.labels) < 0.001
    assert log_loss(data.labels, found) < log_loss(data.labels, np.full(len(found), seen.mean()))
    assert calibration_error(of(untrained("propensity"), data), data.labels) > 0.4


def test_without_the_scaling_the_loss_is_that_of_a_model_too_sure_of_itself(
    shop: Callable[[str], str], trained: Trained
) -> None:
    shop("open-bandit")
    data, net = open_bandit.impressions(), trained("propensity")
    assert isinstance(net, propensity.Propensity)
    assert net.slope.item() < 0.8
    raw = 1 / (1 + np.exp(-propensity.logits(net, data.inputs)))
    assert log_loss(data.labels, of(net, data)) < log_loss(data.labels, raw)
