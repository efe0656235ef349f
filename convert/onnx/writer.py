"""Nodes and constants for an ONNX graph, written one after the other under names of their own."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto

from pocketrec.convert.onnx.external import tensor_of
from pocketrec.convert.onnx.halves import EXPONENTS, LEADING, STEP
from pocketrec.source.stubs import Stub

MICROSOFT = "com.microsoft"
_NAMED = frozenset({"codes", "scales", "lengths", "zero_points", "codebook", "mask", "kept", "order"})
_CONTRIB = frozenset({"GatherBlockQuantized", "MatMulNBits"})


class OnnxWriter:
    """Collects nodes in order, and constants, each of which is stored once.

    Attributes:
        nodes: what has been written and not been taken yet.
        constants: everything stored so far.
        stubs: what stands for rows that are streamed, by the names of their constants.
        contrib: whether an op of ONNX Runtime's own domain was written.
    """

    def __init__(self, prefix: str, number: int, *, float16: bool = True) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []
        self.contrib = False
        # Graphs of small models are as large as their codes; so only constants carry the full name.
        self._prefix, self._short, self._count = prefix, f"c{number}", 0
        self._float16 = float16
        self.stubs: dict[str, Stub] = {}
        self._known: dict[Hashable, str] = {}

    def node(self, op: str, inputs: list[str], **attributes: Any) -> str:
        """The name of the single output of a new node."""
        return self.outputs(op, inputs, 1, **attributes)[0]

    def outputs(self, op: str, inputs: list[str], count: int, **attributes: Any) -> list[str]:
        """The names of the outputs of a new node."""
        names = [self.name() for _ in range(count)]
        domain = MICROSOFT if op in _CONTRIB else ""
        self.contrib = self.contrib or bool(domain)
        self.nodes.append(onnx.helper.make_node(op, inputs, names, domain=domain, **attributes))
        return names

    def name(self) -> str:
        """A name that no other value has."""
        self._count += 1
        return f"{self._short}.{self._count}"

    def constant(self, value: Any, kind: str = "constant") -> str:
        """The name of a stored array; the same array has the same name. `float32` reads float16 ones."""
        if isinstance(value, Stub):
            key: Hashable = value.source
        else:
            array = np.ascontiguousarray(value)
            key = (array.dtype.str, np.shape(value), array.tobytes())
        if key not in self._known:
            self._known[key] = self._constant_name(kind)
            self.constants.append(tensor_of(value, self._known[key], self.stubs))
            if self._in_bits(value):
                self.constants[-1].data_type = TensorProto.UINT16
        return self._known[key]

    def float32(self, value: str, stored: Any) -> str:
        """The value, of the array `stored` or picked from it, as float32."""
        if not self._in_bits(stored):
            return self.cast(value)
        bits = self.cast(value, TensorProto.INT32)
        step = self.constant(np.int32(STEP))
        top = self.node("Div", [bits, step])
        low = self.cast(self.node("Sub", [bits, self.node("Mul", [top, step])]))
        whole = self.node("Add", [low, self.node("Gather", [self.constant(LEADING), top])])
        return self.node("Mul", [whole, self.node("Gather", [self.constant(EXPONENTS), top])])

    def _in_bits(self, stored: Any) -> bool:
        return not self._float16 and getattr(stored, "dtype", None) == np.float16

    def _constant_name(self, kind: str) -> str:
        prefix = self._prefix if kind in _NAMED else self._short
        return f"{prefix}/{kind}{len(self._known)}"

    def take(self) -> list[onnx.NodeProto]:
        """The nodes written since the last call."""
        taken, self.nodes = self.nodes, []
        return taken

    def cast(self, value: str, dtype: int = TensorProto.FLOAT) -> str:
        """The value in another type, float32 by default."""
        return self.node("Cast", [value], to=dtype)

    def reshape(self, value: str, shape: tuple[int, ...]) -> str:
        """The value in a fixed shape."""
        return self.node("Reshape", [value, self.constant(np.array(shape, np.int64), "shape")])

    def merge_last(self, value: str) -> str:
        """The value with its last two axes made one, whatever its rank."""
        leading = self.node("Shape", [value], start=0, end=-2)
        shape = self.node("Concat", [leading, self.constant(np.array([-1], np.int64), "shape")], axis=0)
        return self.node("Reshape", [value, shape])
