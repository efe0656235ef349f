"""Operations and bytes of small graphs are those that one counts by hand."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from coremltools.converters.mil.mil import Builder as mb  # noqa: N813 - its name everywhere in MIL
from coremltools.converters.mil.mil import types
from tests.validate.conftest import IOS18, convert

from pocketrec.validate.artifact.coreml import read_core_ml
from pocketrec.validate.artifact.graph import Graph, Op, Tensor
from pocketrec.validate.artifact.onnx import read_onnx
from pocketrec.validate.profile.cost import Cost, cost_of
from pocketrec.validate.runtimes.runtime import TensorSpec


def counted(cost: Cost) -> dict[str, tuple[int, int, int]]:
    return {each.type: (each.operations, each.read_bytes, each.written_bytes) for each in cost.ops}


def test_a_lookup_reads_the_rows_that_it_takes(onnx_file: Path) -> None:
    """Three int32 ids, 12 bytes, take three float32 rows of two, 24; Mul reads them and its factor's 4."""
    cost = cost_of(read_onnx(onnx_file), {"ids": np.array([0, 1, 3], np.int32)})
    assert counted(cost) == {"Gather": (0, 12 + 24, 24), "Mul": (6, 24 + 4, 24)}
    assert (cost.operations, cost.read_bytes, cost.written_bytes) == (6, 64, 48)
    assert (cost.uncounted, cost.from_call) == ((), True)


def test_sizes_that_nobody_states_are_named_and_not_guessed(onnx_file: Path) -> None:
    cost = cost_of(read_onnx(onnx_file))
    assert cost.ops == ()
    assert set(cost.uncounted) == {"g", "rows"}


@pytest.fixture(scope="module")
def dense(tmp_path_factory: pytest.TempPathFactory) -> Graph:
    """Rows of 16 float16 numbers, through what a recommender has."""

    def program(x: Any, ids: Any) -> Any:
        table = np.arange(1, 1025, dtype=np.float16).reshape(64, 16)
        rows = mb.gather(x=table, indices=ids, axis=0, name="gather")
        scaled = mb.layer_norm(x=mb.add(x=x, y=rows, name="add"), axes=[-1], name="layer_norm")
        hidden = mb.linear(
            x=scaled,
            weight=np.ones((32, 16), np.float16) * np.float16(0.5),
            bias=np.ones(32, np.float16),
            name="linear",
        )
        shares = mb.softmax(x=hidden, axis=-1, name="softmax")
        sums = mb.reduce_sum(x=shares, axes=[0], keep_dims=True, name="sum")
        flat = mb.reshape(x=mb.mul(x=sums, y=shares, name="mul"), shape=[1, 96], name="reshape")
        return mb.topk(x=flat, k=5, axis=-1, name="topk")

    specs = [mb.TensorSpec((3, 16), dtype=types.fp16), mb.TensorSpec((3,), dtype=types.int32)]
    made = mb.program(input_specs=specs, opset_version=IOS18)(program)
    path = tmp_path_factory.mktemp("dense") / "dense.mlpackage"
    convert(made, precision="FLOAT16").save(str(path))
    return read_core_ml(path)


def test_every_formula_counts_what_the_table_says(dense: Graph) -> None:
    """Of [3, 16] and [3, 32] numbers; the main operand is `x`, whatever stands before it in the file."""
    found = counted(cost_of(dense))
    assert found["gather"][0] == 0
    assert found["gather"][2] == 3 * 16 * 2
    assert found["add"] == (48, 2 * 96, 96)
    assert found["layer_norm"][0] == 8 * 48
    assert found["linear"] == (2 * 3 * 32 * 16 + 96, 96 + 2 * 32 * 16 + 2 * 32, 192)
    assert found["softmax"][0] == 5 * 96
    assert found["reduce_sum"][0] == 96
    assert found["mul"] == (96, 2 * 32 + 2 * 96, 192)
    assert found["reshape"] == (0, 0, 0)
    assert found["topk"][0] == 96 * 3  # log2(5 + 1) rounded up


def test_a_lookup_reads_no_more_than_its_rows_in_core_ml(dense: Graph) -> None:
    """96 bytes of three rows and the ids, not the 2,048 of the table."""
    _, read, _ = counted(cost_of(dense))["gather"]
    assert 96 + 3 * 1 <= read <= 96 + 3 * 4 + 16


def graph_of(*ops: Op, **shapes: tuple[str, tuple[int, ...]]) -> Graph:
    """A graph whose inputs are `x` and, where it has a shape, `state`."""
    tensors = {name: Tensor(name=name, dtype=dtype, shape=shape) for name, (dtype, shape) in shapes.items()}
    tensors["w"] = Tensor(name="w", dtype="int8", shape=(32, 16), stored_bytes=512, load=lambda: None)
    tensors["scale"] = Tensor(
        name="scale", dtype="float16", shape=(32, 1), stored_bytes=64, load=lambda: None
    )
    inputs = (TensorSpec(name="x", dtype="float32", shape=(3, 16)),)
    return Graph(name="a", format="any", ops=ops, tensors=tensors, inputs=inputs, outputs=(), results=())


def op(kind: str, inputs: dict[str, str], output: str, **attributes: Any) -> Op:
    bound = {name: (tensor,) for name, tensor in inputs.items()}
    return Op(type=kind, kind=kind, name=kind, inputs=bound, outputs=(output,), attributes=attributes)


def test_what_no_input_changes_costs_nothing_a_call() -> None:
    graph = graph_of(
        op("cast", {"x": "w"}, "wide"),
        op("add", {"x": "x", "y": "x"}, "y"),
        wide=("float32", (32, 16)),
        x=("float32", (3, 16)),
        y=("float32", (3, 16)),
    )
    assert counted(cost_of(graph)) == {"add": (48, 192, 192)}


def test_a_compressed_weight_is_read_as_it_is_stored() -> None:
    """512 bytes of codes and 64 of scales, not 1,024 of float16."""
    graph = graph_of(
        op("constexpr_blockwise_shift_scale", {"data": "w", "scale": "scale"}, "dense"),
        op("linear", {"x": "x", "weight": "dense"}, "y"),
        dense=("float16", (32, 16)),
        x=("float32", (3, 16)),
        y=("float32", (3, 32)),
    )
    assert counted(cost_of(graph)) == {"linear": (2 * 3 * 32 * 16, 192 + 512 + 64, 384)}


@pytest.mark.parametrize(
    ("made", "operations"),
    [
        (op("matmul", {"x": "t", "y": "x"}, "y", transpose_x=True), 2 * 96 * 5),
        (op("conv", {"x": "x", "weight": "filter", "bias": "x"}, "y"), 2 * 96 * 6 + 96),
        (op("gru", {"x": "steps", "weight_ih": "x", "weight_hh": "x"}, "y"), 2 * 7 * 2 * 96),
        (op("ReduceMean", {"0": "x"}, "y"), 48),
        (op("argsort", {"x": "x"}, "y"), 48 * 5),
        (op("Relu", {"0": "x"}, "y"), 96),
        (op("while_loop", {"loop_vars": "x"}, "y"), 0),
    ],
)
def test_other_ops_by_their_formula(made: Op, operations: int) -> None:
    graph = graph_of(
        made,
        x=("float32", (3, 16)),
        y=("float32", (3, 32)),
        t=("float32", (5, 3)),
        filter=("float32", (4, 2, 3)),
        steps=("float32", (7, 2, 4)),
    )
    assert cost_of(graph).operations == operations


def test_sums_are_those_of_the_ops(dense: Graph) -> None:
    cost = cost_of(dense)
    figures: tuple[Callable[[Any], int], ...] = (lambda each: each.operations, lambda each: each.read_bytes)
    assert (cost.operations, cost.read_bytes) == tuple(sum(map(each, cost.ops)) for each in figures)
