"""Each family as its recipe describes it: the factory, its arguments and the committed weights."""

import importlib
from collections.abc import Callable

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
