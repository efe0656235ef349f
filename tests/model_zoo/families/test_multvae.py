"""MultVAE: the paper's autoencoder of a set of films, built from ids in the graph, and the floors."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from tests.model_zoo.families.equations import Weights, doubles, scattered, softmax
from torch import Tensor, nn

from pocketrec.model_zoo.data import movielens
from pocketrec.model_zoo.families import multvae
from pocketrec.model_zoo.registry import FAMILIES
from pocketrec.model_zoo.training.baselines import baselines
from pocketrec.model_zoo.training.loop import measured

Trained = Callable[[str], nn.Module]


def tiny() -> multvae.MultVAE:
    net = scattered(multvae.model(num_items=9, hidden=5, dim=3))
    assert isinstance(net, multvae.MultVAE)
    return net


def ids(*rows: list[int]) -> Tensor:
    return torch.tensor(rows, dtype=torch.int32)


def test_scores_follow_the_equations_of_the_paper() -> None:
    net = tiny()
    weights, x = Weights(net), np.zeros((1, 10))
    x[0, [2, 7, 9]] = 1
    h = np.tanh(weights.linear("encoder", x / np.linalg.norm(x)))
    z = weights.linear("moments", h)[:, :3]
    expected = weights.linear("out", np.tanh(weights.linear("decoder", z)))
    np.testing.assert_allclose(doubles(net(ids([0, 7, 2, 9]))), expected, atol=1e-5)


def test_the_bound_is_likelihood_less_beta_divergences_of_a_draw() -> None:
    net, x = tiny(), torch.tensor([[0, 1, 0, 0, 1, 0, 0, 0, 0, 1.0]])
    torch.manual_seed(5)
    found = multvae.negative_bound(net, x, beta=0.3).item()
    torch.manual_seed(5)
    mean, log_variance = (doubles(each) for each in net.encode(x))
    z = mean + np.exp(log_variance / 2) * doubles(torch.randn(1, 3))
    shares = softmax(doubles(net.decode(torch.from_numpy(z).float()))[:, 1:])
    likelihood = np.log(shares[0, [0, 3, 8]]).sum()
    divergence = 0.5 * (np.exp(log_variance) + mean**2 - 1 - log_variance).sum()
    assert found == pytest.approx(0.3 * divergence - likelihood, rel=1e-4)


@pytest.mark.parametrize("same", [[5, 2], [0, 0, 2, 5], [2, 0, 5, 0], [5, 5, 2, 2, 2]])
def test_a_history_is_a_set_whose_padding_says_nothing(same: list[int]) -> None:
    net = tiny()
    torch.testing.assert_close(net(ids(same)), net(ids([2, 5])))
    assert (net(ids([2, 6])) - net(ids([2, 5]))).abs().max() > 1e-3


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
def test_an_empty_history_is_finite_and_gets_what_most_people_choose(
    dtype: torch.dtype, trained: Trained
) -> None:
    with torch.no_grad():
        scores = trained("multvae").to(dtype)(torch.zeros(2, 50, dtype=torch.int32))
    assert (scores.dtype, scores.shape) == (dtype, (2, 1683))
    assert scores.isfinite().all()


def test_the_weights_hold_their_floors_and_random_ones_do_not(trained: Trained, untrained: Trained) -> None:
    family, data = FAMILIES["multvae"], movielens.leave_one_out()
    net, random = trained("multvae"), untrained("multvae")
    hit_rate, ndcg = measured(lambda batch: net(batch["history"]), data)
    assert hit_rate >= family.floor("hr@10") == 0.118
    assert ndcg >= family.floor("ndcg@10") == 0.06
    assert baselines("ml-100k").pop[1] < ndcg < baselines("ml-100k").markov[1]
    assert measured(lambda batch: random(batch["history"]), data)[1] < 0.02
