"""What Core ML says on a Mac is read by coremltools' own code, here from a fake that says that it is one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from tests.validate.profile.fake_core_ml import FakeMLModel, make_mac

from pocketrec.validate.profile.framework import CPU, GPU, NEURAL_ENGINE, on_units

IDS = {"ids": np.array([0, 1, 3], np.int32)}


@pytest.fixture
def mac(monkeypatch: pytest.MonkeyPatch) -> Iterator[type[FakeMLModel]]:
    yield from make_mac(monkeypatch)


def test_the_plan_says_where_and_rules_stand_beside_it(packages: Path, mac: type[FakeMLModel]) -> None:
    path = str(packages / "float16.mlpackage")
    found = {each.compute_units: each for each in on_units(path, "", IDS, units=("all", "cpu_only"), runs=2)}
    assert list(found) == ["all", "cpu_only"]
    plan = {op.type: op for op in found["all"].plan}
    assert (plan["matmul"].device, plan["matmul"].why_not) == (NEURAL_ENGINE, "")
    assert plan["matmul"].supported == (CPU, GPU, NEURAL_ENGINE)
    assert plan["matmul"].weight == 0.25
    assert plan["gather"].device == CPU
    assert plan["gather"].why_not.startswith(
        "not supported there, as Core ML's plan has it; rules that it meets:"
    )
    assert "lookups" in plan["gather"].why_not
    assert "const" not in plan
    cpu = {op.type: op for op in found["cpu_only"].plan}
    assert cpu["matmul"].why_not == "cpu_only leaves it out"


def test_coremltools_own_benchmarker_is_asked(packages: Path, mac: type[FakeMLModel]) -> None:
    """The fake's loads take 7 ms and its predictions 2 ms, of which its plan gives each op a quarter."""
    (found,) = on_units(str(packages / "float32.mlpackage"), "", IDS, units=("all",), runs=4)
    assert found.reason == ""
    assert found.load is not None
    assert found.predict is not None
    assert (found.load.samples_ms, found.predict.samples_ms) == ((7.0,) * 5, (2.0,) * 4)
    assert {each.type for each in found.ops} >= {"gather", "matmul"}
    assert {each.ms for each in found.ops} == {0.5}


def test_units_that_cannot_be_had_are_named(packages: Path, mac: type[FakeMLModel]) -> None:
    mac.refused = "CPU_AND_NE"
    path = str(packages / "float32.mlpackage")
    one, other = on_units(path, "", IDS, units=("cpu_only", "cpu_and_neural_engine"), runs=2)
    assert one.reason == ""
    assert other.reason == "coremltools failed: CPU_AND_NE is not there"
    assert (other.plan, other.load, other.predict) == ((), None, None)


def test_elsewhere_nothing_is_said(packages: Path) -> None:
    (found,) = on_units(str(packages / "float32.mlpackage"), "", IDS, units=("all",), runs=2)
    assert "only on macOS" in found.reason
    assert found.predict is None
