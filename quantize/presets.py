"""Plans without a search: every table and matrix alike."""

from __future__ import annotations

import math
from collections.abc import Mapping

from pocketrec.quantize.plan import Plan
from pocketrec.quantize.schemes import Scheme
from pocketrec.quantize.schemes.float16 import Float16
from pocketrec.quantize.schemes.linear import Linear
from pocketrec.quantize.usage import UNKNOWN, Rounding, Usages

Shape = tuple[int, ...]
PRESETS = ("int8", "int4")
_SMALL = 2048  # numbers: what fewer bits save here is less than the graph that unpacks them


def preset_plan(
    name: str, shapes: Mapping[str, Shape], usage: Usages, rounding: Rounding | None = None
) -> Plan:
    """The plan of a preset for tensors of those shapes; biases and norms, of one axis, stay float32.

    Small tensors are stored as float16. Rounding is as stated, or else with error feedback where the tensor's
    moment is known.
    """
    matrices = {tensor: shape for tensor, shape in shapes.items() if len(shape) > 1}
    return Plan(
        tensors={
            tensor: _scheme(name, shape, rounding or usage.get(tensor, UNKNOWN).rounding)
            for tensor, shape in matrices.items()
        }
    )


def _scheme(name: str, shape: Shape, rounding: Rounding) -> Scheme:
    if math.prod(shape) < _SMALL:
        return Float16()
    if name == "int8":
        return Linear(bits=8, rounding=rounding)
    return Linear(bits=4, clipping="search", rounding=rounding)
