"""Quality-aware training: a plan's own arithmetic in the forward pass, straight through in the backward.

    forward   the values that the plan's codes stand for
    backward  the gradient as if nothing had been rounded (Bengio, Léonard and Courville, 2013), and,
              where levels are evenly spaced, a learned step (Esser et al., 2020, "Learned step size
              quantization", arXiv 1902.08153)

After training, `finish` takes the parametrizations off, and `compress` with the same plan gives
codes for the weights that were trained to be rounded. Levels that were learned are found again where
the scheme searches its range (`clipping="search"`).
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from pocketrec.errors import PlanError
from pocketrec.quantize.plan import Plan
from pocketrec.quantize.reference import compressible, to_array
from pocketrec.quantize.schemes import Scheme
from pocketrec.quantize.schemes.linear import Linear

M = TypeVar("M", bound=nn.Module)
_SMALLEST_STEP = 2.0**-14  # the smallest normal float16


class FakeQuantized(nn.Module):
    """A parametrization that rounds as `scheme` does; gradients pass straight through."""

    def __init__(self, name: str, scheme: Scheme) -> None:
        super().__init__()
        self._name, self._scheme = name, scheme

    def forward(self, weight: Tensor) -> Tensor:
        """The values that the scheme's codes for `weight` stand for."""
        rounded = self._scheme.quantize(self._name, to_array(weight)).dequantize()
        return weight + (torch.from_numpy(rounded).to(weight) - weight).detach()


class LearnedStep(nn.Module):
    """As FakeQuantized for symmetric levels per row, with a step per row that is trained too.

    The step begins where the scheme itself would put it, and is stored as its logarithm, so that it
    stays positive. Its gradient is scaled by 1 / sqrt(columns * largest code), as in the paper.
    """

    def __init__(self, name: str, scheme: Linear, weight: Tensor) -> None:
        super().__init__()
        made = scheme.quantize(name, to_array(weight))
        steps = torch.from_numpy(made.scales.astype("float32")).clamp(min=_SMALLEST_STEP)
        self.log_step = nn.Parameter(steps.log())
        self._half = 1 << (scheme.bits - 1)
        self._gain = float((weight[0].numel() * (self._half - 1)) ** -0.5)

    def forward(self, weight: Tensor) -> Tensor:
        """The weight at its row's levels, `[rows, ...]`; rows of zeros stay zero."""
        rows = weight.reshape(len(weight), -1)
        scaled = self.log_step * self._gain
        exact = (scaled + (self.log_step - scaled).detach()).exp().clamp(min=_SMALLEST_STEP)
        step = exact + (exact.half().float() - exact).detach()  # scales are stored as float16
        levels = (rows / step).clamp(-self._half, self._half - 1)
        codes = levels + (levels.round() - levels).detach()
        return (codes * step).reshape(weight.shape)


def prepare_training(module: M, plan: Plan, *, learn_steps: bool = True) -> M:
    """The module itself, in whose forward every planned parameter is now rounded as planned.

    Args:
        module: to be trained further, in place; tied parameters must be tied as one module's.
        plan: as for `compress`.
        learn_steps: whether symmetric levels per row learn their step; else the scheme places them
            anew in every forward.

    Raises:
        PlanError: a pattern fits nothing, a planned tensor is no parameter, or it is tied.
    """
    for name, planned in plan.schemes_for(compressible(module)).items():
        scheme = _to_nearest(planned)
        owner, attribute = _owner(module, name)
        weight = getattr(owner, attribute)
        if not isinstance(weight, nn.Parameter):
            raise PlanError(f"{name}: is a buffer, which is not trained; leave it out of the plan")
        per_row = isinstance(scheme, Linear) and scheme.symmetric and scheme.granularity == "per_row"
        learned = learn_steps and per_row and weight.ndim > 1
        step = (
            LearnedStep(name, scheme, weight)
            if learned and isinstance(scheme, Linear)
            else FakeQuantized(name, scheme)
        )
        parametrize.register_parametrization(owner, attribute, step)
    return module


def finish(module: M) -> M:
    """The module itself with plain parameters again, at the rounded values that it was trained with."""
    for each in list(module.modules()):
        if parametrize.is_parametrized(each):
            names = list(each.parametrizations)  # type: ignore[arg-type]
            for name in names:
                parametrize.remove_parametrizations(each, name, leave_parametrized=True)
    return module


def _to_nearest(scheme: Scheme) -> Scheme:
    """The scheme without error feedback: training moves what rounding loses, as feedback would."""
    if getattr(scheme, "rounding", "nearest") == "nearest":
        return scheme
    given: Any = scheme
    nearest: Scheme = replace(given, rounding="nearest")
    return nearest


def _owner(module: nn.Module, name: str) -> tuple[nn.Module, str]:
    path, _, attribute = name.rpartition(".")
    owner = module.get_submodule(path)
    tied = [
        other
        for other, each in module.named_parameters(remove_duplicate=False)
        if each is getattr(owner, attribute) and other != name
    ]
    if tied:
        raise PlanError(f"{name}: is tied to {tied[0]}; read it from one module and train that")
    return owner, attribute
