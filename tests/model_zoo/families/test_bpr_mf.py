"""BPR-MF: products of two tables, somebody who is not known, and the floors."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import nn

from pocketrec.model_zoo.data import choices
from pocketrec.model_zoo.families import bpr_mf
from pocketrec.model_zoo.families.parts.factors import Factors
from pocketrec.model_zoo.registry import FAMILIES
from pocketrec.model_zoo.training.baselines import baselines
from pocketrec.model_zoo.training.loop import measured

Trained = Callable[[str], nn.Module]


def test_scores_are_products_of_a_users_row_with_all_of_items() -> None:
    torch.manual_seed(0)
    net = bpr_mf.model(num_users=3, num_items=6, dim=4)
    users, items = (each.detach().numpy() for each in net.vectors())
    scores = net(torch.tensor([2, 0, 2], dtype=torch.int32)).detach().numpy()
    assert scores.shape == (3, 7)
    assert scores[0] == pytest.approx(items @ users[2], abs=1e-6)
    assert scores[1] == pytest.approx(items @ users[0], abs=1e-6)
    assert (scores[:, 0] == 0).all()


def test_who_is_not_known_is_the_mean_of_all_others() -> None:
    net = Factors(users=3, items=6, dim=4)
    known = net.user_factors.weight[1:].clone()
    net.settle()
    torch.testing.assert_close(net.user_factors.weight[0], known.mean(dim=0))
    torch.testing.assert_close(net.user_factors.weight[1:], known)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
def test_somebody_unknown_gets_finite_scores_near_what_most_people_like(
    dtype: torch.dtype, trained: Trained
) -> None:
    with torch.no_grad():
        scores = trained("bpr-mf").to(dtype)(torch.tensor([0], dtype=torch.int32))[0]
    assert scores.dtype == dtype
    assert scores.isfinite().all()
    often = torch.from_numpy(choices.training_choices().sum(axis=0))
    assert often[scores.topk(10).indices].float().mean() > 5 * often[1:].float().mean()


def test_the_weights_hold_their_floors_above_the_reference(trained: Trained, untrained: Trained) -> None:
    """RecBole 1.2.1 gives .095 and .050 under the same protocol; transition counts are above both."""
    family, data = FAMILIES["bpr-mf"], choices.leave_one_out()
    net, random = trained("bpr-mf"), untrained("bpr-mf")
    hit_rate, ndcg = measured(lambda batch: net(batch["user"]), data)
    assert hit_rate >= family.floor("hr@10") == 0.115 > family.references[0].value == 0.095
    assert ndcg >= family.floor("ndcg@10") == 0.054 > family.references[1].value == 0.050
    assert baselines("ml-100k").pop[1] < ndcg < baselines("ml-100k").markov[1]
    assert measured(lambda batch: random(batch["user"]), data)[1] < 0.02
