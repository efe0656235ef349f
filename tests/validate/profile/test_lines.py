"""Ops find their lines by the tensors that they make; lines and flame add up to the ops."""

from __future__ import annotations

import pytest

from pocketrec.origin import Origin
from pocketrec.validate.artifact.graph import Graph, Op
from pocketrec.validate.profile.cost import Cost, OpCost
from pocketrec.validate.profile.flame import blocks, flame
from pocketrec.validate.profile.lines import UNKNOWN, Row, line_rows, op_rows
from pocketrec.validate.profile.ops import OpTime, OpTimes

OPS = (
    ("linear", "up", "t1", 40),
    ("gelu", "bend", "t2", 4),
    ("linear", "down", "t3", 30),
    ("add", "sum", "t4", 1),
)


def origin(module: str, source: str) -> Origin:
    return Origin(module=module, source=source, op="addmm", ordinal=1, count=1)


def op(kind: str, name: str, output: str) -> Op:
    return Op(type=kind, kind=kind, name=name, inputs={}, outputs=(output,))


@pytest.fixture
def rows() -> tuple[Row, ...]:
    """Two lines of one module, one of another; the engine fused `gelu`'s op, and ran one of its own."""
    graph = Graph(
        name="a",
        format="any",
        ops=(
            op("linear", "up", "t1"),
            op("gelu", "bend", "t2"),
            op("linear", "down", "t3"),
            op("add", "sum", "t4"),
        ),
        tensors={},
        inputs=(),
        outputs=(),
        results=(),
        known={
            "t1": origin("blocks.0.up", "model.py:7"),
            "t2": origin("blocks.0.up", "model.py:8"),
            "t3": origin("blocks.0.up", "model.py:7"),
            "t4": origin("", "model.py:12"),
        },
    )
    times = OpTimes(
        source="a test",
        calls=1,
        total_ms=10.0,
        ops=(
            OpTime(type="linear", name="up", outputs=(), ms=3.0),
            OpTime(type="FusedGelu", name="up/gelu", outputs=("t2",), ms=2.0),
            OpTime(type="linear", name="down", outputs=(), ms=2.5),
            OpTime(type="Reorder", name="own", outputs=("none",), ms=0.5),
        ),
    )
    costs = tuple(
        OpCost(type=kind, name=name, outputs=(out,), operations=count, read_bytes=count, written_bytes=1)
        for kind, name, out, count in OPS
    )
    return op_rows(graph, times, Cost(ops=costs, uncounted=(), from_call=False))


def test_an_op_is_put_where_its_tensor_came_from(rows: tuple[Row, ...]) -> None:
    found = [(row.name, row.source, row.ms, row.operations) for row in rows]
    assert found == [
        ("up", "model.py:7", 3.0, 40),
        ("down", "model.py:7", 2.5, 30),
        ("up/gelu", "model.py:8", 2.0, 4),
        ("own", UNKNOWN, 0.5, None),
        ("sum", "model.py:12", None, 1),
    ]
    assert sum(row.share or 0 for row in rows) == pytest.approx(1)


def test_lines_add_up_to_their_ops(rows: tuple[Row, ...]) -> None:
    lines = line_rows(rows)
    assert [(row.module, row.source, row.ms, row.operations, row.type) for row in lines] == [
        ("blocks.0.up", "model.py:7", 5.5, 70, "2 linear"),
        ("blocks.0.up", "model.py:8", 2.0, 4, "FusedGelu"),
        ("", UNKNOWN, 0.5, None, "Reorder"),
        ("", "model.py:12", None, 1, "add"),
    ]
    assert sum(row.ms or 0 for row in lines) == sum(row.ms or 0 for row in rows) == 8.0
    assert sum(row.operations or 0 for row in lines) == 75


def test_blocks_of_the_flame_lie_within_theirs_and_add_up(rows: tuple[Row, ...]) -> None:
    laid = blocks(rows, "main")
    assert (laid[0].name, laid[0].share, laid[0].value) == ("main", 1.0, 8.0)
    by_level: dict[int, float] = {}
    for each in laid:
        by_level[each.level] = by_level.get(each.level, 0.0) + each.value
    assert by_level[1] == 8.0  # blocks, the line of the model itself, what is not known
    (module,) = (each for each in laid if each.name == "up")
    assert (module.start, module.share) == (0.0, 7.5 / 8)
    ops = [each for each in laid if each.kind == 3]
    assert sum(each.value for each in ops) == 8.0
    assert {each.name for each in ops} >= {"linear up", "linear down", "FusedGelu up/gelu"}


def test_without_times_the_flame_is_of_operations(rows: tuple[Row, ...]) -> None:
    untimed = [Row(type="t", name=name, module="m", source="s", operations=4) for name in ("a", "b")]
    assert blocks(untimed, "main")[0].value == 8
    assert "operations of a call" in flame(untimed, "main")
    assert "milliseconds of a call" in flame(rows, "main")
    assert flame([], "main") == ""


def test_names_in_the_flame_are_escaped() -> None:
    row = Row(type="<b>", name="&", module="a", source="x.py:1", ms=1.0)
    assert "&lt;b&gt; &amp;" in flame([row], "main")
    assert "<b>" not in flame([row], "main")
