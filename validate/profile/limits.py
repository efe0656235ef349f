"""Which inputs of an artifact are ids, and of what: followed through whole numbers to what they look up."""

from __future__ import annotations

from pocketrec.validate.artifact.graph import Graph

_SIZES = ("shape", "Shape", "Size")  # whole numbers that are no ids, whatever they are of
_LOOKUPS = ("gather", "gather_nd", "gather_block_quantized", "gather_along_axis")


def id_limits(graph: Graph) -> dict[str, int]:
    """Input to the number of rows of the smallest table that it looks up; only inputs that do."""
    found = {each.name: _limit(graph, each.name) for each in graph.inputs}
    return {name: limit for name, limit in found.items() if limit is not None}


def _limit(graph: Graph, name: str) -> int | None:
    """The smallest table that whole numbers which come of the tensor index.

    A table of one row is none: a guard looks up how far an id is off, and 0 is the only row there is.
    """
    seen, ahead, limits = set[str](), [name], []
    while ahead:
        each = ahead.pop()
        if each in seen or not graph.dtype(each).startswith(("int", "uint")):
            continue
        seen.add(each)
        for op in graph.readers.get(each, ()):
            if op.kind in _LOOKUPS and each in op.inputs.get("indices", ()):
                limits.append(graph.extent(op))
            elif op.kind not in _SIZES:
                ahead += op.outputs
    return min((each for each in limits if each is not None and each > 1), default=None)
