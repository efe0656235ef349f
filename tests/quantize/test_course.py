"""A course fits what trains the same tensors and could have come so far, and nothing else."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from pocketrec.quantize.course import RATE, SHORTER, Course

TRAINED = {"item/latent": torch.zeros(4, 2), "item/log_scales": torch.zeros(4, 1)}
COURSE = Course(
    before=2.0,
    best=1.0,
    step=100,
    gained=100,
    state={name: torch.ones_like(each) for name, each in TRAINED.items()},
    moments={
        name: {"step": torch.tensor(100.0), "exp_avg": -torch.ones_like(each), "exp_avg_sq": each.clone()}
        for name, each in TRAINED.items()
    },
    lengths=dict.fromkeys(TRAINED, 0.001),
)
FRESH = replace(COURSE, step=150, rate=RATE * SHORTER, moments={}, lengths={})


def test_a_course_fits_after_a_look_with_gain_without_one_and_where_none_ever_gained() -> None:
    lost = replace(FRESH, best=2.0, gained=0)
    for each in (COURSE, FRESH, lost, replace(lost, before=torch.inf, best=torch.inf)):
        assert each.fits(TRAINED, 170)
        assert not each.ended(170)
    last = replace(FRESH, step=170)
    assert last.fits(TRAINED, 170)
    assert last.ended(170)
    assert replace(FRESH, rate=0.0001).ended(170)


def one_of(course: Course, part: str, change: Callable[[Tensor], Tensor]) -> Course:
    """The course with one tensor of a part changed."""
    name = "item/latent"
    if part == "state":
        return replace(course, state={**course.state, name: change(course.state[name])})
    moments = {**course.moments[name], part: change(course.moments[name][part])}
    return replace(course, moments={**course.moments, name: moments})


WRONG: dict[str, Callable[[Course], Course]] = {
    "a NaN": lambda each: one_of(each, "state", lambda it: it * torch.nan),
    "another shape": lambda each: one_of(each, "state", lambda it: it[:1]),
    "another dtype": lambda each: one_of(each, "state", lambda it: it.double()),
    "a tensor less": lambda each: replace(each, state=dict(list(each.state.items())[1:])),
    "a tensor more": lambda each: replace(each, state={**each.state, "other/latent": torch.zeros(1)}),
    "an infinite mean": lambda each: one_of(each, "exp_avg", lambda it: it + torch.inf),
    "a negative square": lambda each: one_of(each, "exp_avg_sq", lambda it: it - 1),
    "no step counted": lambda each: one_of(each, "step", lambda it: it * 0),
    "a moment less": lambda each: replace(each, moments={name: {} for name in each.moments}),
    "moments of nothing": lambda each: replace(each, moments={"other/latent": {}}),
    "no lengths": lambda each: replace(each, lengths={}),
    "endless lengths": lambda each: replace(each, lengths=dict.fromkeys(each.lengths, torch.inf)),
    "a step between looks": lambda each: replace(each, step=51),
    "a step beyond the last": lambda each: replace(each, step=200),
    "a gain to come": lambda each: replace(each, gained=150),
    "a gain that is none": lambda each: replace(each, best=each.before),
    "a rate of nothing": lambda each: replace(each, rate=0.0),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_a_course_that_cannot_be_one_of_it_does_not_fit(wrong: str) -> None:
    assert not WRONG[wrong](COURSE).fits(TRAINED, 170)
