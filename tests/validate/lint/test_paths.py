"""Numbers are followed through the ops that pass them on, both ways, and through no other."""

from __future__ import annotations

import numpy as np

from pocketrec.validate.artifact.graph import Graph, Op, Tensor
from pocketrec.validate.lint.paths import downstream, upstream


def op(kind: str, to: str, **reads: str) -> Op:
    return Op(
        type=kind, kind=kind, name=to, inputs={key: (each,) for key, each in reads.items()}, outputs=(to,)
    )


# ids ─cast─▶ a ─add(n)─▶ b ─gather(t)─▶ rows ─linear─▶ y, and ids ─cast─▶ other
GRAPH = Graph(
    name="made",
    format="made",
    ops=(
        op("cast", "a", x="ids"),
        op("cast", "other", x="ids"),
        op("add", "b", x="a", y="n"),
        op("gather", "rows", x="t", indices="b"),
        op("linear", "y", x="rows"),
    ),
    tensors={"n": Tensor(name="n", dtype="int32", shape=(), load=lambda: np.int32(1))},
    inputs=(),
    outputs=(),
    results=("y",),
)


def test_upstream_ends_at_constants_and_at_ops_that_make_other_numbers() -> None:
    assert [each.name for each in upstream(GRAPH, "b")] == ["b", "a", "ids"]
    assert [each.name for each in upstream(GRAPH, "y")] == ["y"]
    assert [each.name for each in upstream(GRAPH, "rows")] == ["rows", "t"]


def test_downstream_takes_every_branch_and_leaves_out_what_is_only_an_index() -> None:
    assert [each.name for each in downstream(GRAPH, "ids")] == ["ids", "a", "other", "b"]
    assert [each.name for each in downstream(GRAPH, "t")] == ["t", "rows"]


def test_another_path_can_be_asked_for() -> None:
    assert [each.name for each in upstream(GRAPH, "y", {"linear": ("x",)})] == ["y", "rows"]
    assert [each.name for each in downstream(GRAPH, "b", {"gather": ("indices",)})] == ["b", "rows"]


def test_a_circle_ends() -> None:
    """A damaged file may hold one."""
    ring = Graph(
        name="ring", format="made", ops=(op("cast", "a", x="b"), op("cast", "b", x="a")), tensors={},
        inputs=(), outputs=(), results=(),
    )  # fmt: skip
    assert [each.name for each in upstream(ring, "a")] == ["a", "b"]
    assert [each.name for each in downstream(ring, "a")] == ["a", "b"]
