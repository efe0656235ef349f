"""A float16 artifact's dependence on the device's accumulation is a number, and is shown."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pocketrec.contract import Contract
from pocketrec.errors import ExecutionError
from pocketrec.evaluation import Asked, RankingData
from pocketrec.recipe import Evaluate, Gates
from pocketrec.report import AccumulationSensitivity, Evidence, RuntimeResult
from pocketrec.validate.evidence import examine_reference, examine_target
from pocketrec.validate.gates import check_gates
from pocketrec.validate.measure.machine import this_machine
from pocketrec.validate.measure.probes import make_probes
from pocketrec.validate.measure.sensitivity import MOST_PROBES, accumulation_sensitivity
from pocketrec.validate.report.html import to_html
from pocketrec.validate.report.short import to_markdown
from pocketrec.validate.report.summary import notes
from pocketrec.validate.runtimes.runtime import Runtime

HALF = "float16 storage, float32 accumulation"
Spoil = Callable[[dict[str, Any]], dict[str, Any]]


def coarse(outputs: dict[str, Any]) -> dict[str, Any]:
    """Scores with three bits less than float16 has."""
    return outputs | {"scores": np.round(outputs["scores"] * 8) / np.float32(8)}


def failing(outputs: dict[str, Any]) -> dict[str, Any]:
    raise ExecutionError("a sum left float16")


@pytest.fixture
def choosing(fake: Any) -> Callable[[Spoil], Any]:
    """An engine that offers the choice, and what float16 accumulation does on it."""

    class Choosing(fake):  # type: ignore[misc]
        def __init__(self, stressed: Spoil) -> None:
            super().__init__(precision=HALF, name="coreml-interpreter")
            self._stressed = stressed

        def with_accumulation(self, accumulation: str) -> Runtime:
            assert accumulation == "float16"
            stressed: Runtime = fake(precision=HALF, spoil=self._stressed)
            return stressed

    return Choosing


def sensitivity(runtime: Runtime, contract: Contract) -> dict[str, AccumulationSensitivity]:
    probes = make_probes(contract, "main", None)
    found = accumulation_sensitivity(runtime, contract, "main", probes, tie_tolerance=2.0**-7)
    return {each.parity.output: each for each in found}


def test_the_difference_is_a_number_per_output(choosing: Any, contract: Contract) -> None:
    """Signal over noise and the lists' overlap for scores, differing ids for ids."""
    found = sensitivity(choosing(coarse), contract)
    assert 20 < found["scores"].parity.sqnr_db < 60
    assert found["scores"].parity.probes == MOST_PROBES
    assert found["scores"].top_k_overlap is not None
    assert 0.5 < found["scores"].top_k_overlap < 1
    assert found["best_ids"].top_k_overlap is None


def test_no_difference_is_no_sensitivity(choosing: Any, contract: Contract) -> None:
    """Sums that are the same in both leave infinite signal over noise and equal lists."""
    found = sensitivity(choosing(lambda outputs: outputs), contract)
    assert found["scores"].parity.sqnr_db == np.inf
    assert found["scores"].top_k_overlap == 1


def test_a_stressed_run_that_fails_is_told(choosing: Any, contract: Contract) -> None:
    """An overflow on the way is a finding, not a crash."""
    assert sensitivity(choosing(failing), contract)["scores"].parity.failure == "a sum left float16"


def test_where_there_is_no_choice_nothing_is_said(fake: Any, choosing: Any, contract: Contract) -> None:
    """Engines without the choice, and artifacts that store float32 only."""
    assert sensitivity(fake(precision=HALF), contract) == {}
    engine = choosing(coarse)
    engine._precision = "float32"
    assert sensitivity(engine, contract) == {}


@pytest.fixture
def result(
    fake: Any, choosing: Any, contract: Contract, data: RankingData, evaluate: Evaluate
) -> RuntimeResult:
    reference = examine_reference(
        {"main": fake(name="pytorch")}, contract, [Asked(evaluate=evaluate, data=data)]
    )
    return examine_target(
        "coreml",
        "coreml-interpreter",
        {"main": Path("main.mlpackage")},
        reference=reference,
        gates=Gates(),
        open_with=lambda path, name, function: choosing(coarse),
    )


def evidence_of(result: RuntimeResult) -> Evidence:
    return Evidence(
        recipe="demo",
        recipe_sha256="a",
        contract_sha256="b",
        machine=this_machine(),
        versions={},
        results=(result,),
        sizes=(),
        rewrites=(),
        gates=check_gates(Gates(), [result]),
    )


def test_the_report_shows_it_and_no_gate_hangs_on_it(result: RuntimeResult) -> None:
    """In the notes, both reports and the JSON; the artifact itself is as good as before."""
    evidence = evidence_of(result)
    decibels = f"{result.accumulation[0].parity.sqnr_db:.1f}"
    assert evidence.passed
    assert f"accumulates in float16, main.scores keeps {decibels} dB" in " ".join(notes(evidence))
    assert "If a device accumulates in float16" in to_html(evidence)
    for page in (to_markdown(evidence), to_html(evidence)):
        assert decibels in page
    assert '"top_k_overlap"' in evidence.to_json()
    assert "accumulates" not in to_markdown(evidence_of(replace(result, accumulation=())))
