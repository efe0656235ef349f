"""The lowest deployment target that can carry a compressed tensor; known without coremltools."""

from __future__ import annotations

from typing import assert_never

from pocketrec.errors import CannotCarry
from pocketrec.quantize.tensor import (
    Float16Tensor,
    LinearTensor,
    PaletteTensor,
    PartsTensor,
    ProductTensor,
    QuantizedTensor,
    ScaledPaletteTensor,
    SparseTensor,
)

_FLAT_BITS = (1, 2, 4, 6, 8)  # what iOS16's packed palettes know


def lowest_target(tensor: QuantizedTensor) -> str:
    """The lowest deployment target that can carry the tensor."""
    match tensor:
        case PartsTensor():
            return max(lowest_target(each) for each in tensor.parts)
        case LinearTensor():
            old = tensor.bits == 8 and tensor.granularity != "per_block"
        case ProductTensor() | ScaledPaletteTensor():
            old = False
        case PaletteTensor():
            old = tensor.granularity == "per_tensor" and tensor.bits in _FLAT_BITS
        case Float16Tensor() | SparseTensor():
            old = True
        case _:
            assert_never(tensor)
    return "iOS16" if old else "iOS18"


def check_target(tensor: QuantizedTensor, minimum_deployment_target: str) -> None:
    """Checks that the target can carry the tensor; CannotCarry names the lowest that can."""
    lowest = lowest_target(tensor)
    if minimum_deployment_target < lowest:
        raise CannotCarry(
            f"{tensor.name}: {tensor.describe()} needs minimum_deployment_target {lowest}, the recipe asks "
            f"for {minimum_deployment_target}; raise it, or change the tensor's scheme"
        )
