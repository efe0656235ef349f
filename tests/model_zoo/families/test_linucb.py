"""LinUCB computes the bound of its paper, from any arms and contexts, and holds its floors on clicks."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import nn

from pocketrec.model_zoo.data import bernoulli_ts, open_bandit
from pocketrec.model_zoo.families import linucb
from pocketrec.model_zoo.families.parts import store_counts
from pocketrec.model_zoo.families.parts.posterior import ArmPosterior
from pocketrec.model_zoo.registry import FAMILIES
from pocketrec.model_zoo.training.loop import measured, to_tensors

Trained = Callable[[str], nn.Module]
IDS = {f"person_{place}": torch.tensor([1, 2, 0, 3]) for place in range(4)}


def small() -> linucb.LinUCB:
    return linucb.model(num_arms=3, num_person_0s=3, num_person_1s=4, num_person_2s=5, num_person_3s=6)


def test_bounds_are_those_of_the_papers_inverse_covariance() -> None:
    rng = np.random.default_rng(0)
    x, arm, reward = rng.normal(size=(40, 4)), rng.integers(0, 2, 40), rng.random(40)
    posterior = ArmPosterior(3, 4)
    posterior.learn(x, arm, reward)
    asked = rng.normal(size=(5, 4))
    with torch.no_grad():
        mean, width = posterior(torch.from_numpy(asked).float())
    for each in range(3):  # the last was never shown
        rows = arm == each
        inverse = np.linalg.inv(np.eye(4) + x[rows].T @ x[rows])
        np.testing.assert_allclose(mean[:, each], asked @ inverse @ x[rows].T @ reward[rows], atol=1e-5)
        variance = np.einsum("bi,ij,bj->b", asked, inverse, asked)
        np.testing.assert_allclose(width[:, each], np.sqrt(variance), rtol=1e-5)


def test_a_round_of_weight_n_counts_as_n_rounds() -> None:
    rng = np.random.default_rng(1)
    x, arm, reward = rng.normal(size=(6, 3)), np.array([0, 1, 0, 1, 0, 1]), rng.random(6)
    once, often = ArmPosterior(2, 3), ArmPosterior(2, 3)
    often.learn(x, arm, reward, np.full(6, 4.0))
    once.learn(np.repeat(x, 4, axis=0), np.repeat(arm, 4), np.repeat(reward, 4))
    torch.testing.assert_close(often.theta, once.theta)
    torch.testing.assert_close(often.root, once.root)


def test_an_unknown_value_has_no_one_in_the_context() -> None:
    net = small()
    x = net.context(tuple(IDS.values())) / store_counts.SCALE
    assert x.shape == (4, 1 + 3 + 4 + 5 + 6)
    assert x.sum(dim=1).tolist() == [5, 5, 1, 5]
    assert x[0].nonzero().flatten().tolist() == [0, 1, 4, 8, 13]


def test_an_arm_that_was_never_shown_is_the_widest() -> None:
    net = small()
    rng = np.random.default_rng(2)
    x = net.context(tuple(torch.from_numpy(rng.integers(1, 4, 50)) for _ in range(4))).double().numpy()
    net.posterior.learn(x, np.arange(50) % 2, np.zeros(50))
    upper, mean, width = net(**IDS)
    assert (width[:, 2] > width[:, :2].max(dim=1).values).all()
    torch.testing.assert_close(upper, mean + store_counts.NOISE * width)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
def test_bounds_are_finite_and_no_width_is_negative(dtype: torch.dtype) -> None:
    upper, _, width = small().to(dtype)(**IDS)
    assert (upper.dtype, upper.shape) == (dtype, (4, 3))
    assert upper.isfinite().all()
    assert (width > 0).all()


def test_the_weights_hold_their_floors_and_beat_the_stores_own_click_rates(
    shop: Callable[[str], str], trained: Trained, untrained: Trained
) -> None:
    """Of 38 clicks: a few more or fewer in the first ten would change places."""
    shop("open-bandit")
    data, family = open_bandit.clicked(), FAMILIES["linucb"]
    found = measured(lambda batch: trained("linucb")(**batch)[0], data)
    assert found[0] >= family.floor("hr@10") == 0.18
    assert found[1] >= family.floor("ndcg@10") == 0.08
    clicks, passes = bernoulli_ts.clicks_and_passes()
    rates = torch.from_numpy(clicks / (clicks + passes))
    before = measured(lambda batch: rates.expand(len(batch["person_0"]), -1), data)
    assert before == pytest.approx([each.value for each in family.beside], abs=1e-4)
    assert found[1] > before[1]
    assert measured(lambda batch: untrained("linucb")(**batch)[0], data)[1] < 0.05


def test_float16_shows_the_same_item_to_nearly_everybody(
    shop: Callable[[str], str], trained: Trained
) -> None:
    """The inverse itself, 5e-6 for a well-known item, would be below what float16 holds without loss."""
    shop("open-bandit")
    people = to_tensors(open_bandit.people(open_bandit.log("random")))
    with torch.no_grad():
        full = trained("linucb")(**people)[0].argmax(dim=1)
        half = trained("linucb").half()(**people)[0].argmax(dim=1)
    assert (full == half).float().mean() > 0.97
