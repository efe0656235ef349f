"""Sizes that stay symbolic where a module asks Python for them: `len`, `int`, `float`, `min` and `max`.

torch.export hands out symbolic sizes, but Python's own functions answer with plain numbers: `len(x)`
and `int(x.shape[0])` would fix the batch at that of the example. While a module is exported with this,
the files of its code that ran see functions of these names which leave a symbol a symbol.
"""

from __future__ import annotations

import builtins
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

import torch
from torch import SymFloat, SymInt, Tensor

from pocketrec.convert.watch.lines import is_users

_SYMBOLS = (SymInt, SymFloat)


@contextmanager
def kept_sizes(module: Callable[..., Any], example: tuple[Tensor, ...]) -> Iterator[None]:
    """Lets code that `module(*example)` runs keep sizes symbolic.

    A file that has a name of its own for one of these functions keeps it.
    """
    changed: list[tuple[dict[str, Any], str]] = []
    try:
        for names in _namespaces(module, example):
            for name, function in _KEEPING.items():
                if name not in names:
                    names[name] = function
                    changed.append((names, name))
        yield
    finally:
        for names, name in changed:
            names.pop(name, None)


def _namespaces(module: Callable[..., Any], example: tuple[Tensor, ...]) -> list[dict[str, Any]]:
    """The global names of the user's functions that one call runs."""
    found: dict[int, dict[str, Any]] = {}

    def profile(frame: FrameType, event: str, argument: object) -> None:
        if event == "call" and id(frame.f_globals) not in found and is_users(frame.f_code.co_filename):
            found[id(frame.f_globals)] = frame.f_globals

    before = sys.getprofile()
    sys.setprofile(profile)
    try:
        with torch.no_grad():
            module(*(each.clone() for each in example))
    finally:
        sys.setprofile(before)
    return list(found.values())


def _len(value: Any) -> Any:
    return value.shape[0] if isinstance(value, Tensor) and value.ndim else builtins.len(value)


def _bound(keep: Callable[[Any, Any], Any], plain: Callable[..., Any]) -> Callable[..., Any]:
    """`min` or `max` of numbers one of which is a symbol; else what Python has."""

    def bound(*values: Any, **options: Any) -> Any:
        given = values[0] if builtins.len(values) == 1 else values
        if options or not isinstance(given, tuple | list) or not any(isinstance(e, _SYMBOLS) for e in given):
            return plain(*values, **options)
        result = given[0]
        for each in given[1:]:
            result = keep(result, each)
        return result

    return bound


class _Number(type):
    """`int` or `float` to whoever asks for a type; a call of it keeps a symbol."""

    plain: type
    keep: Callable[[Any], Any]

    def __call__(cls, *args: Any, **kwargs: Any) -> Any:
        value = args[0] if builtins.len(args) == 1 and not kwargs else None
        if isinstance(value, Tensor) and value.numel() == 1:
            value = value.item()
        if isinstance(value, _SYMBOLS):
            return cls.keep(value)
        return cls.plain(*args, **kwargs)

    def __instancecheck__(cls, value: object) -> bool:
        return isinstance(value, (cls.plain, SymInt if cls.plain is builtins.int else SymFloat))

    def __subclasscheck__(cls, other: type) -> bool:
        return issubclass(other, cls.plain)

    def __eq__(cls, other: object) -> bool:
        return other is cls or other is cls.plain

    def __hash__(cls) -> int:
        return hash(cls.plain)


class _Int(metaclass=_Number):
    plain = builtins.int
    keep = torch.sym_int


class _Float(metaclass=_Number):
    plain = builtins.float
    keep = torch.sym_float


_KEEPING: dict[str, Any] = {
    "len": _len,
    "int": _Int,
    "float": _Float,
    "min": _bound(torch.sym_min, builtins.min),
    "max": _bound(torch.sym_max, builtins.max),
}
