"""The ONNX exporter's rewriter held to equal numbers.

It matches constants within 1e-8: `x / (count + 1e-9)` loses its addition of "zero", and an empty
history then divides by zero.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from types import SimpleNamespace
from typing import Any

_FLOAT32 = 2.0**-23  # the same number, rounded to float32


@contextmanager
def exact_constants() -> Iterator[None]:
    """Nothing; while it lasts, a pattern's constant matches only the same number."""
    matcher: Any = import_module("onnxscript.rewriter._matcher")
    before = matcher.math
    matcher.math = SimpleNamespace(isclose=same_number)
    try:
        yield
    finally:
        matcher.math = before


def same_number(one: float, two: float, **_: float) -> bool:
    """True where both round to about the same float32; only zero equals zero."""
    return math.isclose(one, two, rel_tol=_FLOAT32, abs_tol=0.0)
