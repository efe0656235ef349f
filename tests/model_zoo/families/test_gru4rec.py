"""GRU4Rec: the paper's recurrence, a state that goes on, and the floors."""

from collections.abc import Callable

import numpy as np
import torch
from torch import nn

from pocketrec.model_zoo.data import movielens
from pocketrec.model_zoo.families import gru4rec
from pocketrec.model_zoo.registry import FAMILIES
from pocketrec.model_zoo.training.baselines import baselines
from pocketrec.model_zoo.training.loop import measured

Trained = Callable[[str], nn.Module]


def tiny() -> gru4rec.GRU4Rec:
    torch.manual_seed(3)
    return gru4rec.model(num_items=9, max_length=6, dim=4, hidden=5)


def test_the_state_follows_the_equations_of_the_paper() -> None:
    """U is applied to h before the reset gate, as in cuDNN; gates are in PyTorch's order: r, z, candidate."""
    net = tiny()
    into, again = (each.detach().double().numpy() for each in net.gru.parameters())
    hidden = np.zeros(5)
    for item in (3, 7, 1):
        x = into @ net.item_embedding.weight[item].detach().double().numpy()
        h = again @ hidden
        reset, update = (1 / (1 + np.exp(-(x[part] + h[part]))) for part in (slice(0, 5), slice(5, 10)))
        hidden = (1 - update) * np.tanh(x[10:] + reset * h[10:]) + update * hidden
    out = net.out.weight.detach().double().numpy() @ hidden + net.out.bias.detach().double().numpy()
    scores = net(torch.tensor([[3, 7, 1]], dtype=torch.int32))[0]
    np.testing.assert_allclose(
        scores.detach().numpy(), net.item_embedding.weight.detach().numpy() @ out, atol=1e-6
    )


def test_a_session_step_by_step_scores_as_its_whole_history() -> None:
    net, history = tiny(), torch.tensor([[3, 7, 1, 1, 9], [5, 0, 2, 4, 8]], dtype=torch.int32)
    hidden = torch.zeros(2, 5)
    for place in range(5):
        scores, hidden = net.step(history[:, place], hidden)
        torch.testing.assert_close(scores, net(history[:, : place + 1]), atol=1e-6, rtol=1e-5)


def test_padding_before_a_history_changes_nothing_and_biases_would_be_noticed() -> None:
    net, history = tiny(), torch.tensor([[4, 2]], dtype=torch.int32)
    full = torch.nn.functional.pad(history, (4, 0))
    torch.testing.assert_close(net(history), net(full), atol=1e-6, rtol=1e-5)
    net.gru = nn.GRU(4, 5, batch_first=True)
    assert (net(history) - net(full)).abs().max() > 1e-3


def test_padding_leaves_the_state_at_zero_though_its_row_is_an_output_and_trained(trained: Trained) -> None:
    net, history = trained("gru4rec"), torch.tensor([[4], [1200]], dtype=torch.int32)
    assert isinstance(net, gru4rec.GRU4Rec)
    assert net.item_embedding.weight[0].abs().max() > 0.1
    with torch.no_grad():
        full = torch.nn.functional.pad(history, (49, 0))
        torch.testing.assert_close(net.float()(history), net(full), atol=1e-4, rtol=1e-4)
        assert not net.step(torch.zeros(2, dtype=torch.int32), torch.zeros(2, 128))[1].any()


def test_an_empty_history_is_finite_in_both_precisions(trained: Trained) -> None:
    empty = torch.zeros(2, 50, dtype=torch.int32)
    for dtype in (torch.float32, torch.float16):
        scores = trained("gru4rec").to(dtype)(empty)
        assert scores.shape == (2, 1683)
        assert scores.isfinite().all()


def test_gru4rec_holds_its_floors_and_random_weights_do_not(trained: Trained, untrained: Trained) -> None:
    family, data = FAMILIES["gru4rec"], movielens.leave_one_out()
    net, random = trained("gru4rec"), untrained("gru4rec")
    hit_rate, ndcg = measured(lambda batch: net(batch["history"]), data)
    assert hit_rate >= family.floor("hr@10") == 0.21 > family.references[0].value == 0.110
    assert ndcg >= family.floor("ndcg@10") == 0.105 > family.references[1].value == 0.051
    assert ndcg > baselines("ml-100k").markov[1] > baselines("ml-100k").pop[1]
    assert measured(lambda batch: random(batch["history"]), data)[1] < 0.02
