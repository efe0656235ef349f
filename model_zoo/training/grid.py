"""Weights that 8-bit codes hold as they are, so that a model loses nothing more when it is compressed."""

from __future__ import annotations

import torch
from torch import nn

_ENDS = 127  # the largest code
_SMALL = 2048  # numbers: smaller tensors are not worth codes


@torch.no_grad()
def to_grid(net: nn.Module) -> None:
    """Rounds each row of every large matrix to whole multiples of a 127th of its largest number.

    What training says of a model's quality is then what the int8 model has, too: among many items whose
    scores lie close together, rounding afterwards exchanges some.
    """
    for weight in net.parameters():
        if weight.ndim == 2 and weight.numel() >= _SMALL:
            step = weight.abs().amax(dim=1, keepdim=True).clamp(min=torch.finfo(weight.dtype).tiny) / _ENDS
            weight.copy_((weight / step).round() * step)
