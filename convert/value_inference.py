"""coremltools' own evaluation of constants, kept from those that it evaluates wrongly.

While coremltools builds a program it computes each op whose operands are constant, and folds the
result. `scatter_along_axis` ignores its mode there, and `layer_norm` misreads missing axes. Without
a value such an op simply stays in the program, where it is computed as it is defined.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from coremltools.converters.mil.mil.ops.defs.iOS15.normalization import layer_norm
from coremltools.converters.mil.mil.ops.defs.iOS15.scatter_gather import scatter_along_axis

# Op to the condition under which its value inference is right.
_RIGHT: dict[type, Callable[[Any], bool]] = {
    scatter_along_axis: lambda op: op.mode is not None and op.mode.val == "update",
    layer_norm: lambda op: op.axes is not None,
}


@contextmanager
def without_wrong_values() -> Iterator[None]:
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
