"""Bytes that a tensor takes in an ONNX file: its constants, and the nodes that say what their codes mean."""

from __future__ import annotations

from pocketrec.convert.onnx.codes import OnnxSparse, onnx_codes
from pocketrec.convert.onnx.dialect import Dialect
from pocketrec.convert.onnx.writer import OnnxWriter
from pocketrec.quantize.tensor import QuantizedTensor


def onnx_bytes(tensor: QuantizedTensor, dialect: Dialect, *, looked_up: bool) -> int:
    """Bytes of a file that hold the tensor, read once by one function.

    Args:
        tensor: a form.
        dialect: of the file.
        looked_up: whether rows of it are read by ids; else all of it is.
    """
    writer = OnnxWriter(tensor.name, 0, float16=dialect.float16)
    codes = onnx_codes(tensor, writer)
    if looked_up and not isinstance(codes, OnnxSparse):
        codes.rows("ids")
    else:
        codes.whole()
    return sum(each.ByteSize() for each in (*writer.constants, *writer.take()))
