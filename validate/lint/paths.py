"""The ways that numbers take through a graph, from op to op."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from pocketrec.validate.artifact.graph import Graph, Tensor

# The operands through which the numbers of an id pass unchanged, or shifted, from op to op.
ID_PATH: Mapping[str, tuple[str, ...]] = {
    **dict.fromkeys(("cast", "identity", "reshape", "expand_dims", "squeeze", "transpose", "tile"), ("x",)),
    **dict.fromkeys(("slice_by_index", "slice_by_size", "split", "clip", "expand", "flatten2d"), ("x",)),
    **dict.fromkeys(("floor", "round", "gather", "gather_nd", "gather_along_axis"), ("x",)),
    **dict.fromkeys(("add", "sub", "maximum", "minimum", "mod", "floor_div"), ("x", "y")),
    **dict.fromkeys(("concat", "stack"), ("values",)),
    "select": ("a", "b"),
}


def upstream(graph: Graph, name: str, path: Mapping[str, tuple[str, ...]] = ID_PATH) -> Iterator[Tensor]:
    """The tensor and all from which it comes by the operands in `path`; what is constant ends it."""
    seen, waiting = {name}, [name]
    while waiting:
        current = waiting.pop(0)
        yield graph.tensor(current)
        op = graph.makers.get(current)
        if op is None or op.kind not in path:
            continue
        for operand in path[op.kind]:
            for each in op.inputs.get(operand, ()):
                if each not in seen and graph.tensor(each).load is None:
                    seen.add(each)
                    waiting.append(each)


def downstream(graph: Graph, name: str, path: Mapping[str, tuple[str, ...]] = ID_PATH) -> Iterator[Tensor]:
    """The tensor and all that comes from it by the operands in `path`."""
    seen, waiting = {name}, [name]
    while waiting:
        current = waiting.pop(0)
        yield graph.tensor(current)
        for op in graph.readers.get(current, ()):
            passes = any(current in op.inputs.get(operand, ()) for operand in path.get(op.kind, ()))
            for each in op.outputs if passes else ():
                if each not in seen:
                    seen.add(each)
                    waiting.append(each)
