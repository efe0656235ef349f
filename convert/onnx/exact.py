"""The ONNX exporter's rewriter held to equal numbers, and kept from weights that are stored as codes.

It matches constants within 1e-8: `x / (count + 1e-9)` loses its addition of "zero", and an empty
history then divides by zero. And it multiplies batch normalization into the weights before it, which
are then no longer those that were compressed.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
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


@contextmanager
def weights_kept(is_kept: Callable[[object], bool]) -> Iterator[None]:
    """Nothing; while it lasts, nothing is multiplied into constants for whose values `is_kept` is true."""
    rules: list[Any] = list(import_module("onnxscript.rewriter.rules.common._fuse_batchnorm").rules)
    before = [each._condition_function for each in rules]
    for each in rules:
        each._condition_function = _unless_kept(each._condition_function, is_kept)
    try:
        yield
    finally:
        for each, check in zip(rules, before, strict=True):
            each._condition_function = check


def _unless_kept(check: Callable[..., Any], is_kept: Callable[[object], bool]) -> Callable[..., Any]:
    def guarded(context: Any, **values: Any) -> Any:
        found = check(context, **values)
        if found and any(is_kept(each) for value in values.values() for each in _constants(value)):
            found.fail("its weights are stored as codes")
        return found

    return guarded


def _constants(value: Any) -> Iterator[object]:
    """The numbers of a matched value, and of what its op reads."""
    made_of = () if value.producer() is None else value.producer().inputs
    for each in (value, *made_of):
        if each is not None and each.const_value is not None:
            yield each.const_value.numpy()


def same_number(one: float, two: float, **_: float) -> bool:
    """True where both round to about the same float32; only zero equals zero."""
    return math.isclose(one, two, rel_tol=_FLOAT32, abs_tol=0.0)
