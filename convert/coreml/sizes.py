"""Lowerings where a size is a number that the graph computes: that number, and parts of such sizes.

coremltools is imported with this module, so import it inside functions.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from coremltools.converters.mil.frontend.torch import ops as torch_ops
from coremltools.converters.mil.mil import Builder as mb  # noqa: N813 - its name everywhere in the field
from coremltools.converters.mil.mil import Var, types

from pocketrec.convert.coreml.arguments import arguments, known

Lowering = Callable[[Any, Any], None]

_repeat, _split = torch_ops.repeat_interleave, torch_ops.split


def _number(context: Any, node: Any) -> None:
    """The number in a tensor, without axes; coremltools keeps its axis, and no shape can be made of that."""
    x = torch_ops._get_inputs(context, node)[0]
    taken = mb.squeeze(x=x, axes=list(range(x.rank))) if x.rank else x
    context.add(taken, torch_name=node.name)


def _parts(context: Any, node: Any) -> None:
    """Parts of sizes that are computed, as slices; MIL's split knows its sizes beforehand."""
    x, sizes, dim = arguments(context, node, self=None, split_sizes=None, dim=0)
    if not isinstance(sizes, list) or all(known(each) is not None for each in sizes):
        _split(context, node)
        return
    axis, start, parts = int(known(dim)) % x.rank, np.int32(0), []
    for size in sizes:
        end = mb.add(x=_whole(size), y=start)
        parts.append(_slice(x, axis, start, end))
        start = end
    context.add(parts, torch_name=node.name)


def _slice(x: Var, axis: int, start: Any, end: Var) -> Var:
    whole = [each != axis for each in range(x.rank)]
    places = [
        mb.concat(values=[np.int32(0) if one else place for one in whole], axis=0) for place in (start, end)
    ]
    return mb.slice_by_index(x=x, begin=places[0], end=places[1], begin_mask=whole, end_mask=whole)


def _repeated(context: Any, node: Any) -> None:
    """Every place as often as its count says; coremltools knows counts that are constants only."""
    counts, *others = torch_ops._get_inputs(context, node)
    if len(others) > 1:  # a tensor that is repeated, and how often
        _repeat(context, node)
        return
    ends = mb.cumsum(x=counts, axis=0)
    places = mb.range_1d(start=np.int32(0), end=mb.reduce_sum(x=counts, axes=[0]), step=np.int32(1))
    passed = mb.less_equal(x=mb.expand_dims(x=ends, axes=[0]), y=mb.expand_dims(x=places, axes=[1]))
    context.add(mb.reduce_sum(x=mb.cast(x=passed, dtype="int32"), axes=[1], name=node.name))


def _whole(size: Any) -> Any:
    """A size as an int32, which a constant may not be."""
    value = known(size)
    if value is not None:
        return np.int32(value)
    return size if size.dtype == types.int32 else mb.cast(x=size, dtype="int32")


SIZE_LOWERINGS: dict[str, Lowering] = {
    "_local_scalar_dense": _number,
    "repeat_interleave": _repeated,
    **dict.fromkeys(("split", "split_with_sizes"), _parts),
}
