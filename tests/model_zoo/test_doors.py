"""Every family goes through the same door as everybody's model, and its artifacts give the same numbers."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.model_zoo.tiny import example, tiny

from pocketrec.model_zoo.registry import FAMILIES
from pocketrec.package.host.roles import calls_of
from pocketrec.pipeline.convert import convert_module
from pocketrec.recipe import Target

TARGETS = {"onnx": Target(format="onnx"), "coreml": Target(format="coreml", precision="float32")}


@pytest.mark.parametrize("name", FAMILIES)
def test_a_tiny_one_of_each_family_is_converted_for_every_target(name: str, tmp_path: Path) -> None:
    module, contract = tiny(FAMILIES[name])
    inputs = example(contract)
    given = inputs["main"] if list(inputs) == ["main"] else inputs
    result = convert_module(module, given, tmp_path, TARGETS, contract)
    assert set(result.parity) == set(TARGETS)
    assert result.refused == {}
    outputs = {(function, each.name) for function, one in contract.functions.items() for each in one.outputs}
    for parity in result.parity.values():
        assert {(each.function, each.output) for each in parity} == outputs
        assert all(each.elements and not each.failure for each in parity)


@pytest.mark.parametrize("name", FAMILIES)
def test_the_catalogue_names_the_roles_that_the_contract_gives(name: str) -> None:
    family = FAMILIES[name]
    assert {each.role for each in calls_of(tiny(family)[1]).values()} == set(family.roles)


def test_small_numbers_differ_so_that_what_is_mixed_up_does_not_fit() -> None:
    _, contract = tiny(FAMILIES["dlrm"])
    sizes = [each.size for each in contract.vocabularies.values()]
    assert max(sizes) < 25
    assert len(set(sizes)) > 5
