"""One table from op type to the function that computes it, gathered from a module per family.

A kernel takes the op's inputs under their own names as NumPy arrays (fp16 widened to float32) and
returns one array, or a tuple in the order of the op's outputs; the executor rounds to the declared
dtype. A kernel that needs more than its inputs takes a keyword-only `op`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pocketrec.validate.coreml_program.kernels import (
    activation,
    compression,
    control_flow,
    conv,
    elementwise_binary,
    elementwise_unary,
    image_resizing,
    linear,
    normalization,
    pool,
    quantization,
    random,
    recurrent,
    reduction,
    scatter_gather,
    states,
    tensor_operation,
    tensor_transformation,
    transformers,
)

_FAMILIES = (
    activation,
    compression,
    control_flow,
    conv,
    elementwise_binary,
    elementwise_unary,
    image_resizing,
    linear,
    normalization,
    pool,
    quantization,
    random,
    recurrent,
    reduction,
    scatter_gather,
    states,
    tensor_operation,
    tensor_transformation,
    transformers,
)

KERNELS: dict[str, Callable[..., Any]] = {
    op_type: kernel for family in _FAMILIES for op_type, kernel in family.KERNELS.items()
}
