"""Which inputs are ids is followed through whole numbers to the tables that they look up."""

from __future__ import annotations

from pocketrec.validate.artifact.graph import Graph, Op, Tensor
from pocketrec.validate.profile.limits import id_limits
from pocketrec.validate.runtimes.runtime import TensorSpec


def gather(name: str, table: str, ids: str) -> Op:
    return Op(
        type="Gather",
        kind="gather",
        name=name,
        inputs={"x": (table,), "indices": (ids,)},
        outputs=(name,),
        attributes={"axis": 0},
    )


def test_the_smallest_table_that_whole_numbers_reach_is_the_limit() -> None:
    """Ids pass a shift before the table of 40; `weight`, a mask's sum and sizes are none, nor is `unused`.

    The guard's table of one row is no limit.
    """
    shapes = {
        "items": ("float32", (40, 4)),
        "kinds": ("float32", (90, 4)),
        "ids": ("int32", (1, 5)),
        "shifted": ("int32", (1, 5)),
        "weight": ("float32", (1, 5)),
        "is_item": ("bool", (1, 5)),
        "count": ("int32", (1,)),
        "few": ("float32", (2, 4)),
        "size": ("int64", (2,)),
        "guard": ("int64", (1,)),
        "unused": ("int64", (1,)),
    }
    tensors = {name: Tensor(name=name, dtype=dtype, shape=shape) for name, (dtype, shape) in shapes.items()}
    ops = (
        Op(type="Add", kind="add", name="a", inputs={"x": ("ids",), "y": ("one",)}, outputs=("shifted",)),
        Op(type="Greater", kind="greater", name="m", inputs={"x": ("ids",)}, outputs=("is_item",)),
        Op(type="Cast", kind="cast", name="c", inputs={"x": ("is_item",)}, outputs=("count",)),
        gather("of_items", "items", "shifted"),
        gather("of_kinds", "kinds", "ids"),
        gather("of_few", "few", "count"),
        Op(type="Shape", kind="Shape", name="s", inputs={"0": ("ids",)}, outputs=("size",)),
        gather("of_size", "few", "size"),
        gather("of_guard", "guard", "shifted"),
    )
    specs = tuple(
        TensorSpec(name=name, dtype=shapes[name][0], shape=shapes[name][1])
        for name in ("ids", "weight", "unused")
    )
    graph = Graph(
        name="a.onnx", format="onnx", ops=ops, tensors=tensors, inputs=specs, outputs=(), results=()
    )
    assert id_limits(graph) == {"ids": 40}
