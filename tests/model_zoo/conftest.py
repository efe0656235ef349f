"""Each family as its recipe describes it, and data that only some machines have."""

import importlib
import os
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from pocketrec.model_zoo.registry import FAMILIES
from pocketrec.pipeline.recipes import load_recipe

Trained = Callable[[str], nn.Module]


def build(name: str, *, weights: bool) -> nn.Module:
    recipe = load_recipe(FAMILIES[name].recipe)
    module_name, function = recipe.model.factory.split(":")
    module: nn.Module = getattr(importlib.import_module(module_name), function)(**recipe.model.arguments)
    if weights:
        assert recipe.model.weights is not None
        module.load_state_dict(load_file(FAMILIES[name].recipe.parent / recipe.model.weights))
    return module


@pytest.fixture(scope="session")
def trained() -> Trained:
    """A family's module with the committed weights."""
    return lambda name: build(name, weights=True)


@pytest.fixture(scope="session")
def untrained() -> Trained:
    """A family's module as the factory makes it, from a fixed seed."""
    torch.manual_seed(0)
    return lambda name: build(name, weights=False)


@pytest.fixture(scope="session")
def shop() -> Callable[[str], str]:
    """The name of a data set of a shop, where POCKETREC_DATA has it; the test is not run where it has not."""

    def name_of(name: str) -> str:
        if not (Path(os.environ.get("POCKETREC_DATA", "nowhere")) / name).is_dir():
            pytest.skip(f"not run: POCKETREC_DATA names no folder with {name}")
        return name

    return name_of
