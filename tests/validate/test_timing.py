"""Latency is taken of what ran and was compared, beside the reference, one row at full length."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pocketrec.contract import Contract
from pocketrec.evaluation import Asked, RankingData
from pocketrec.recipe import Evaluate, Gates, Latency
from pocketrec.report import RuntimeResult, WebFacts, WireSize
from pocketrec.validate.evidence import Reference, examine_reference, examine_target
from pocketrec.validate.runtimes.runtime import REHEARSED
from pocketrec.validate.timing import with_latency

PATHS = {"onnx": {"main": Path("main.onnx")}}
LATENCY = Latency(warmup=1, runs=10, threads=1)


@pytest.fixture
def reference(fake: Any, contract: Contract, data: RankingData, evaluate: Evaluate) -> Reference:
    return examine_reference({"main": fake(name="pytorch")}, contract, [Asked(evaluate=evaluate, data=data)])


@pytest.fixture
def result(fake: Any, reference: Reference) -> RuntimeResult:
    return examine_target(
        "onnx", "onnxruntime", PATHS["onnx"], reference=reference, gates=Gates(),
        open_with=lambda *_, **__: fake(),
    )  # fmt: skip


def test_every_function_of_what_ran_is_timed_with_the_reference(
    fake: Any, reference: Reference, result: RuntimeResult
) -> None:
    runtime, opened, told = fake(), [], []

    def open_with(path: Path, name: str, **options: Any) -> Any:
        opened.append((path, name, options))
        return runtime

    first, second = with_latency(
        (reference.result(), result), reference, PATHS, LATENCY, open_with=open_with,
        progress=lambda *each: told.append(each),
    )  # fmt: skip
    assert opened == [(Path("main.onnx"), "onnxruntime", {"threads": 1, "function": "main"})]
    assert [len(each.latency["main"].samples_ms) for each in (first, second)] == [10, 10]
    assert len(runtime.calls) == LATENCY.warmup + LATENCY.runs
    assert {name: array.shape for name, array in runtime.calls[0].items()} == {
        "history": (1, 6),
        "age": (1, 1),
    }
    contents = {tuple(array.tobytes() for array in each.values()) for each in runtime.calls}
    assert len(contents) == len(runtime.calls)  # kept answers would be no latency
    assert second.latency["main"].batch == 1
    assert told == [("latency: main", 0, 1), ("latency", 1, 1)]
    assert replace(second, latency={}) == result


@pytest.mark.parametrize("why", ["not run", "not compared", "not this function", "a rehearsal"])
def test_what_did_not_run_or_was_not_compared_is_left_as_it_is_and_never_opened(
    reference: Reference, result: RuntimeResult, why: str
) -> None:
    changed = {
        "not run": replace(result, status="not_run", reason="absent"),
        "not compared": replace(result, parity=tuple(replace(each, elements=0) for each in result.parity)),
        "not this function": replace(result, parity=()),
        "a rehearsal": replace(result, runtime_version=f"macOS 15.5 ({REHEARSED} Linux, no device)"),
    }[why]

    def open_with(*_: Any, **__: Any) -> Any:
        raise AssertionError("it was opened")

    (found,) = with_latency((changed,), reference, PATHS, LATENCY, open_with=open_with)
    assert found == changed


FACTS = WebFacts(
    creation_ms=77.0,
    first_run_ms=9.0,
    adapter="google swiftshader",
    software=True,
    files=(WireSize(file="main.onnx", raw=2000, gzip=1500, brotli=1400),),
)


def test_a_browser_times_itself_and_its_facts_stand_in_the_evidence(fake: Any, reference: Reference) -> None:
    """Calls are measured inside the page, and loading is the creation of the session there."""

    class Paged(fake):  # type: ignore[misc]
        def timer(self, inputs: Any) -> Any:
            return lambda: 3.5

        def facts(self) -> WebFacts:
            return FACTS

    def open_with(*_: Any, **__: Any) -> Any:
        return Paged(name="web-webgpu")

    result = examine_target(
        "onnx", "web-webgpu", PATHS["onnx"], reference=reference, gates=Gates(), open_with=open_with
    )
    assert result.web == {"main": FACTS}
    assert result.ranking is not None
    assert (result.ranking.examined, result.ranking.available) == ("20", None)
    (timed,) = with_latency((result,), reference, PATHS, LATENCY, open_with=open_with)
    assert set(timed.latency["main"].samples_ms) == {3.5}
    assert timed.latency["main"].load_ms == 77.0


def test_an_engine_in_another_process_times_itself_and_is_given_other_inputs_every_time(
    fake: Any, reference: Reference, result: RuntimeResult
) -> None:
    """The way to the process and back is no latency, and its start is no load."""

    class Apart(fake):  # type: ignore[misc]
        load_ms = 41.0

        def clocked(self, inputs: Any) -> float:
            self.run(inputs)
            return 2.5

    runtime = Apart()
    (timed,) = with_latency((result,), reference, PATHS, LATENCY, open_with=lambda *_, **__: runtime)
    assert set(timed.latency["main"].samples_ms) == {2.5}
    assert timed.latency["main"].load_ms == 41.0
    contents = {tuple(array.tobytes() for array in each.values()) for each in runtime.calls}
    assert len(contents) == LATENCY.warmup + LATENCY.runs
