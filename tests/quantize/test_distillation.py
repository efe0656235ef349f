"""Distillation: outputs come nearer to the teacher's, what is held out decides, ties and the module stay."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from pocketrec.quantize import Plan, compress
from pocketrec.quantize.course import Course
from pocketrec.quantize.distillation import Distilled, Lesson, NoGradients, Untaught, distil
from pocketrec.quantize.reference import with_values
from pocketrec.quantize.schemes.hot_rows import HotRows
from pocketrec.quantize.schemes.linear import Linear
from pocketrec.quantize.schemes.product import Product
from pocketrec.quantize.tensor import Floats
from pocketrec.quantize.usage import Usage


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
    idle = replace(lesson(net), function=Constant(net))
    alone, both = (
        distil(net, codes, list(codes), each, steps=50) for each in ([lesson(net)], [idle, lesson(net)])
    )
    assert both.after == alone.after
    with pytest.raises(NoGradients, match=r"none reaches item\.weight, mix\.weight"):
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
    return Lesson(function=net, batches=batches[4:], held_out=batches[:4], lists=(True,))


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
    broken = replace(of_lengths(net), function=Broken(net))
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


class Cut(Exception):
    """What ends a distillation before its time."""


def cut_at(net: Next, codes: Mapping[str, Any], step: int, **how: Any) -> list[Course]:
    """The courses that were told until a distillation was cut short at a step."""

    def progress(now: int) -> None:
        if now == step:
            raise Cut

    told: list[Course] = []
    with pytest.raises(Cut):
        distil(net, codes, list(codes), [lesson(net)], progress=progress, keep=told.append, **how)
    return told


def assert_same(one: Distilled, other: Distilled) -> None:
    assert (one.before, one.after, one.steps) == (other.before, other.after, other.steps)
    for name, form in one.codes.items():
        for part in ("codes", "scales", "codebooks"):
            if hasattr(form, part):
                np.testing.assert_array_equal(getattr(form, part), getattr(other.codes[name], part))


ROWS = Plan(tensors={"item.weight": HotRows(share=0.25, cold_bits=2), "mix.weight": Linear(bits=4)})
READ = Usage(popularity=np.arange(50.0))


@pytest.mark.parametrize(("plan", "step"), [(PLAN, 51), (PLAN, 149), (ROWS, 60)])
def test_what_was_cut_short_goes_on_to_the_same_bytes(net: Next, plan: Plan, step: int) -> None:
    _, codes = compress(net, plan, usage={"item.weight": READ})
    whole = distil(net, codes, list(codes), [lesson(net)], steps=150)
    courses = cut_at(net, codes, step, steps=150)
    assert len(courses) == step // 50
    taken: list[int] = []
    begun, lessons = courses[-1], [lesson(net)]
    again = distil(net, codes, list(codes), lessons, steps=150, begun=begun, progress=taken.append)
    assert taken[0] == begun.step + 1
    assert whole.steps
    assert_same(again, whole)


def test_after_a_look_without_gain_it_goes_on_as_it_went(net: Next) -> None:
    exact = torch.randint(-7, 8, (16, 32), generator=torch.Generator().manual_seed(3)).float()
    with torch.no_grad():
        net.mix.weight.copy_(exact / 64)
    _, codes = compress(net, Plan(tensors={"mix.weight": Linear(bits=4, clipping="search")}))
    told: list[Course] = []
    whole = distil(net, codes, list(codes), [lesson(net)], steps=400, keep=told.append)
    assert any(not each.moments for each in told[:-1])
    for begun in told:
        assert_same(distil(net, codes, list(codes), [lesson(net)], steps=400, begun=begun), whole)


def test_one_that_ended_is_answered_without_a_step(net: Next) -> None:
    _, codes = compress(net, PLAN)
    told: list[Course] = []
    whole = distil(net, codes, list(codes), [lesson(net)], steps=60, keep=told.append)
    assert [each.step for each in told] == [50, 60]
    assert not told[-1].moments
    again = distil(
        net, codes, list(codes), [lesson(net)], steps=60, begun=told[-1], progress=forbidden, keep=forbidden
    )
    assert_same(again, whole)


def forbidden(_: object) -> None:
    raise AssertionError("no step is taken")


def test_a_course_that_cannot_be_its_own_is_begun_anew(net: Next) -> None:
    _, codes = compress(net, PLAN)
    (course,) = cut_at(net, codes, 60, steps=100)
    bad = replace(course, state={name: each * torch.nan for name, each in course.state.items()})
    taken: list[int] = []
    again = distil(net, codes, list(codes), [lesson(net)], steps=100, begun=bad, progress=taken.append)
    assert taken[0] == 1
    assert_same(again, distil(net, codes, list(codes), [lesson(net)], steps=100))


class Twice(nn.Module):
    """A table that is held twice: registered, and in a list, which scores are made of."""

    def __init__(self) -> None:
        super().__init__()
        self.item = nn.Embedding(50, 16)
        self.held = [self.item.weight]

    def forward(self, ids: Tensor) -> tuple[Tensor]:
        return (self.item(ids).mean(1) @ self.held[0].T,)


def test_what_the_module_holds_besides_its_parameters_is_compressed_and_trained_too() -> None:
    torch.manual_seed(0)
    net = Twice().eval()
    compressed, codes = compress(net, Plan(tensors={"item.weight": Product(bits=4, width=4)}))
    assert compressed.held[0] is compressed.item.weight
    only_scores = replace(of_lengths(Lengths()), function=Scores(net))
    done = distil(net, codes, ["item.weight"], [only_scores], steps=100)
    wanted, found = (
        Scores(each)(only_scores.held_out[0][0])[0].log_softmax(-1) for each in (net, compressed)
    )
    first = float((wanted.exp() * (wanted - found)).sum(-1).mean().detach())
    alone = replace(only_scores, held_out=only_scores.held_out[:1])
    assert distil(net, codes, ["item.weight"], [alone], steps=0).before == pytest.approx(first, rel=1e-4)
    assert 0 < done.after < done.before


class Scores(nn.Module):
    """Scores of histories that are constants: the table is read from the list alone."""

    def __init__(self, net: Twice) -> None:
        super().__init__()
        self.net = net

    def forward(self, ids: Tensor) -> tuple[Tensor]:
        return (torch.nn.functional.one_hot(ids[:, 0] % 16, 16).float() @ self.net.held[0].T,)


class Faulty(nn.Module):
    """Fails in one way or another as soon as the table is not what it was."""

    def __init__(self, net: Lengths, fail: Callable[[Tensor], object], *, always: bool) -> None:
        super().__init__()
        self.module, self.fail, self.always = net, fail, always
        self.known = net.item.weight.detach().clone()

    def forward(self, ids: Tensor) -> tuple[Tensor]:
        weight = self.module.item.weight
        if self.always or not bool((weight == self.known).all()):
            self.fail(weight)
        found: tuple[Tensor] = self.module(ids)
        return found


def no_room(weight: Tensor) -> None:
    if weight.requires_grad and torch.is_grad_enabled():
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 8 bytes.")


FAULTS: dict[str, tuple[Callable[[Tensor], object], type[Exception], str]] = {
    "numpy": (lambda it: (it * 1).numpy() if torch.is_grad_enabled() else None, NoGradients, "numpy"),
    "shape": (lambda it: it @ it, Untaught, "shapes cannot be multiplied"),
    "key": (lambda it: {"found": it}["lost"], Untaught, "lost"),
    "memory": (no_room, Untaught, "can't allocate memory"),
}


@pytest.mark.parametrize("always", [True, False], ids=["teacher", "student"])
@pytest.mark.parametrize("fault", FAULTS)
def test_only_what_is_for_want_of_gradients_is_called_that(fault: str, always: bool) -> None:
    torch.manual_seed(0)
    net = Lengths().eval()
    _, codes = compress(net, Plan(tensors={"item.weight": Linear(bits=4)}))
    fail, kind, said = FAULTS[fault]
    faulty = replace(of_lengths(net), function=Faulty(net, fail, always=always))
    with pytest.raises(Untaught, match=said) as caught:
        distil(net, codes, ["item.weight"], [faulty], steps=50)
    assert type(caught.value) is kind


def test_what_progress_raises_is_not_the_modules(net: Next) -> None:
    _, codes = compress(net, PLAN)
    assert cut_at(net, codes, 3, steps=50) == []
