"""Weights that a hook computes anew from others before every forward: weight and spectral norm, pruning.

`torch.nn.utils` does so in its old form. In eval mode the weight is the same in every call, so it is
computed once and is a parameter like any other.
"""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import nn
from torch.nn.utils.prune import BasePruningMethod
from torch.nn.utils.spectral_norm import SpectralNorm
from torch.nn.utils.weight_norm import WeightNorm

_PARTS = ("_g", "_v", "_u", "_orig", "_mask")


class ComputedWeightRule:
    """Matches modules with such a hook."""

    name = "computed_weight_to_parameter"
    reason = "a hook computes the weight anew in every call, and it is the same each time"

    def matches(self, module: nn.Module) -> bool:
        """True where a weight is computed by one of PyTorch's own hooks."""
        return bool(_hooks(module))

    def replace(self, module: nn.Module) -> nn.Module:
        """The module with the weight that the hook gives, without the hook and what it computed from."""
        replacement = copy.copy(module)
        hooks = _hooks(module)
        for name in ("_forward_pre_hooks", "_parameters", "_buffers"):
            replacement.__dict__[name] = copy.copy(module.__dict__[name])
        for key, hook in hooks.items():
            del replacement._forward_pre_hooks[key]
            _compute(replacement, hook)
        return replacement


def _hooks(module: nn.Module) -> dict[int, Any]:
    kinds = (WeightNorm, SpectralNorm, BasePruningMethod)
    return {key: each for key, each in module._forward_pre_hooks.items() if isinstance(each, kinds)}


def _compute(module: nn.Module, hook: Any) -> None:
    """Makes the weight a parameter, and drops what it was computed from."""
    name = getattr(hook, "_tensor_name", None) or hook.name
    with torch.no_grad():
        hook(module, ())
        value = getattr(module, name).detach().clone()
    module.__dict__.pop(name, None)
    for part in _PARTS:
        module._parameters.pop(name + part, None)
        module._buffers.pop(name + part, None)
    module.register_parameter(name, nn.Parameter(value, requires_grad=False))
