"""Ops' times are those of calls, found at the tensors that they make; no time is asserted, only sums."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pocketrec.errors import ExecutionError
from pocketrec.validate.profile.measure import Engine
from pocketrec.validate.profile.ops import _alone, _averaged, _outputs, op_times

IDS = [{"ids": np.array([0, 1, 3], np.int32)}]


def engine(path: Path, runtime: str, loader: str = "") -> Engine:
    return Engine(path=str(path), runtime=runtime, loader=loader)


def test_onnx_runtimes_ops_are_part_of_its_calls(onnx_file: Path) -> None:
    found = op_times(engine(onnx_file, "onnxruntime"), IDS, runs=8)
    assert {each.type: each.outputs for each in found.ops} == {"Gather": ("g",), "Mul": ("rows",)}
    assert found.calls == 2
    assert 0 <= sum(each.ms for each in found.ops) <= found.total_ms


def test_the_interpreters_ops_are_part_of_its_calls(packages: Path) -> None:
    found = op_times(
        engine(packages / "float32.mlpackage", "coreml-interpreter"), [{"ids": IDS[0]["ids"]}], runs=8
    )
    assert {each.type for each in found.ops} >= {"gather", "matmul"}
    assert 0 < sum(each.ms for each in found.ops) <= found.total_ms


def test_an_engine_that_does_not_tell_is_named() -> None:
    found = op_times(engine(Path("a.onnx"), "web-wasm"), IDS, runs=8)
    assert found.reason == "web-wasm does not tell what its ops take"
    assert found.ops == ()


def test_what_fails_is_one_line(onnx_file: Path) -> None:
    with pytest.raises(ExecutionError, match=r"table\.onnx: ONNX Runtime failed"):
        op_times(engine(onnx_file, "onnxruntime"), [{"ids": np.array([9], np.int32)}], runs=1)


def test_means_are_over_the_fastest_quarter_and_add_up() -> None:
    """Of five calls the two fastest, which take 3 and 5, make 4: 2 of `a`, 1 of `b`, once in two turns."""
    calls = [
        *[(100.0, [(("A", "a"), 99.0)])] * 3,
        (3.0, [(("A", "a"), 1.0), (("B", "b"), 0.5), (("B", "b"), 0.5)]),
        (5.0, [(("A", "a"), 3.0), (("B", "b"), 1.0)]),
    ]
    found = _averaged(calls, "a test", {"a": ("x",)})
    assert (found.calls, found.total_ms) == (2, 4.0)
    assert [(each.name, each.outputs, each.ms) for each in found.ops] == [("a", ("x",), 2.0), ("b", (), 1.0)]


def event(start: int, duration: int, name: str = "n", kind: str = "K", place: int = 0) -> dict[str, Any]:
    args = {"op_name": kind, "node_index": str(place)}
    return {"cat": "Node", "name": f"{name}_kernel_time", "ts": start, "dur": duration, "args": args}


def test_a_loop_is_told_without_what_ran_inside_of_it() -> None:
    """A loop of 100 with ops of 20 and 30, of which the second holds one of 10; then an op of its own."""
    events = [event(0, 100), event(10, 20), event(40, 30), event(50, 10), event(100, 7)]
    assert [own for _, own in _alone(events)] == [50, 20, 20, 10, 7]


def test_ops_without_a_name_are_found_by_type_and_order() -> None:
    class Node:
        def __init__(self, kind: str, name: str, output: str) -> None:
            self.op_type, self.name, self.output = kind, name, [output]

    nodes = [Node("Add", "", "first"), Node("Mul", "m", "middle"), Node("Add", "", "last")]
    events = [event(0, 1, "Add_9", "Add", 9), event(1, 1, "m", "Mul", 5), event(2, 1, "Add_4", "Add", 4)]
    assert dict(_outputs(nodes, events)) == {"m": ("middle",), "Add_4": ("first",), "Add_9": ("last",)}
