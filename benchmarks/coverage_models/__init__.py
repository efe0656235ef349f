"""The models of public recommender libraries, one file a library, each built small and with random weights.

A file offers `models()`: a list of `Model`. Its `build` gives the module in eval mode and a way to
draw inputs for any batch size, so that the check has inputs that the conversion has never seen.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Generator, nn

LIBRARIES = {
    "torch-rechub": "rechub",
    "DeepCTR-Torch": "deepctr",
    "RecBole": "recbole_models",
    "FuxiCTR": "fuxi",
    "rec-pangu": "pangu",
    "torchfm": "fm",
    "torchrec": "jagged",
    "transformers": "hf",
}

# Draws the positional arguments of `forward` for a batch; the same generator state, the same inputs.
Draw = Callable[[Generator, int], tuple[Any, ...]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Built:
    """A module and its inputs.

    Attributes:
        module: in eval mode, weights random but not constant.
        draw: gives the positional arguments of `forward`.
        batched: False where the first dimension of the inputs is no batch.
        batch: the size of the example that is converted.
    """

    module: nn.Module
    draw: Draw
    batched: bool = True
    batch: int = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """A name and what builds it; `build` is called in a child process only."""

    name: str
    build: Callable[[], Built]


def models_of(library: str) -> list[Model]:
    """All models of a library, which is imported by this."""
    listed: list[Model] = importlib.import_module(f"coverage_models.{LIBRARIES[library]}").models()
    return listed


def spread(module: nn.Module, seed: int = 0, scale: float = 0.3) -> nn.Module:
    """The module in eval mode, with every parameter that would leave the outputs constant drawn anew.

    Libraries start tables with a deviation of 1e-4 or with zeros; a wrong artifact would not show.
    """
    generator = Generator().manual_seed(seed)
    with torch.no_grad():
        for value in module.parameters():
            deviation = float(value.std()) if value.numel() > 1 else 0.0
            if value.is_floating_point() and deviation < 0.05:
                value.add_(scale * torch.randn(value.shape, generator=generator))
        for name, value in module.named_buffers():
            if name.endswith("running_mean"):
                value.add_(0.2 * torch.randn(value.shape, generator=generator))
            elif name.endswith("running_var"):
                value.mul_(0.5 + torch.rand(value.shape, generator=generator))
    return module.eval().requires_grad_(False)


def ids(generator: Generator, low: int, high: int, *shape: int) -> torch.Tensor:
    """int64 in [low, high)."""
    return torch.randint(low, high, shape, generator=generator)


def reals(generator: Generator, *shape: int) -> torch.Tensor:
    """float32 in [0, 1)."""
    return torch.rand(shape, generator=generator)


def histories(
    generator: Generator, batch: int, length: int, items: int, *, pad: str = "right", full: bool = False
) -> tuple[torch.Tensor, torch.Tensor]:
    """Ids `[batch, length]` from 1 on, padded with 0 on one side, and the lengths from 1 on `[batch]`.

    `full`: the first row has no padding, which some models need of a batch.
    """
    lengths = torch.randint(1, length + 1, (batch,), generator=generator)
    if full:
        lengths[0] = length
    values = torch.randint(1, items, (batch, length), generator=generator)
    steps = torch.arange(length).expand(batch, length)
    keep = steps < lengths[:, None] if pad == "right" else steps >= length - lengths[:, None]
    return values * keep, lengths
