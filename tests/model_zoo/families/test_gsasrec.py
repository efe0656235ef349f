"""gSASRec: its loss, what is drawn for it, and the floors."""

import math
from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pocketrec.model_zoo.data import movielens
from pocketrec.model_zoo.families import gsasrec, sasrec
from pocketrec.model_zoo.registry import FAMILIES
from pocketrec.model_zoo.training.baselines import baselines
from pocketrec.model_zoo.training.loop import measured

Trained = Callable[[str], nn.Module]


def tiny() -> sasrec.SASRec:
    torch.manual_seed(3)
    return gsasrec.model(num_items=9, max_length=6, dim=8)


@pytest.mark.parametrize("calibration", [0.0, 0.75, 1.0])
def test_the_loss_is_that_of_the_paper(calibration: float, monkeypatch: pytest.MonkeyPatch) -> None:
    net, windows = tiny(), torch.tensor([[0, 4, 2, 7], [3, 1, 5, 9]], dtype=torch.int32)
    drawn = torch.tensor([[1, 3], [8, 8], [6, 2], [4, 9], [1, 2]])
    monkeypatch.setattr(gsasrec, "unlike", lambda chosen, others, count: drawn)
    even = math.log(9 - 1)  # by what the scores are shifted
    probability = torch.sigmoid(net.score(net.encode(windows[:, :-1])) - even)
    share = 2 / (9 - 1)
    power = share * (calibration * (1 - 1 / share) + 1 / share)
    places = [(0, 1, 2), (0, 2, 7), (1, 0, 1), (1, 1, 5), (1, 2, 9)]  # row, place, and what follows it
    expected = torch.tensor(0.0)
    for (row, place, item), negatives in zip(places, drawn, strict=True):
        each = probability[row, place]
        expected -= torch.log(each[item] ** power) + torch.log(1 - each[negatives]).sum()
    loss = gsasrec.gbce_loss(net, windows, negatives=2, calibration=calibration)
    torch.testing.assert_close(loss, expected / len(places))


def test_without_calibration_it_is_cross_entropy_and_with_all_of_it_the_share_of_the_negatives() -> None:
    assert gsasrec.power_of(0.1, 0.0) == pytest.approx(1.0)
    assert gsasrec.power_of(0.1, 1.0) == pytest.approx(0.1)
    assert gsasrec.power_of(1.0, 0.5) == pytest.approx(1.0)


@pytest.mark.parametrize(("calibration", "believed"), [(1.0, 0.2), (0.0, 0.2 / (0.2 + 0.8 * 0.25))])
def test_whole_calibration_believes_in_an_item_as_often_as_it_follows(
    calibration: float, believed: float
) -> None:
    """The score at which the mean loss of an item that follows in a fifth of all cases has no slope."""
    share, score = 0.25, torch.zeros((), dtype=torch.float64, requires_grad=True)
    power = gsasrec.power_of(share, calibration)
    for _ in range(4000):
        loss = -0.2 * power * F.logsigmoid(score) - 0.8 * share * F.logsigmoid(-score)
        (slope,) = torch.autograd.grad(loss, score)
        score = (score - slope).detach().requires_grad_()
    assert torch.sigmoid(score).item() == pytest.approx(believed, abs=1e-4)


def test_negatives_are_all_items_but_the_one_that_follows_as_often_each() -> None:
    torch.manual_seed(3)
    for item in (1, 4, 9):
        drawn: Tensor = gsasrec.unlike(torch.tensor([item]), 8, 40_000)
        often = torch.bincount(drawn[0], minlength=10) / 5_000
        assert often[0] == often[item] == 0
        assert often[often > 0].numpy() == pytest.approx([1.0] * 8, abs=0.06)


def test_padding_moves_nothing() -> None:
    net, history = tiny(), torch.tensor([[4, 2, 7]], dtype=torch.int32)
    torch.testing.assert_close(net(history), net(F.pad(history, (3, 0))), atol=1e-5, rtol=1e-5)


def test_gsasrec_holds_its_floors_and_random_weights_do_not(trained: Trained, untrained: Trained) -> None:
    family, data = FAMILIES["gsasrec"], movielens.leave_one_out()
    net, random = trained("gsasrec"), untrained("gsasrec")
    hit_rate, ndcg = measured(lambda batch: net(batch["history"]), data)
    markov = baselines("ml-100k").markov
    assert hit_rate >= family.floor("hr@10") > markov[0]
    assert ndcg >= family.floor("ndcg@10") > markov[1]
    assert measured(lambda batch: random(batch["history"]), data)[1] < 0.02


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
def test_an_empty_history_is_finite(trained: Trained, dtype: torch.dtype) -> None:
    with torch.no_grad():
        scores = trained("gsasrec").to(dtype)(torch.zeros(2, 50, dtype=torch.int32))
    assert scores.shape == (2, 1683)
    assert scores.isfinite().all()
