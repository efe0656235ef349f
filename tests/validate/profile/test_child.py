"""Measuring happens in a process of its own, whose memory, errors and end are told."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pocketrec.errors import ExecutionError, UsageError
from pocketrec.pipeline.profile.profile import Options, profile
from pocketrec.validate.profile import child
from pocketrec.validate.profile.child import Answer, Request, answer, ask, ask_in_turns
from pocketrec.validate.profile.measure import Engine, drop_from_cache, measure, peak_bytes
from pocketrec.validate.profile.turns import interleaved

IDS = [{"ids": np.array([0, 1, 3], np.int32)}, {"ids": np.array([2, 2, 2], np.int32)}]
LOADER = "pocketrec.validate.open:open_onnx"
LARGE = 16 << 20  # bytes of a table


def engine(path: Path, loader: str = LOADER, **options: Any) -> Engine:
    return Engine(path=str(path), runtime="onnxruntime", loader=loader, files=(str(path),), **options)


def request(**engines: Engine) -> Request:
    return Request(engines=engines, calls=dict.fromkeys(engines, len(IDS)), warmup=1, runs=40, op_runs=4)


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A lookup in a table of 16 MB."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    table = numpy_helper.from_array(np.ones((LARGE // 64, 16), np.float32), "table")
    graph = helper.make_graph(
        [helper.make_node("Gather", ["table", "ids"], ["rows"])],
        "main",
        [helper.make_tensor_value_info("ids", TensorProto.INT32, ["n"])],
        [helper.make_tensor_value_info("rows", TensorProto.FLOAT, ["n", 16])],
        [table],
    )
    path = tmp_path_factory.mktemp("large") / "large.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10), str(path))
    return path


def test_memory_is_the_artifacts_and_not_of_who_asks(large: Path) -> None:
    """A table of 16 MB is seen; an array of 200 MB of this process is not."""
    mine = np.ones(200 << 20, np.uint8)
    found = ask(request(a=engine(large)), {"a": IDS})
    assert found.alone is not None
    memory = found.alone.memory
    assert memory.loaded - memory.imported >= LARGE
    assert 0 < memory.imported <= memory.loaded <= memory.called < mine.nbytes
    assert found.alone.latency.calls == 40
    assert (len(found.alone.load_warm_ms), found.alone.dropped) == (5, hasattr(os, "posix_fadvise"))
    assert found.ops is not None
    assert [each.type for each in found.ops.ops] == ["Gather"]
    assert (found.units, found.together) == ((), None)


def test_two_are_called_in_turns(onnx_file: Path) -> None:
    both = request(old=engine(onnx_file), new=engine(onnx_file))
    found = answer(both, {"old": IDS, "new": IDS[:1]})
    assert found.together is not None
    assert (found.together.base, list(found.together.latency)) == ("old", ["old", "new"])
    assert found.together.ratios["new"].pairs == 20


def test_rounds_are_shared_out_to_processes_that_load_in_turn() -> None:
    """120 rounds are twelve in each of ten processes, 99 are those of one."""
    asked: list[Request] = []

    def measured(given: Request, calls: Any) -> Answer:
        asked.append(given)
        turns = interleaved(
            {"old": lambda: 2.0, "new": lambda: 3.0}, warmup=0, runs=given.runs, inside=("old", "new")
        )
        return Answer(together=turns, version="1")

    both = replace(request(old=engine(Path("a")), new=engine(Path("b"))), runs=120)
    found, version = ask_in_turns(both, {}, measure=measured)
    assert [(each.runs, each.last_first) for each in asked] == [(12, False), (12, True)] * 5
    assert (found.ratios["new"].ratio, found.ratios["new"].processes) == (1.5, 10)
    assert (found.base, found.latency["old"].calls, version) == ("old", 120, "1")
    asked.clear()
    ask_in_turns(replace(both, runs=99), {}, measure=measured)
    assert [each.runs for each in asked] == [99]


def test_the_last_one_is_loaded_first_where_that_is_asked(
    monkeypatch: pytest.MonkeyPatch, onnx_file: Path
) -> None:
    loaded: list[str] = []
    load = Engine.load

    def watched(self: Engine) -> Any:
        loaded.append(self.function)
        return load(replace(self, function=""))

    monkeypatch.setattr(Engine, "load", watched)
    both = request(old=engine(onnx_file, function="one"), new=engine(onnx_file, function="two"))
    calls = {"old": IDS, "new": IDS}
    assert answer(replace(both, last_first=True), calls).together is not None
    assert loaded == ["two", "one"]
    answer(both, calls)
    assert loaded[2:] == ["one", "two"]


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({}, UsageError, "input 'ids' is int64; expected int32"),
        ({"compute_units": "all"}, UsageError, "only on macOS"),
    ],
)
def test_what_the_process_says_is_raised_here(
    onnx_file: Path, options: dict[str, Any], error: type[Exception], message: str
) -> None:
    wrong = [{"ids": np.array([0], np.int64)}]
    with pytest.raises(error, match=message):
        ask(
            Request(engines={"a": engine(onnx_file, **options)}, calls={"a": 1}, warmup=0, runs=2),
            {"a": wrong},
        )


def test_a_process_that_dies_is_told_in_a_line(onnx_file: Path) -> None:
    dying = engine(onnx_file, loader="os:abort")
    with pytest.raises(ExecutionError, match=r"the process that measured ended with -?\d+: "):
        ask(request(a=dying), {"a": IDS})


def test_a_process_that_hangs_is_ended_with_all_that_it_started() -> None:
    """What it started holds its stderr, too, so that this would wait for ever for the end of it."""
    with pytest.raises(ExecutionError, match=r"hung: no answer in 0\.3 s, .*--timeout"):
        child._run(["sh", "-c", "tail -f /dev/null & wait"], os.environ, 0.3)
    assert child._run(["sh", "-c", "echo said >&2; exit 3"], os.environ, 60) == (3, "said\n")


def test_the_timeout_reaches_the_process_that_measures(
    onnx_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: list[float | None] = []

    def run(command: object, environment: object, timeout: float | None) -> tuple[int, str]:
        given.append(timeout)
        return 1, "no"

    monkeypatch.setattr(child, "_run", run)
    with pytest.raises(ExecutionError, match="ended with 1: no"):
        profile(onnx_file, Options(runs=4, timeout=7.5))
    assert given == [7.5]


def test_the_processes_threads_are_those_asked_for(onnx_file: Path) -> None:
    assert child._environment(request(a=engine(onnx_file, threads=3)))["OMP_NUM_THREADS"] == "3"


def test_inputs_are_called_one_after_the_other(onnx_file: Path) -> None:
    """The first call, one of warm-up and forty counted ones take the two inputs in turn."""
    seen: list[int] = []

    class Watched:
        def describe(self) -> Any:
            return type("D", (), dict.fromkeys(("runtime", "version", "precision", "compute_units"), "x"))

        def run(self, inputs: Any) -> None:
            seen.append(int(inputs["ids"][0]))

        def close(self) -> None: ...

        def __enter__(self) -> Watched:
            return self

        def __exit__(self, *exc: object) -> None: ...

    made = engine(onnx_file)
    object.__setattr__(made, "loader", "tests.validate.profile.test_child:watched")
    globals()["watched"] = lambda path, options: Watched()
    found = measure(made, IDS, warmup=1, runs=40)
    assert seen == [0, 2] * 21
    assert found.latency.calls == 40


def test_the_peak_only_rises_and_files_can_be_dropped(onnx_file: Path) -> None:
    before = peak_bytes()
    held = np.ones(1 << 20)
    assert peak_bytes() >= before > 0
    assert held.nbytes
    assert drop_from_cache([]) is False
