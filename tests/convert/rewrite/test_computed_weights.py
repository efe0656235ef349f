"""Weights that a hook computes before every forward are computed once, and are those of the hook."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn.utils import prune, spectral_norm, weight_norm

from pocketrec.convert.rewrite import replace_modules
from pocketrec.convert.rewrite.computed_weights import ComputedWeightRule
from pocketrec.quantize.copies import copied


def pruned(layer: nn.Module) -> nn.Module:
    prune.l1_unstructured(layer, "weight", 0.5)  # type: ignore[no-untyped-call]
    prune.random_unstructured(layer, "bias", 0.3)  # type: ignore[no-untyped-call]
    return layer


HOOKS: dict[str, Callable[[nn.Module], Any]] = {
    "weight norm": weight_norm,
    "spectral norm": spectral_norm,
    "pruned": pruned,
}


def hooked(name: str) -> nn.Module:
    torch.manual_seed(0)
    module = nn.Sequential(nn.Embedding(30, 8), nn.Linear(8, 4), nn.Linear(4, 2))
    HOOKS[name](module[1])
    return module.eval()


@pytest.mark.parametrize("name", HOOKS)
def test_the_weight_is_a_parameter_with_the_hooks_numbers_and_its_parts_are_gone(name: str) -> None:
    module, ids = hooked(name), torch.randint(0, 30, (4, 6))
    names = {each for each, _ in module.named_parameters()}
    replaced, places = replace_modules(module, [ComputedWeightRule()])
    assert [path for path, _ in places] == ["1"]
    with torch.no_grad():
        torch.testing.assert_close(replaced(ids), module(ids))
    assert {each for each, _ in replaced.named_parameters()} == {
        f"{path}.{kind}" for path in (0, 1, 2) for kind in ("weight", "bias") if (path, kind) != (0, "bias")
    }
    assert {each for each, _ in module.named_parameters()} == names


@pytest.mark.parametrize("name", ["weight norm", "pruned"])
def test_a_copy_has_what_the_hook_computed_last_where_pytorch_makes_none(name: str) -> None:
    module, ids = hooked(name), torch.randint(0, 30, (4, 6))
    module(ids)
    with pytest.raises(RuntimeError, match="deepcopy"):
        copy.deepcopy(module)
    with torch.no_grad():
        torch.testing.assert_close(copied(module)(ids), module(ids))


def test_artifacts_of_all_hooks_equal_the_module(far: Callable[..., Any]) -> None:
    torch.manual_seed(0)
    layers = [make(nn.Linear(8, 8)) for make in HOOKS.values()]
    module = nn.Sequential(nn.Embedding(30, 8), *layers)
    module(torch.tensor([[1]]))
    found = far(module, (torch.randint(0, 30, (4, 6)),), (torch.randint(0, 30, (7, 6)),))
    assert [each.name for each in found.rewrites].count(ComputedWeightRule.name) == len(layers)
