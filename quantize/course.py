"""How far a distillation came, as plain tensors and numbers: what it can be gone on with, to the same bits.

It is taken after a look at what was held out. What is trained is the best state then: after a look without
gain that is gone back to, with a fresh optimizer, and after one with gain it is what there is, with the
optimizer as it is.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor

EVERY = 50  # steps between two looks at what was held out
# Steps as shares of the size of what they move: the first, the factor after each look without gain, the last.
RATE, SHORTER, LEAST_RATE = 0.008, 0.3, 0.0002
MOMENTS = ("step", "exp_avg", "exp_avg_sq")  # Adam's, by PyTorch's names


@dataclass(frozen=True, slots=True, kw_only=True)
class Course:
    """How far a distillation came.

    Attributes:
        before: the loss on what was held out, with the codes that it began with.
        best: the least.
        step: how many were taken.
        gained: how many until the best; 0 where that is what it began with.
        rate: of the steps that follow.
        state: the best one, by name of what is trained.
        moments: the optimizer's, by name of what is trained and of the moment; of a fresh one none.
        lengths: of the optimizer's steps, by name of what is trained; of a fresh one none.
    """

    before: float
    best: float
    step: int = 0
    gained: int = 0
    rate: float = RATE
    state: Mapping[str, Tensor]
    moments: Mapping[str, Mapping[str, Tensor]] = field(default_factory=dict)
    lengths: Mapping[str, float] = field(default_factory=dict)

    def ended(self, steps: int) -> bool:
        """Whether no step follows, of `steps` at most."""
        return self.step >= steps or self.rate < LEAST_RATE

    def fits(self, trained: Mapping[str, Tensor], steps: int) -> bool:
        """Whether it can be of a distillation of so many steps that trains such tensors."""
        return (
            self._counts_fit(steps)
            and self.state.keys() == trained.keys()
            and all(_like(each, trained[name]) for name, each in self.state.items())
            and self.moments.keys() <= trained.keys()
            and all(_fit(each, trained[name]) for name, each in self.moments.items())
            and self.lengths.keys() == (trained.keys() if self.moments else set())
            and all(0 < each < math.inf for each in self.lengths.values())
        )

    def _counts_fit(self, steps: int) -> bool:
        looked = all(each % EVERY == 0 or each == steps for each in (self.step, self.gained))
        gained = self.best < self.before if self.gained else self.best == self.before
        return 0 <= self.gained <= self.step <= steps and looked and gained and 0 < self.rate <= RATE


def _fit(moments: Mapping[str, Tensor], like: Tensor) -> bool:
    """Whether the moments are all of what Adam keeps of such a tensor."""
    if moments.keys() != set(MOMENTS):
        return False
    count, mean, square = (moments[name] for name in MOMENTS)
    counted = _like(count, torch.zeros(())) and bool(count >= 1)
    return counted and _like(mean, like) and _like(square, like) and bool((square >= 0).all())


def _like(tensor: Tensor, other: Tensor) -> bool:
    """Whether it has the other's shape and dtype, and holds numbers alone."""
    same = tensor.shape == other.shape and tensor.dtype == other.dtype
    return same and bool(torch.isfinite(tensor).all())
