"""LRURec: the recurrence place by place, padding that adds nothing, and the floors."""

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pocketrec.model_zoo.data import movielens
from pocketrec.model_zoo.families import lrurec
from pocketrec.model_zoo.registry import FAMILIES
from pocketrec.model_zoo.training.baselines import baselines
from pocketrec.model_zoo.training.loop import measured

Trained = Callable[[str], nn.Module]


def tiny() -> lrurec.LRURec:
    torch.manual_seed(3)
    return lrurec.model(num_items=9, max_length=11, dim=8, hidden=6)


def place_by_place(layer: lrurec.LinearRecurrence, x: Tensor) -> Tensor:
    """The paper's recurrence over `x` `[T, d]` with complex numbers, a place after the other."""
    turn = torch.complex(-layer.log_decay.exp(), layer.log_phase.exp()).exp()
    into = torch.complex(*layer.into.weight.chunk(2))
    shift = torch.complex(*layer.into.bias.chunk(2))
    re, im = layer.out.weight.chunk(2, dim=1)
    state, outputs = torch.zeros(len(turn), dtype=torch.complex64), []
    for each in x:
        state = turn * state + layer.log_gain.exp() * (into @ each.to(into.dtype) + shift)
        outputs.append((torch.complex(re, -im) @ state).real + layer.out.bias)
    return torch.stack(outputs)


@pytest.mark.parametrize("length", [1, 2, 7, 8, 11])
def test_doubling_computes_the_recurrence_at_every_place(length: int) -> None:
    torch.manual_seed(3)
    layer, x = lrurec.LinearRecurrence(8, 6, 11), torch.randn(2, length, 8)
    expected = torch.stack([place_by_place(layer, each) for each in x])
    torch.testing.assert_close(layer(x, torch.ones(2, length, 1)), expected, atol=1e-5, rtol=1e-5)


def test_before_training_every_lambda_lies_on_the_ring_as_often_everywhere() -> None:
    torch.manual_seed(3)
    turn = torch.complex(*lrurec.LinearRecurrence(8, 4000, 50).power(1))
    inner, outer = lrurec.RING
    assert inner < turn.abs().min() < turn.abs().max() < outer
    middle = ((inner**2 + outer**2) / 2) ** 0.5  # as much of the ring is inside as outside
    assert (turn.abs() < middle).float().mean() == pytest.approx(0.5, abs=0.03)
    assert turn.mean().abs() < 0.05


def test_what_noise_leaves_in_the_states_is_as_large_as_the_noise() -> None:
    layer = lrurec.LinearRecurrence(8, 50, 2048)
    powers = torch.stack([torch.stack(layer.power(each)) for each in range(2000)])
    variance = layer.log_gain.exp().square() * powers.square().sum(dim=(0, 1))
    torch.testing.assert_close(variance, torch.ones(50), atol=1e-3, rtol=1e-3)


def test_a_place_sees_what_came_before_and_nothing_after() -> None:
    net, history = tiny(), torch.tensor([[4, 2, 7, 1]], dtype=torch.int32)
    early, late = (net.encode(torch.tensor([each])) for each in ([5, 2, 7, 1], [4, 2, 7, 3]))
    assert (net.encode(history) - early).abs().amax(dim=-1).min() > 1e-4
    torch.testing.assert_close(net.encode(history)[:, :3], late[:, :3])


def test_padding_moves_nothing() -> None:
    net, history = tiny(), torch.tensor([[4, 2, 7]], dtype=torch.int32)
    for padding in (1, 4, 8):
        torch.testing.assert_close(net(history), net(F.pad(history, (padding, 0))), atol=1e-5, rtol=1e-5)


def test_lrurec_holds_its_floors_and_random_weights_do_not(trained: Trained, untrained: Trained) -> None:
    family, data = FAMILIES["lrurec"], movielens.leave_one_out()
    net, random = trained("lrurec"), untrained("lrurec")
    hit_rate, ndcg = measured(lambda batch: net(batch["history"]), data)
    pop = baselines("ml-100k").pop
    assert hit_rate >= family.floor("hr@10") > pop[0]
    assert ndcg >= family.floor("ndcg@10") > pop[1]
    assert measured(lambda batch: random(batch["history"]), data)[1] < 0.02


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
def test_an_empty_history_is_finite(trained: Trained, dtype: torch.dtype) -> None:
    with torch.no_grad():
        scores = trained("lrurec").to(dtype)(torch.zeros(2, 50, dtype=torch.int32))
    assert scores.shape == (2, 1683)
    assert scores.isfinite().all()
