"""Conservative Q-learning: the loss of the paper, values of known clicks, caution where the log is thin."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import nn

from pocketrec.model_zoo.data import bernoulli_ts, open_bandit
from pocketrec.model_zoo.families import q_network
from pocketrec.model_zoo.registry import FAMILIES
from pocketrec.model_zoo.training.loop import measured

Trained = Callable[[str], nn.Module]
IDS = {f"person_{place}": torch.tensor([1, 2, 0]) for place in range(4)}


def small(dtype: torch.dtype = torch.float32) -> q_network.QNetwork:
    torch.manual_seed(0)
    return q_network.model(
        num_arms=7, num_person_0s=3, num_person_1s=4, num_person_2s=5, num_person_3s=6, hidden=8, dim=4
    ).to(dtype)


def test_the_loss_is_the_papers() -> None:
    rng = np.random.default_rng(0)
    q, item, reward = rng.normal(size=(6, 4)), rng.integers(0, 4, 6), 240.0 * rng.integers(0, 2, 6)
    taken = q[np.arange(6), item]
    bellman = 0.5 * np.mean((taken - reward) ** 2) / 240
    caution = np.mean(np.log(np.exp(q).sum(axis=1)) - taken)
    given = torch.from_numpy(q), torch.from_numpy(item), torch.from_numpy(reward)
    found = q_network.conservative_loss(*given, alpha=0.3)
    assert found.item() == pytest.approx(bellman + 0.3 * caution)


def test_an_item_that_is_never_shown_loses_value_only_by_the_conservative_term() -> None:
    for alpha, falls in ((0.0, False), (0.5, True)):
        q = torch.zeros(1, 3, requires_grad=True)
        q_network.conservative_loss(q.expand(8, -1), torch.arange(8) % 2, torch.zeros(8), alpha).backward()  # type: ignore[no-untyped-call]
        assert q.grad is not None
        assert (q.grad[0, 2].item() > 0) is falls


def test_the_value_of_an_item_is_that_among_all() -> None:
    net = small()
    with torch.no_grad():
        every = net.values(**IDS)
        for item in range(7):
            torch.testing.assert_close(net(**IDS, item=torch.full((3,), item)), every[:, item])


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
def test_values_are_finite_for_unknown_people(dtype: torch.dtype) -> None:
    unknown = {name: torch.zeros(2, dtype=torch.int32) for name in IDS}
    found = small(dtype).values(**unknown)
    assert (found.shape, found.dtype) == ((2, 7), dtype)
    assert found.isfinite().all()


def test_the_weights_hold_their_floors_and_values_are_click_rates(
    shop: Callable[[str], str], trained: Trained, untrained: Trained
) -> None:
    """Nets that have learned nothing order 38 clicks as well now and then, but their values are no rates."""
    shop("open-bandit")
    data, family = open_bandit.clicked(), FAMILIES["q-network"]
    net, random = trained("q-network"), untrained("q-network")
    assert isinstance(net, q_network.QNetwork)
    assert isinstance(random, q_network.QNetwork)
    found = measured(lambda batch: net.values(**batch), data)
    assert found[0] >= family.floor("hr@10") == 0.15
    assert found[1] >= family.floor("ndcg@10") == 0.07
    clicks, passes = bernoulli_ts.clicks_and_passes()
    rates = clicks / (clicks + passes)
    with torch.no_grad():
        values, others = (
            each.values(**{name: torch.from_numpy(column) for name, column in data.inputs.items()}).numpy()
            for each in (net, random)
        )
    np.testing.assert_allclose(values.mean(axis=0), rates, atol=0.001)
    assert np.abs(others.mean(axis=0) - rates).max() > 0.004
