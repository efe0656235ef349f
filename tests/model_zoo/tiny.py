"""A family as small as it can be: its own factory with small numbers, its contract with small vocabularies.

What a recipe counts by `num_…` is counted down, each to another number, so that two that are mixed up do not
fit; widths shrink, too, and titles are drawn. A vocabulary `x` has `num_xs` ids, and one more where it has an
id for padding or for what is unknown: that holds for the zoo, so no data are read.
"""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import nn

from pocketrec.contract import Contract, Feature, Output, Vocabulary
from pocketrec.model_zoo.family import Family
from pocketrec.pipeline.recipes import load_recipe
from pocketrec.recipe.contract import ContractSource, resolve_contract
from pocketrec.validate.measure.inputs import Maker

_FEW = 9
_WIDTHS = {
    **{"dim": 8, "full": 8, "hidden": 8, "heads": 2, "kept": 4, "layers": 1, "slots": 2, "top_k": 5},
    **{"table": 4, "query_words": 7, "title_words": 6},
}


def tiny(family: Family) -> tuple[nn.Module, Contract]:
    """The family's module with random weights, and its contract."""
    recipe = load_recipe(family.recipe)
    assert recipe.contract is not None
    module_name, name = recipe.model.factory.split(":")
    factory = getattr(importlib.import_module(module_name), name)
    usual = {**_defaults(factory), **recipe.model.arguments}
    small = {**recipe.model.arguments, **_shrunk(usual)}
    torch.manual_seed(0)
    source = _with_sizes(recipe.contract, _replaced(usual, small))
    vocabularies = {each: _vocabulary(each, source, small) for each in source.vocabularies}
    return factory(**small).eval(), resolve_contract(_inside(source, vocabularies), vocabularies)


def example(contract: Contract) -> dict[str, dict[str, torch.Tensor]]:
    """A row of inputs for every function, as long as the contract allows."""
    found = {}
    for name, signature in contract.functions.items():
        maker = Maker(contract=contract, signature=signature, rng=np.random.default_rng(0))
        inputs = maker.probe("random row, longest", rows=2).inputs
        found[name] = {each: torch.from_numpy(np.ascontiguousarray(array)) for each, array in inputs.items()}
    return found


def _defaults(factory: Any) -> dict[str, Any]:
    return {
        name: each.default
        for name, each in inspect.signature(factory).parameters.items()
        if each.default is not each.empty
    }


def _shrunk(usual: Mapping[str, Any]) -> dict[str, Any]:
    counted = [name for name, value in usual.items() if name.startswith("num_") and isinstance(value, int)]
    few = {name: min(usual[name], _FEW + place) for place, name in enumerate(counted)}
    widths = {name: min(usual[name], width) for name, width in _WIDTHS.items() if name in usual}
    return few | widths | ({"titles": ""} if "titles" in usual else {})


def _replaced(usual: Mapping[str, Any], small: Mapping[str, Any]) -> dict[int, int]:
    """What sizes in shapes become: what is counted, the same with one more for an own id, and widths."""
    sizes: dict[int, int] = {}
    for name, value in small.items():
        if isinstance(value, int) and not isinstance(value, bool) and value != usual[name]:
            sizes |= {usual[name]: value, usual[name] + 1: value + 1}
    return sizes


def _with_sizes(source: ContractSource, sizes: Mapping[int, int]) -> ContractSource:
    def shaped(each: Any) -> Any:
        assert isinstance(each, Feature | Output)
        return replace(each, shape=tuple(sizes.get(size, size) for size in each.shape))  # type: ignore[arg-type]

    functions = {
        name: replace(
            signature,
            inputs=tuple(map(shaped, signature.inputs)),
            outputs=tuple(map(shaped, signature.outputs)),
        )
        for name, signature in source.functions.items()
    }
    return replace(source, functions=functions)


def _inside(source: ContractSource, found: Mapping[str, Mapping[str, Vocabulary]]) -> ContractSource:
    """The ids of what is unknown among the few that there are."""
    specs = {
        name: each
        if each.unknown_id is None
        else replace(each, unknown_id=min(each.unknown_id, found[name]["tokens"].size - 1))
        for name, each in source.vocabularies.items()
    }
    return replace(source, vocabularies=specs)


def _vocabulary(name: str, source: ContractSource, small: Mapping[str, Any]) -> dict[str, Vocabulary]:
    stated = source.vocabularies[name]
    apart = stated.padding_id is not None or stated.unknown_id is not None
    size = small[f"num_{name}s"] + apart
    files = {
        key: Vocabulary(tokens=tuple(f"{name} {key} {place}" for place in range(size)))
        for key in stated.sources
    }
    return files
