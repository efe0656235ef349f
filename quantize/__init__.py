"""Compression: a module and a plan to the compressed reference and one set of codes per tensor."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pocketrec.quantize.plan import Plan, plan_from_table
    from pocketrec.quantize.reference import compress
    from pocketrec.quantize.tensor import QuantizedTensor
    from pocketrec.quantize.training import finish, prepare_training

__all__ = ["Plan", "QuantizedTensor", "compress", "finish", "plan_from_table", "prepare_training"]

_PLACES = {
    "Plan": "plan",
    "QuantizedTensor": "tensor",
    "compress": "reference",
    "finish": "training",
    "plan_from_table": "plan",
    "prepare_training": "training",
}


def __getattr__(name: str) -> Any:
    """The public names, imported when they are used: torch is no part of `--help`."""
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import importlib

    return getattr(importlib.import_module(f"{__name__}.{_PLACES[name]}"), name)
