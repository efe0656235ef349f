"""Both moments of a rating are those of Gaussian factors, and held-out ratings bear them out."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from sklearn.metrics import roc_auc_score
from torch import nn

from pocketrec.model_zoo.data import movielens
from pocketrec.model_zoo.families import pmf
from pocketrec.model_zoo.registry import FAMILIES

Trained = Callable[[str], nn.Module]


def small() -> pmf.PMF:
    torch.manual_seed(0)
    net = pmf.model(num_users=4, num_items=5, dim=3)
    with torch.no_grad():
        for each in (net.users.weight, net.items.weight):
            each.copy_(0.5 * torch.randn_like(each))
        net.mean.fill_(3.5)
        net.log_noise.fill_(-1.0)
    return net


def test_both_moments_are_those_of_drawn_factors() -> None:
    net, rng = small(), np.random.default_rng(0)
    user, item = (table.weight[2].detach().numpy().astype(float) for table in (net.users, net.items))
    drawn = [row[:4] + np.exp(row[4:] / 2) * rng.standard_normal((1_000_000, 4)) for row in (user, item)]
    ratings = 3.5 + drawn[0][:, 3] + drawn[1][:, 3] + (drawn[0][:, :3] * drawn[1][:, :3]).sum(axis=1)
    with torch.no_grad():
        rating, variance, liked = net(torch.tensor([2]), torch.tensor([2]))
    assert rating.item() == pytest.approx(ratings.mean(), abs=0.01)
    assert variance.item() == pytest.approx(ratings.var() + np.exp(-1), rel=0.01)
    spread = np.random.default_rng(1).normal(rating.item(), variance.item() ** 0.5, 1_000_000)
    assert liked.item() == pytest.approx((spread > 3.5).mean(), abs=0.002)


def test_the_bound_is_expected_error_and_divergence() -> None:
    net = small()
    user, item, stars = torch.tensor([1, 3]), torch.tensor([5, 0]), torch.tensor([4.0, 1.0])
    mean, variance, _ = (each.detach().numpy() for each in net(user, item))
    noise = np.exp(-1)
    error = np.mean((stars.numpy() - mean) ** 2 + variance - noise)
    divergence = 0.0
    for table in (net.users, net.items):
        rows = table.weight.detach().numpy().astype(float)
        m, v = rows[:, :4], np.exp(rows[:, 4:])
        divergence += 0.5 * np.sum(v / pmf.PRIOR + m**2 / pmf.PRIOR - 1 - np.log(v / pmf.PRIOR))
    found = pmf.negative_bound(net, user, item, stars, ratings=100)
    assert found.item() == pytest.approx(0.5 * (error / noise - 1.0) + divergence / 100, rel=1e-5)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
def test_an_unknown_user_has_a_rating_and_a_larger_variance(dtype: torch.dtype, trained: Trained) -> None:
    net = trained("pmf").to(dtype)
    with torch.no_grad():
        rating, variance, liked = net(torch.tensor([0, 1]), torch.tensor([50, 50]))
    assert rating.dtype == dtype
    assert all(each.isfinite().all() for each in (rating, variance, liked))
    assert variance[0] > variance[1] > 0


def test_the_weights_hold_the_floor_and_are_surer_where_they_err_less(
    trained: Trained, untrained: Trained
) -> None:
    data, stars, net = movielens.pairs(), movielens.stars(), trained("pmf")
    assert isinstance(net, pmf.PMF)
    mean, variance, liked = pmf.predicted(net, data.inputs)
    assert roc_auc_score(data.labels, liked) >= FAMILIES["pmf"].floor("auc") == 0.79
    errors = (stars - mean) ** 2
    assert errors.mean() ** 0.5 < 0.91
    fifths = [errors[part].mean() for part in np.array_split(np.argsort(variance), 5)]
    assert fifths == sorted(fifths)
    assert fifths[-1] > 1.5 * fifths[0]
    one_variance = np.full_like(variance, errors.mean())
    alone, own = (pmf.negative_log_likelihood(mean, each, stars).mean() for each in (one_variance, variance))
    assert own < alone
    random = untrained("pmf")
    assert isinstance(random, pmf.PMF)
    assert roc_auc_score(data.labels, pmf.predicted(random, data.inputs)[2]) < 0.55
