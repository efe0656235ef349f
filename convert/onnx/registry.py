"""The exporter's table of lowerings, made once in a process, as parsing their sources takes long."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Any

_MADE: dict[Any, Any] = {}  # by the opset that was asked for


@contextmanager
def registry_kept() -> Iterator[None]:
    """Lets the exporter start from a copy of the table that it made before, while it lasts."""
    kind: Any = import_module("torch.onnx._internal.exporter._registration").ONNXRegistry
    before = vars(kind)["from_torchlib"]

    def kept(cls: Any, *args: Any, **kwargs: Any) -> Any:
        key = (args, tuple(sorted(kwargs.items())))
        if key not in _MADE:
            _MADE[key] = before.__func__(cls, *args, **kwargs)
        return _copy(_MADE[key])

    kind.from_torchlib = classmethod(kept)
    try:
        yield
    finally:
        kind.from_torchlib = before


def _copy(table: Any) -> Any:
    """A table of its own, to which an export may add lowerings."""
    copied = copy.copy(table)
    copied.functions = {op: list(lowerings) for op, lowerings in table.functions.items()}
    return copied
