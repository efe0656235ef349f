"""Dense layers whose inputs are rounded to 8 bits, in PyTorch: what every artifact of them must equal.

    uint8 code = clip(round(x / scale) + zero_point, 0, 255), halves to the even neighbour
    value      = (code - zero_point) * scale

`static`: scale and zero point are constants, from ranges that calibration has seen; scales are float16
numbers, so all targets hold the same ones. `dynamic`: both come from the smallest and largest number of the
very input, zero included, as ONNX's DynamicQuantizeLinear has it.

Each is one operator of our own, so that an exported program says where inputs are rounded.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any, TypeGuard

import numpy as np
import torch
from torch import Tensor, nn

from pocketrec.errors import PlanError
from pocketrec.quantize.copies import copied
from pocketrec.quantize.reference import compressible
from pocketrec.quantize.tensor import LinearTensor, QuantizedTensor

_CODES = 255
_LEAST_SCALE, _MOST_SCALE = 2.0**-14, 65504.0  # the normal numbers of float16
_REMEDY = "or add the layer to compress.float_layers"


@torch.library.custom_op("pocketrec::round_static", mutates_args=())
def round_static(x: Tensor, scale: float, zero_point: int) -> Tensor:
    """`x` rounded to the 256 numbers of a scale and a zero point."""
    codes = torch.clamp(torch.round(x / scale) + zero_point, 0, _CODES)
    return (codes - zero_point) * scale


@torch.library.custom_op("pocketrec::round_dynamic", mutates_args=())
def round_dynamic(x: Tensor) -> Tensor:
    """`x` rounded to the 256 numbers between its own smallest and largest, zero included."""
    low, high = x.amin().clamp(max=0), x.amax().clamp(min=0)
    scale = torch.where(high == low, torch.ones_like(low), (high - low) / _CODES)
    zero_point = torch.clamp(torch.round(-low / scale), 0, _CODES)
    codes = torch.clamp(torch.round(x / scale) + zero_point, 0, _CODES)
    return (codes - zero_point) * scale


@round_static.register_fake
def _(x: Tensor, scale: float, zero_point: int) -> Tensor:
    return torch.empty_like(x)


@round_dynamic.register_fake
def _(x: Tensor) -> Tensor:
    return torch.empty_like(x)


def rounding_of(program: torch.export.ExportedProgram) -> str | None:
    """`static` or `dynamic`, as an exported program rounds inputs of dense layers; None where it does not."""
    ops: Any = torch.ops.pocketrec
    kinds = {ops.round_static.default: "static", ops.round_dynamic.default: "dynamic"}
    return next((kinds[node.target] for node in program.graph.nodes if node.target in kinds), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class InputRange:
    """The numbers that a layer's input took, and the codes that stand for them."""

    low: float
    high: float

    @property
    def scale(self) -> float:
        """The step between two codes, a float16 number."""
        step = (max(self.high, 0.0) - min(self.low, 0.0)) / _CODES
        return float(np.float16(max(step, _LEAST_SCALE)))

    @property
    def zero_point(self) -> int:
        """The code of zero."""
        return int(np.clip(np.rint(-min(self.low, 0.0) / self.scale), 0, _CODES))


@dataclass(frozen=True, slots=True)
class _Rounding:
    """A layer's hook; it can be copied and sent to another process."""

    fixed: InputRange | None

    def __call__(self, layer: nn.Module, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        x, *rest = inputs
        if self.fixed is None:
            return round_dynamic(x), *rest
        return round_static(x, self.fixed.scale, self.fixed.zero_point), *rest


class Observer:
    """The ranges of layers' inputs, over every call of a module while it is open.

    Attributes:
        ranges: layer to the range of its inputs; layers that were never called are not in it.
    """

    def __init__(self, module: nn.Module, layers: Sequence[str]) -> None:
        self.ranges: dict[str, InputRange] = {}
        self._handles = [
            module.get_submodule(name).register_forward_pre_hook(self._hook(name)) for name in layers
        ]

    def _hook(self, name: str) -> Callable[[nn.Module, tuple[Tensor, ...]], None]:
        def see(layer: nn.Module, inputs: tuple[Tensor, ...]) -> None:
            low, high = (float(each) for each in torch.aminmax(inputs[0]))
            known = self.ranges.get(name)
            if known is not None:
                low, high = min(low, known.low), max(high, known.high)
            self.ranges[name] = InputRange(low=low, high=high)

        return see

    def close(self) -> None:
        """Takes the hooks off: the module is as it was."""
        for each in self._handles:
            each.remove()


def dense_layers(
    module: nn.Module, codes: Mapping[str, QuantizedTensor], float_layers: Sequence[str] = ()
) -> list[str]:
    """Names of the module's nn.Linear layers, less those that `float_layers` names by pattern.

    Raises:
        PlanError: a pattern fits no layer, or a layer's weight is not an 8-bit code per row or tensor.
    """
    linear = [name for name, each in module.named_modules() if isinstance(each, nn.Linear)]
    for pattern in float_layers:
        if not any(fnmatchcase(name, pattern) for name in linear):
            known = ", ".join(linear[:8]) or "none"
            raise PlanError(f"compress.float_layers: {pattern!r} fits no dense layer; there are {known}")
    chosen = [name for name in linear if not any(fnmatchcase(name, each) for each in float_layers)]
    if not chosen:
        raise PlanError("compress.activations: no dense layer is left; leave it out")
    names = {id(each): name for name, each in compressible(module).items()}
    for name in chosen:
        weight = names.get(id(module.get_submodule(name).weight), f"{name}.weight")
        check_weight(name, weight, codes.get(weight))
    return chosen


def check_weight(layer: str, name: str, tensor: QuantizedTensor | None) -> None:
    """Checks that the weight can be multiplied in integers; else PlanError."""
    if tensor is None or not multiplies_in_integers(tensor):
        done = "float32" if tensor is None else tensor.describe()
        raise PlanError(
            f"compress.activations: {name} of layer {layer} is {done}; expected linear 8 bit, symmetric, "
            f"per_row or per_tensor; change its scheme, {_REMEDY}"
        )


def multiplies_in_integers(tensor: QuantizedTensor) -> TypeGuard[LinearTensor]:
    """Whether a tensor is a matrix of symmetric 8-bit codes, with scales per row or one for all."""
    return (
        isinstance(tensor, LinearTensor)
        and tensor.bits == 8
        and tensor.zero_points is None
        and len(tensor.shape) == 2
        and tensor.granularity in ("per_row", "per_tensor")
    )


def round_inputs(
    module: nn.Module, layers: Sequence[str], ranges: Mapping[str, InputRange], *, dynamic: bool
) -> nn.Module:
    """A copy of the module, sharing its weights, whose `layers` round their inputs to 8 bits.

    Args:
        module: with compressed values; it is not changed.
        layers: from `dense_layers`.
        ranges: from an `Observer`; a layer that it has not seen is an error.
        dynamic: whether ranges are those of each call; what was seen then only proves that a layer is called.

    Raises:
        PlanError: a layer was never called, or its range is not finite or too wide for a float16 scale.
    """
    for name in layers:
        seen = ranges.get(name)
        if seen is None:
            raise PlanError(
                f"compress.activations: layer {name} was never called on the evaluation data (its weight "
                f"may be read by other code); evaluate a function that calls it, {_REMEDY}"
            )
        if not max(abs(seen.low), abs(seen.high)) < _MOST_SCALE:
            raise PlanError(
                f"compress.activations: layer {name} has inputs from {seen.low:g} to {seen.high:g}; expected "
                f"finite numbers below {_MOST_SCALE:g}; scale them in the model, {_REMEDY}"
            )
    shared = {id(each): each for each in (*module.parameters(), *module.buffers())}
    made = copied(module, shared)
    for name in layers:
        made.get_submodule(name).register_forward_pre_hook(_Rounding(None if dynamic else ranges[name]))
    return made
