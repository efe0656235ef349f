"""Nets that families are put together from."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn


def perceptron(*widths: int, dropout: float = 0.0) -> nn.Sequential:
    """Linear layers between the widths, each followed by ReLU and dropout."""
    layers: list[nn.Module] = []
    for before, after in pairwise(widths):
        layers += [nn.Linear(before, after), nn.ReLU(), nn.Dropout(dropout)]
    return nn.Sequential(*layers)


def scorer(*widths: int, dropout: float = 0.0) -> nn.Sequential:
    """A perceptron of the widths whose last layer gives one number."""
    return projector(*widths, 1, dropout=dropout)


def projector(*widths: int, dropout: float = 0.0) -> nn.Sequential:
    """A perceptron of the widths whose last layer is linear."""
    return nn.Sequential(*perceptron(*widths[:-1], dropout=dropout), nn.Linear(widths[-2], widths[-1]))


def mixed(logits: Tensor, experts: Tensor) -> Tensor:
    """The experts `[B, n, hidden]` weighed by the softmax of `logits` `[B, n]`."""
    return (torch.softmax(logits, dim=-1).unsqueeze(1) @ experts).squeeze(1)
