"""LightGCN: the paper's propagation, computed once, and the floors."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from pocketrec.model_zoo.data import choices
from pocketrec.model_zoo.families import lightgcn
from pocketrec.model_zoo.registry import FAMILIES
from pocketrec.model_zoo.training.baselines import baselines
from pocketrec.model_zoo.training.loop import measured
from pocketrec.model_zoo.training.run import Run


def chose() -> choices.Chosen:
    """Four users and five items, of which the last has nobody."""
    chosen = np.zeros((5, 6), np.bool_)
    for user, items in enumerate([[1, 2], [2, 3, 4], [1], [4, 2]], start=1):
        chosen[user, items] = True
    return chosen


def test_each_layer_sums_over_neighbours_by_both_degrees_and_the_mean_of_layers_counts() -> None:
    torch.manual_seed(0)
    net = lightgcn.model(num_users=4, num_items=5, dim=3, layers=2)
    users, items = (each.detach().double().numpy() for each in net.vectors())
    net.graph = lightgcn.graph_of(chose())
    sums = [users.copy(), items.copy()]
    for _ in range(2):
        next_users, next_items = np.zeros_like(users), np.zeros_like(items)
        for u, i in zip(*np.nonzero(chose()), strict=True):
            norm = np.sqrt(chose()[u].sum() * chose()[:, i].sum())
            next_users[u] += items[i] / norm
            next_items[i] += users[u] / norm
        users, items = next_users, next_items
        sums[0] += users
        sums[1] += items
    for found, expected in zip(net.vectors(), sums, strict=True):
        np.testing.assert_allclose(found.detach().numpy(), expected / 3, atol=1e-6)


def test_what_ships_is_two_tables_that_need_no_graph() -> None:
    net = lightgcn.model(num_users=4, num_items=5, dim=3)
    net.graph = lightgcn.graph_of(chose())
    with torch.no_grad():
        users, items = (each.clone() for each in net.vectors())
        net.settle()
        scores = net(torch.tensor([3, 0], dtype=torch.int32))
    assert set(net.state_dict()) == {"user_factors.weight", "item_factors.weight"}
    torch.testing.assert_close(scores, torch.stack([users[3], users[1:].mean(dim=0)]) @ items.T)
    assert (scores[:, 0] == 0).all()


@pytest.mark.long
def test_the_trained_tables_hold_their_floors() -> None:
    family, data = FAMILIES["lightgcn"], choices.leave_one_out()
    torch.manual_seed(0)
    net = lightgcn.train(Run(rng=np.random.default_rng(0)))
    hit_rate, ndcg = measured(lambda batch: net(batch["user"]), data)
    assert hit_rate >= family.floor("hr@10") == 0.11
    assert ndcg >= family.floor("ndcg@10") == 0.053
    assert baselines("ml-100k").pop[1] < ndcg < baselines("ml-100k").markov[1]


def test_random_tables_hold_no_floor() -> None:
    torch.manual_seed(0)
    net, data = lightgcn.model(num_users=943, num_items=1682), choices.leave_one_out()
    assert measured(lambda batch: net(batch["user"]), data)[1] < 0.02
