"""One graph for every format: what is constant, what runs, what is stored, and which ops lead where."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np
import pytest

from pocketrec.errors import ArtifactError, UsageError
from pocketrec.validate.artifact.graph import Call, Graph, Op, Tensor, packed_bytes, slice_calls
from pocketrec.validate.runtimes.runtime import Array, TensorSpec

TABLE = np.arange(8, dtype=np.float32).reshape(4, 2)


class Recorder:
    """An engine that says which places it was asked to run; `scale` is folded, `held` known."""

    folded: Collection[str] = ("scale",)

    def __init__(self, graph: Graph) -> None:
        self.asked: list[int] = []

    def known(self, given: Mapping[str, Array]) -> Collection[str]:
        return {*given, "held"}

    def run(
        self, places: Sequence[int], names: Sequence[str], given: Mapping[str, Array]
    ) -> dict[str, Array]:
        self.asked = list(places)
        return dict.fromkeys(names, TABLE)


def op(kind: str, *reads: str, to: str, **more: Any) -> Op:
    return Op(type=kind, kind=kind, name=f"op_{to}", inputs={"x": reads}, outputs=(to,), **more)


def constant(name: str, *, place: Any = None, size: int | None = 32, function: str = "") -> Tensor:
    return Tensor(
        name=name, dtype="float32", shape=(4, 2), load=lambda: TABLE, place=place, stored_bytes=size,
        function=function,
    )  # fmt: skip


def graph(*ops: Op, tensors: Sequence[Tensor] = (), **more: Any) -> Graph:
    return Graph(
        name="made",
        format="made",
        ops=ops,
        tensors={each.name: each for each in tensors},
        inputs=(TensorSpec(name="ids", dtype="int32", shape=(1,)),),
        outputs=(TensorSpec(name="y", dtype="float32", shape=(1,)),),
        results=("y",),
        start=Recorder,
        **more,
    )


MADE = graph(
    op("dequantize", "table", to="scale"),
    op("gather", "scale", "ids", "table", to="rows"),
    op("if", "rows", to="chosen", captured=("ids", "s"), updated=("s",)),
    op("add", "rows", to="inner", depth=1),
    op("mul", "chosen", "held", to="y"),
    tensors=[constant("table"), Tensor(name="chosen", dtype="float16")],
)


def test_calls_leave_out_constants_what_is_folded_and_nested_ops() -> None:
    assert MADE.calls == (
        Call(type="gather", name="op_rows", inputs=("ids",), outputs=("rows",)),
        Call(type="if", name="op_chosen", inputs=("rows", "ids", "s"), outputs=("chosen", "s")),
        Call(type="mul", name="op_y", inputs=("chosen", "held"), outputs=("y",)),
    )


def test_only_what_leads_from_the_given_tensors_to_the_wanted_ones_is_run() -> None:
    MADE.evaluate(["y"], {"rows": TABLE})
    assert isinstance(MADE.engine, Recorder)
    assert MADE.engine.asked == [1, 2]
    MADE.evaluate(["rows"], {"ids": TABLE})
    assert MADE.engine.asked == [0]
    MADE.evaluate(["held"], {"ids": TABLE})
    assert MADE.engine.asked == []


def test_a_slice_stops_at_what_is_given_however_it_was_made() -> None:
    calls = [
        Call(type="a", name="a", inputs=("x",), outputs=("p", "q")),
        Call(type="b", name="b", inputs=("p",), outputs=("r",)),
        Call(type="c", name="c", inputs=("q",), outputs=("s",)),
        Call(type="d", name="d", inputs=("r", "s"), outputs=("t",)),
    ]
    assert slice_calls(calls, ["t"], ["x"]) == [0, 1, 2, 3]
    assert slice_calls(calls, ["t"], ["r", "q"]) == [2, 3]
    assert slice_calls(calls, ["t"], ["t"]) == []


def test_a_graph_is_narrow_where_an_op_makes_float16_and_not_where_a_constant_is() -> None:
    assert MADE.is_narrow
    stored = Tensor(name="t", dtype="float16", shape=(2,), load=lambda: TABLE)
    assert not graph(op("cast", "t", "ids", to="y"), tensors=[stored]).is_narrow


def test_what_several_names_mean_is_stored_once_and_what_has_no_bytes_is_not() -> None:
    tensors = [
        constant("f/a", place=("w", 0), function="f"),
        constant("g/a", place=("w", 0), function="g"),
        constant("g/b", place=("w", 64), function="g"),
        constant("inline"),
        constant("also inline"),
        constant("number", size=None),
    ]
    made = graph(tensors=tensors, held=(constant("fill"),))
    assert [each.own_name for each in made.stored] == ["a", "b", "inline", "also inline", "fill"]


@pytest.mark.parametrize(
    ("dtype", "shape", "size"),
    [
        ("float32", (3, 2), 24),
        ("float16", (3,), 6),
        ("bfloat16", (3,), 6),
        ("int4", (3,), 2),
        ("uint1", (9,), 2),
        ("uint3", (8,), 3),
        ("bool", (5,), 5),
        ("float8e4m3fn", (5,), 5),
        ("int64", (), 8),
        ("complex64", (2,), 16),
        ("int8", (0, 7), 0),
    ],
)
def test_bytes_are_packed_where_elements_are_smaller_than_one(
    dtype: str, shape: tuple[int, ...], size: int
) -> None:
    assert packed_bytes(dtype, shape) == size


def test_sizes_that_are_not_known_make_a_tensor_of_no_size() -> None:
    assert Tensor(name="x", dtype="float32").size_bytes == 0
    assert Tensor(name="x", dtype="float32", shape=(4, None)).size == 0
    assert Tensor(name="x", dtype="float32", shape=()).size_bytes == 4
    assert Tensor(name="x", shape=(4,)).size_bytes == 0


def test_a_parameter_is_an_attribute_or_a_constant_and_never_what_is_computed() -> None:
    axis = Tensor(name="axis", dtype="int32", shape=(), load=lambda: np.int32(-1))
    made = Op(
        type="t", kind="t", name="t", outputs=("y",), attributes={"k": 3},
        inputs={"x": ("x",), "axis": ("axis",), "ids": ("ids",)},
    )  # fmt: skip
    found = graph(made, tensors=[axis, Tensor(name="x", dtype="float32", shape=(5, None, 7))])
    assert found.parameter(made, "k") == 3
    assert found.parameter(made, "axis") == -1
    assert found.parameter(made, "ids", "default") == "default"
    assert found.extent(made) == 7
    assert found.operand(made, "absent") is None


def test_numbers_are_read_up_to_the_limit_only() -> None:
    def refuse() -> Any:
        raise AssertionError("a table was read")

    table = Tensor(name="t", dtype="float32", shape=(1_000,), load=refuse)
    found = graph(tensors=[table, constant("small")])
    assert found.numbers("t", limit=999) is None
    assert found.numbers("absent", limit=999) is None
    assert found.numbers("small", limit=8) is TABLE


def test_several_functions_at_once_are_not_computed() -> None:
    several = Graph(
        name="m.mlpackage", format="made", ops=(), tensors={}, inputs=(), outputs=(), results=(),
        functions=("f", "g"), select=lambda name: MADE,
    )  # fmt: skip
    with pytest.raises(UsageError, match=r"m\.mlpackage: nothing here computes parts"):
        several.evaluate(["y"], {})
    assert several.only("f") is MADE
    assert MADE.only(None) is MADE


def test_a_damaged_table_of_origins_names_the_file() -> None:
    assert graph().origins == {}
    with pytest.raises(ArtifactError, match="made"):
        _ = graph(origin_table="{").origins
