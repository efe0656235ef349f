"""Plans without a search: every table and matrix alike."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from pocketrec.quantize.plan import Plan
from pocketrec.quantize.schemes import Scheme
from pocketrec.quantize.schemes.linear import Linear

Shape = tuple[int, ...]


def _int8(shape: Shape) -> Scheme:
    return Linear(bits=8)


def _int4(shape: Shape) -> Scheme:
    return Linear(bits=4, clipping="search")


PRESETS: dict[str, Callable[[Shape], Scheme]] = {"int8": _int8, "int4": _int4}


def preset_plan(name: str, shapes: Mapping[str, Shape]) -> Plan:
    """The plan of a preset for tensors of those shapes; biases and norms, of one axis, stay float32."""
    scheme_for = PRESETS[name]
    return Plan(tensors={tensor: scheme_for(shape) for tensor, shape in shapes.items() if len(shape) > 1})
