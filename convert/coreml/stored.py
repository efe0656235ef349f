"""Bytes that a tensor takes in a package: its blobs, and the operations that say what their codes mean.

coremltools is imported with this module, so import it inside functions.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from coremltools import _OPSET
from coremltools.converters.mil._deployment_compatibility import AvailableTarget
from coremltools.converters.mil.backend.mil.load import MILProtoExporter
from coremltools.converters.mil.mil import Builder, Function, Program, Var

from pocketrec.convert.coreml.blobs import BlobLayout
from pocketrec.convert.coreml.compact import compact_block
from pocketrec.convert.coreml.constexpr import Place, constexpr
from pocketrec.quantize.tensor import QuantizedTensor

_DTYPES: dict[str, type[np.floating[Any]]] = {"float16": np.float16, "float32": np.float32}
_FEWEST = 16  # sizes of a constant that lies in the weight file


class _Exporter(MILProtoExporter):  # type: ignore[misc]
    """Writes a program's blobs into a layout, and no file."""

    def __init__(self, program: Program, version: int) -> None:
        super().__init__(prog=program, weights_dir="", specification_version=version)
        self.layout = BlobLayout()

    def get_blob_writer(self, weight_path: str) -> BlobLayout:
        """The layout, wherever the file would be."""
        return self.layout


def coreml_bytes(tensor: QuantizedTensor, *, precision: str, minimum_deployment_target: str) -> int:
    """Bytes of a package that hold the tensor, read as a whole by one function.

    Args:
        tensor: a form that the deployment target carries.
        precision: `float16` or `float32`, in which scales and codebooks are held.
        minimum_deployment_target: `iOS15` to `iOS18`.

    Raises:
        CannotCarry: the deployment target has no form for it.
    """
    return _weighed(lambda place: constexpr(tensor, place), precision, minimum_deployment_target)


def coreml_plain_bytes(name: str, shape: tuple[int, ...], *, precision: str) -> int:
    """Bytes of a package that hold a tensor of that shape as it is."""
    small = tuple(min(each, _FEWEST) for each in shape)  # in the graph there is only its shape
    values = np.zeros(small, _DTYPES[precision])
    weighed = _weighed(
        lambda place: Builder.const(val=values, before_op=place.before, name=name), precision, "iOS16"
    )
    return weighed + (math.prod(shape) - values.size) * values.itemsize


def _weighed(write: Callable[[Place], Var], precision: str, minimum_deployment_target: str) -> int:
    """Bytes of what is written at a place of an empty program."""
    target = getattr(AvailableTarget, minimum_deployment_target)
    program, function = Program(), Function(inputs={}, opset_version=target)
    with function:
        end = Builder.const(val=np.float32(0), name="end")
        place = Place(
            before=end.op,
            transposed=False,
            dtype=_DTYPES[precision],
            minimum_deployment_target=minimum_deployment_target,
        )
        function.set_outputs([write(place)])
    program.add_function("main", function)
    exporter = _Exporter(program, target)
    (block,) = exporter.convert_function(function, _OPSET[target]).block_specializations.values()
    compact_block(block)
    *operations, _ = block.operations  # the last only gives the place
    return exporter.layout.size_bytes + sum(int(each.ByteSize()) for each in operations)
