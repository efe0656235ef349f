"""The compute units that a recipe states reach the framework on every road that opens its artifacts."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from tests.mean import write_mean

import pocketrec
from pocketrec.pipeline.verify import verify
from pocketrec.pipeline.verify_outcomes import Asked
from pocketrec.validate.coreml_program.interpreter import CoreMLInterpreter
from pocketrec.validate.open import Options, RuntimeStatus
from pocketrec.validate.runtimes.runtime import Description

FRAMEWORK = "coreml-framework"


class Standin(CoreMLInterpreter):
    """The interpreter under the framework's name."""

    def describe(self) -> Description:
        return replace(super().describe(), runtime=FRAMEWORK)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[Options]:
    """What the framework is opened with, on a machine that has it."""
    found: list[Options] = []

    def opened(path: Path, options: Options) -> Standin:
        found.append(options)
        return Standin(path, function=options.function)

    monkeypatch.setattr("pocketrec.validate.open.open_framework", opened)
    monkeypatch.setattr(
        "pocketrec.validate.open.available_runtimes",
        lambda: [RuntimeStatus(name=FRAMEWORK, available=True)],
    )
    return found


def test_a_build_a_verification_and_a_call_ask_for_the_units_that_the_recipe_states(
    tmp_path: Path, asked: list[Options]
) -> None:
    recipe = write_mean(tmp_path, '[targets.coreml]\ncompute_units = "cpu_and_gpu"\n[targets.onnx]')
    built = pocketrec.build(recipe, out=tmp_path / "bundle")
    results = {each.runtime: each for each in built.evidence.results if each.target == "coreml"}
    assert results[FRAMEWORK].status == "ran"
    assert set(results[FRAMEWORK].latency) == {"main"}
    assert len(asked) >= 3  # evidence, its controls, and latency, each on its own
    assert {each.compute_units for each in asked} == {"cpu_and_gpu"}

    asked.clear()
    assert verify(built.path).passed
    assert [(each.compute_units, each.timeout) for each in asked] == [("cpu_and_gpu", 600.0)]

    asked.clear()
    own = Asked(runtimes=(FRAMEWORK,), compute_units="cpu_only", timeout=7.5)
    assert verify(built.path, asked=own).passed
    assert [(each.compute_units, each.timeout) for each in asked] == [("cpu_only", 7.5)]

    asked.clear()
    with pocketrec.load(built.path, target="coreml", runtime=FRAMEWORK) as model:
        assert len(model.recommend(history=["item 3"], k=2)) == 2
    assert {each.compute_units for each in asked} == {"cpu_and_gpu"}
