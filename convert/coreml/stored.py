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
from coremltools.converters.mil.mil import Builder, Function, Placeholder, Program, Var, types
from coremltools.converters.mil.mil.passes.defs.cleanup.dead_code_elimination import dead_code_elimination

from pocketrec.convert.coreml.blobs import BlobLayout
from pocketrec.convert.coreml.compact import compact_block
from pocketrec.convert.coreml.constexpr import Place, constexpr
from pocketrec.convert.coreml.coordinates import read_by_coordinates
from pocketrec.quantize.tensor import QuantizedTensor, has_basis

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


def coreml_bytes(
    tensor: QuantizedTensor, *, precision: str, minimum_deployment_target: str, looked_up: bool
) -> int:
    """Bytes of a package that hold the tensor in one function, with what its form adds to reading it.

    Args:
        tensor: a form that the deployment target carries.
        precision: `float16` or `float32`, in which scales and codebooks are held.
        minimum_deployment_target: `iOS15` to `iOS18`.
        looked_up: whether rows of it are read by ids; vectors are multiplied by all of it in any case.

    Raises:
        CannotCarry: the deployment target has no form for it.
    """

    def weighed(write: Callable[[Place], Var], *, read: bool) -> int:
        columns = tensor.columns if read else 0
        return _weighed(write, precision, minimum_deployment_target, columns=columns, looked_up=looked_up)

    def form(place: Place) -> Var:
        return constexpr(tensor, place)

    if not has_basis(tensor):
        return weighed(form, read=False)
    few = np.zeros((_FEWEST, tensor.columns), _DTYPES[precision])

    def plain(place: Place) -> Var:
        return Builder.const(val=few, before_op=place.before, name=tensor.name)

    return weighed(form, read=True) - weighed(plain, read=True) + weighed(plain, read=False)


def coreml_plain_bytes(name: str, shape: tuple[int, ...], *, precision: str) -> int:
    """Bytes of a package that hold a tensor of that shape as it is."""
    small = tuple(min(each, _FEWEST) for each in shape)  # in the graph there is only its shape
    values = np.zeros(small, _DTYPES[precision])
    weighed = _weighed(
        lambda place: Builder.const(val=values, before_op=place.before, name=name), precision, "iOS16"
    )
    return weighed + (math.prod(shape) - values.size) * values.itemsize


def _weighed(
    write: Callable[[Place], Var],
    precision: str,
    minimum_deployment_target: str,
    *,
    columns: int = 0,
    looked_up: bool = False,
) -> int:
    """Bytes of what is written into an empty program; of what reads it, too, where it has `columns`."""
    target = getattr(AvailableTarget, minimum_deployment_target)
    dtype = types.numpy_type_to_builtin_type(_DTYPES[precision])
    given = {"ids": Placeholder((1,), types.int32), "vectors": Placeholder((1, max(1, columns)), dtype)}
    program, function = Program(), Function(inputs=given, opset_version=target)
    with function:
        end = Builder.const(val=np.float32(0), name="end")
        place = Place(
            before=end.op,
            transposed=False,
            dtype=_DTYPES[precision],
            minimum_deployment_target=minimum_deployment_target,
        )
        outputs = [table := write(place)]
        if columns:
            outputs = [Builder.matmul(x=function.inputs["vectors"], y=table, transpose_y=True)]
        if columns and looked_up:
            outputs.append(Builder.gather(x=table, indices=function.inputs["ids"], axis=0))
        function.set_outputs(outputs)
    program.add_function("main", function)
    for each in (read_by_coordinates(), dead_code_elimination()):
        each.apply(program)
    exporter = _Exporter(program, target)
    (block,) = exporter.convert_function(function, _OPSET[target]).block_specializations.values()
    compact_block(block)
    return exporter.layout.size_bytes + sum(int(each.ByteSize()) for each in block.operations)
