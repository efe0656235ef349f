"""Distillation: outputs come nearer to the teacher's, what is held out decides, ties and the module stay."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from tests.quantize.conftest import Floats
from torch import Tensor, nn

from pocketrec.quantize import Plan, compress
from pocketrec.quantize.distillation import Lesson, distil
from pocketrec.quantize.reference import with_values
from pocketrec.quantize.schemes.linear import Linear
from pocketrec.quantize.schemes.product import Product


class Next(nn.Module):
    """Scores of all items after two; one table at both ends."""

    def __init__(self) -> None:
        super().__init__()
        self.item = nn.Embedding(50, 16, padding_idx=0)
        self.mix = nn.Linear(32, 16)
        self.out = nn.Linear(16, 50, bias=False)
        self.out.weight = self.item.weight

    def forward(self, ids: Tensor) -> tuple[Tensor, Tensor]:
        state = torch.tanh(self.mix(self.item(ids).flatten(1)))
        scores = self.out(state)
        return scores.masked_fill(torch.arange(50) == 0, -torch.inf), state


@pytest.fixture
def net() -> Next:
    torch.manual_seed(0)
    return Next().eval()


def lesson(net: Next, *, held_out_seed: int = 1) -> Lesson:
    def batches(seed: int, count: int) -> list[tuple[Tensor]]:
        draw = torch.Generator().manual_seed(seed)
        return [(torch.randint(1, 50, (16, 2), generator=draw),) for _ in range(count)]

    return Lesson(
        function=net,
        prefix="",
        batches=batches(0, 20),
        held_out=batches(held_out_seed, 4),
        lists=(True, False),
    )


PLAN = Plan(tensors={"item.weight": Product(bits=4, width=4), "mix.weight": Linear(bits=4)})


def test_outputs_come_nearer_to_those_of_the_module_as_it_was(net: Next) -> None:
    _, codes = compress(net, PLAN)
    before = {name: each.clone() for name, each in net.state_dict().items()}
    done = distil(net, codes, list(codes), [lesson(net)], steps=150)
    assert 0 < done.steps <= 150
    assert done.after < 0.8 * done.before
    assert all(torch.equal(each, before[name]) for name, each in net.state_dict().items())
    assert all(each.grad is None for each in net.parameters())

    ids = torch.randint(1, 50, (200, 2), generator=torch.Generator().manual_seed(7))

    @torch.no_grad()
    def far(values: dict[str, Floats]) -> float:
        wanted, found = (each(ids)[0][:, 1:].log_softmax(-1) for each in (net, with_values(net, values)))
        return float((wanted.exp() * (wanted - found)).sum(-1).mean())

    start = far({name: each.dequantize() for name, each in codes.items()})
    assert far({name: each.dequantize() for name, each in done.codes.items()}) < 0.8 * start


def test_only_what_is_named_is_tuned_and_the_rest_counts_as_it_is_compressed(net: Next) -> None:
    _, codes = compress(net, PLAN)
    done = distil(net, codes, ["item.weight"], [lesson(net)], steps=50)
    assert list(done.codes) == ["item.weight"]


class Constant(nn.Module):
    """A function that reads nothing that is compressed."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module

    def forward(self, ids: Tensor) -> tuple[Tensor, Tensor]:
        return ids.float(), ids.float()


def test_a_function_that_reads_none_of_the_tensors_teaches_nothing_and_stops_nothing(net: Next) -> None:
    _, codes = compress(net, PLAN)
    idle = replace(lesson(net), function=Constant(net), prefix="module.")
    alone, both = (
        distil(net, codes, list(codes), each, steps=50) for each in ([lesson(net)], [idle, lesson(net)])
    )
    assert both.after == alone.after
    with pytest.raises(RuntimeError, match=r"none reaches item\.weight, mix\.weight"):
        distil(net, codes, list(codes), [idle], steps=50)


def test_the_same_lessons_give_the_same_bytes(net: Next) -> None:
    _, codes = compress(net, PLAN)
    one, other = (distil(net, codes, list(codes), [lesson(net)], steps=60) for _ in range(2))
    for name, each in one.codes.items():
        np.testing.assert_array_equal(each.dequantize(), other.codes[name].dequantize())


def test_where_no_step_helps_on_what_was_held_out_the_codes_stay(net: Next) -> None:
    exact = torch.round(torch.randn(16, 32, generator=torch.Generator().manual_seed(3)) * 2).clamp(-7, 7)
    exact[:, 0] = 7
    with torch.no_grad():
        net.mix.weight.copy_(exact)
    _, codes = compress(net, Plan(tensors={"mix.weight": Linear(bits=4)}))
    done = distil(net, codes, ["mix.weight"], [lesson(net)], steps=50)
    assert done.before == pytest.approx(0, abs=1e-9)
    assert (done.steps, done.codes["mix.weight"]) == (0, codes["mix.weight"])


class Lengths(nn.Module):
    """Rows of length 1: of a row of zeros the length has no gradient that is a number."""

    def __init__(self) -> None:
        super().__init__()
        self.item = nn.Embedding(50, 16, padding_idx=0)
        self.mix = nn.Linear(16, 16, bias=False)

    def forward(self, ids: Tensor) -> tuple[Tensor]:
        user = self.mix(self.item(ids).mean(1))
        return (user / (user.square().sum(-1, keepdim=True).sqrt() + 1e-6) @ self.item.weight.T,)


def of_lengths(net: Lengths) -> Lesson:
    draw = torch.Generator().manual_seed(0)
    drawn = [torch.randint(1, 50, (16, 2), generator=draw) for _ in range(24)]
    for each in drawn:
        each[:2] = 0  # histories of nothing
    batches = [(each,) for each in drawn]
    return Lesson(function=net, prefix="", batches=batches[4:], held_out=batches[:4], lists=(True,))


def test_a_gradient_that_is_no_number_leaves_what_it_reaches_where_it_is() -> None:
    torch.manual_seed(0)
    net = Lengths().eval()
    _, codes = compress(net, Plan(tensors={"item.weight": Linear(bits=4), "mix.weight": Linear(bits=4)}))
    done = distil(net, codes, list(codes), [of_lengths(net)], steps=100)
    assert 0 < done.after <= done.before
    assert all(np.isfinite(each.dequantize()).all() for each in done.codes.values())


class Broken(nn.Module):
    """Outputs that are numbers as long as the table is what it was."""

    def __init__(self, net: Lengths) -> None:
        super().__init__()
        self.module, self.known = net, net.item.weight.detach().clone()

    def forward(self, ids: Tensor) -> tuple[Tensor]:
        (scores,) = self.module(ids)
        same = (self.module.item.weight == self.known).all()
        return (torch.where(same, scores, scores * torch.nan),)


def test_an_output_that_is_no_number_any_more_is_never_nearer() -> None:
    """Left out of the loss it would be none, and what gives nothing but NaN would be perfect."""
    torch.manual_seed(0)
    net = Lengths().eval()
    _, codes = compress(net, Plan(tensors={"item.weight": Linear(bits=4)}))
    broken = replace(of_lengths(net), function=Broken(net), prefix="module.")
    done = distil(net, codes, ["item.weight"], [broken], steps=60)
    assert (done.steps, done.before, done.after) == (0, np.inf, np.inf)
    assert done.codes["item.weight"] is codes["item.weight"]


def test_scales_stay_within_what_float16_holds() -> None:
    torch.manual_seed(0)
    net = Next().eval()
    with torch.no_grad():
        net.item.weight.mul_(65000 * 7 / net.item.weight.abs().max())
    _, codes = compress(net, Plan(tensors={"item.weight": Linear(bits=4)}))
    done = distil(net, codes, ["item.weight"], [lesson(net)], steps=100)
    assert np.isfinite(done.codes["item.weight"].dequantize()).all()
