"""BERT4Rec: a mask behind the history, a cloze in training, and the floors."""

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from pocketrec.model_zoo.data import movielens
from pocketrec.model_zoo.families import bert4rec
from pocketrec.model_zoo.registry import FAMILIES
from pocketrec.model_zoo.training.baselines import baselines
from pocketrec.model_zoo.training.loop import measured

Trained = Callable[[str], nn.Module]


def tiny() -> bert4rec.BERT4Rec:
    torch.manual_seed(3)
    return bert4rec.model(num_items=9, max_length=6, dim=8)


def test_what_comes_next_is_asked_by_a_mask_behind_the_history() -> None:
    net, history = tiny(), torch.tensor([[0, 4, 2, 7]], dtype=torch.int32)
    asked = torch.tensor([[0, 4, 2, 7, 10]], dtype=torch.int32)
    torch.testing.assert_close(net(history), net.score(net.encode(asked)[:, 4]))
    assert net(history).shape == (1, 10)


def test_the_output_layer_is_equation_7() -> None:
    net, states = tiny(), torch.randn(3, 8)
    weight, bias = (each.detach() for each in net.project[0].parameters())
    hidden = states @ weight.T + bias
    gelu = 0.5 * hidden * (1 + torch.erf(hidden / 2**0.5))
    expected = gelu @ net.item_embedding.weight[:10].T + net.bias
    torch.testing.assert_close(net.score(states), expected, atol=1e-5, rtol=1e-5)


def test_places_see_both_sides_and_never_padding() -> None:
    net = tiny()
    one, other = (torch.tensor([[0, 4, last]], dtype=torch.int32) for last in (2, 7))
    assert (net.encode(one)[:, 1] - net.encode(other)[:, 1]).abs().max() > 1e-3
    torch.testing.assert_close(net(one), net(one[:, 1:]), atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(net(one), net(F.pad(one, (3, 0))), atol=1e-5, rtol=1e-5)


def test_the_cloze_asks_for_every_item_behind_a_mask_and_for_no_other(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    net, windows = tiny(), torch.tensor([[0, 4, 2, 7], [3, 1, 5, 9]], dtype=torch.int32)
    hidden = torch.tensor([[0, 1, 0, 1], [0, 0, 1, 0]], dtype=torch.bool)
    monkeypatch.setattr(bert4rec, "gaps", lambda _: hidden)
    asked = torch.tensor([[0, 10, 2, 10], [3, 1, 10, 9]], dtype=torch.int32)
    log_p = torch.log_softmax(net.score(net.encode(asked)), dim=-1)
    expected = -(log_p[0, 1, 4] + log_p[0, 3, 7] + log_p[1, 2, 5]) / 3
    torch.testing.assert_close(bert4rec.cloze_loss(net, windows), expected)


def test_gaps_are_a_share_of_the_items_or_the_last_alone_and_never_padding() -> None:
    torch.manual_seed(3)
    windows = torch.arange(1, 41).repeat(4000, 1).int()
    windows[:, :20] = 0
    hidden = bert4rec.gaps(windows)
    assert not hidden[:, :20].any()
    assert hidden.any(dim=1).all()
    alone = hidden[:, -1] & (hidden.sum(dim=1) == 1)
    assert alone.float().mean() == pytest.approx(bert4rec.LAST_ALONE, abs=0.03)
    assert hidden[~alone][:, 20:].float().mean() == pytest.approx(bert4rec.HIDDEN, abs=0.02)


def test_a_window_of_which_chance_hides_nothing_hides_its_last_item(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bert4rec, "HIDDEN", 0.0)
    assert bert4rec.gaps(torch.tensor([[0, 4, 2, 7]])).tolist() == [[False, False, False, True]]


def test_bert4rec_holds_its_floors_and_random_weights_do_not(trained: Trained, untrained: Trained) -> None:
    family, data = FAMILIES["bert4rec"], movielens.leave_one_out()
    net, random = trained("bert4rec"), untrained("bert4rec")
    hit_rate, ndcg = measured(lambda batch: net(batch["history"]), data)
    assert hit_rate >= family.floor("hr@10")
    assert ndcg >= family.floor("ndcg@10") > baselines("ml-100k").pop[1]
    assert measured(lambda batch: random(batch["history"]), data)[1] < 0.02


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
def test_an_empty_history_is_finite(trained: Trained, dtype: torch.dtype) -> None:
    with torch.no_grad():
        scores = trained("bert4rec").to(dtype)(torch.zeros(2, 50, dtype=torch.int32))
    assert scores.shape == (2, 1683)
    assert scores.isfinite().all()
