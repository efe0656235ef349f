"""What coremltools infers of ops while it builds a program, kept from where it is wrong.

It computes each op whose operands are constant, and folds the result. `scatter_along_axis` ignores its
mode there, and `layer_norm` misreads missing axes. Without a value such an op simply stays in the
program, where it is computed as it is defined. It also gives the same free size several names, and
`scatter_along_axis`, unlike all others, takes two names for two sizes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from coremltools.converters.mil.mil.ops.defs.iOS15.normalization import layer_norm
from coremltools.converters.mil.mil.ops.defs.iOS15.scatter_gather import scatter_along_axis
from coremltools.converters.mil.mil.types.symbolic import is_symbolic

# Op to the condition under which its value inference is right.
_RIGHT: dict[type, Callable[[Any], bool]] = {
    scatter_along_axis: lambda op: op.mode is not None and op.mode.val == "update",
    layer_norm: lambda op: op.axes is not None,
}


@contextmanager
def right_inference() -> Iterator[None]:
    """Nothing; while it lasts, coremltools infers no wrong values and takes free sizes for equal."""
    with _without_wrong_values(), _with_free_sizes():
        yield


@contextmanager
def _without_wrong_values() -> Iterator[None]:
    """Nothing; while it lasts, ops whose inferred value would be wrong have none."""
    originals = {each: each.value_inference for each in _RIGHT}  # type: ignore[attr-defined]
    for each, original in originals.items():
        each.value_inference = _only_where(_RIGHT[each], original)  # type: ignore[attr-defined]
    try:
        yield
    finally:
        for each, original in originals.items():
            each.value_inference = original  # type: ignore[attr-defined]


def _only_where(right: Callable[[Any], bool], original: Callable[[Any], Any]) -> Callable[[Any], Any]:
    def value_inference(op: Any) -> Any:
        return original(op) if right(op) else None

    return value_inference


@contextmanager
def _with_free_sizes() -> Iterator[None]:
    original = scatter_along_axis.type_inference
    scatter_along_axis.type_inference = _scattered
    try:
        yield
    finally:
        scatter_along_axis.type_inference = original


def _scattered(op: Any) -> Any:
    """The type of the data; ValueError where a known size of the indices is another one."""
    axis = op.axis.val % op.data.rank
    for number, (size, reached) in enumerate(zip(op.data.shape, op.indices.shape, strict=True)):
        known = number != axis and not is_symbolic(size) and not is_symbolic(reached)
        if known and size != reached:
            raise ValueError(f"scatter: size {reached} of the indices at axis {number}, expected {size}")
    return op.data.sym_type
