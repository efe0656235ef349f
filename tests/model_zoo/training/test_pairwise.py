"""Pairs are of what a user chose and did not, and their loss is that of the paper."""

import numpy as np
import pytest
import torch

from pocketrec.model_zoo.families.parts.factors import Factors
from pocketrec.model_zoo.training.pairwise import bpr_loss, unchosen


def test_the_loss_is_bpr_opt_by_a_few_lines_of_numpy() -> None:
    torch.manual_seed(0)
    net = Factors(users=3, items=4, dim=5)
    w, h = (each.weight.detach().double().numpy() for each in (net.user_factors, net.item_factors))
    pairs = [(1, 2, 4), (3, 1, 2), (3, 3, 1)]
    expected = 0.0
    for u, i, j in pairs:
        expected -= np.log(1 / (1 + np.exp(-(w[u] @ h[i] - w[u] @ h[j]))))
        expected += 0.1 * ((w[u] ** 2).sum() + (h[i] ** 2).sum() + (h[j] ** 2).sum())
    found = bpr_loss(net, torch.tensor(pairs).T, decay=0.1)
    assert found.item() == pytest.approx(expected / 3, rel=1e-5)


def test_negatives_are_even_among_what_a_user_has_not_chosen_and_never_padding() -> None:
    chosen = np.zeros((3, 7), np.bool_)
    chosen[1, [1, 2, 3]] = chosen[2, [6]] = True
    found = unchosen(chosen, np.repeat([1, 2], 3000), np.random.default_rng(0))
    counts = [np.bincount(each, minlength=7) for each in np.split(found, 2)]
    np.testing.assert_allclose(counts[0] / 1000, [0, 0, 0, 0, 1, 1, 1], atol=0.1)
    np.testing.assert_allclose(counts[1] / 600, [0, 1, 1, 1, 1, 1, 0], atol=0.15)
