"""Nodes and constants for an ONNX graph, written one after the other under names of their own."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto

from pocketrec.convert.onnx.external import tensor_of
from pocketrec.convert.onnx.halves import FEW, HIGHEST, STEPS, lower, upper
from pocketrec.source.stubs import Stub

MICROSOFT = "com.microsoft"
_NAMED = frozenset({"codes", "scales", "lengths", "zero_points", "codebook", "basis", "mask", "kept"})
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
        """The name of a stored array; the same array has the same name."""
        if isinstance(value, Stub):
            key: Hashable = value.source
        else:
            array = np.ascontiguousarray(value)
            key = (array.dtype.str, np.shape(value), array.tobytes())
        if key not in self._known:
            self._known[key] = self._constant_name(kind)
            self.constants.append(tensor_of(value, self._known[key], self.stubs))
        return self._known[key]

    def numbers(self, array: Any, kind: str, ids: str | None = None) -> str:
        """A stored float array, or its places `ids` along the first axis, as float32."""
        if array.dtype != np.float16 or self._float16:
            return self.cast(self._picked(self.constant(array, kind), ids))
        if array.size < FEW and not isinstance(array, Stub):
            return self._picked(self.constant(array.astype(np.float32), kind), ids)
        high = self._picked(self.constant(upper(array), kind), ids)
        low = self.cast(self._picked(self.constant(lower(array), kind), ids))
        place = self.cast(high, TensorProto.INT32)
        steps = self.node("Mul", [low, self.node("Gather", [self.constant(STEPS, "float16/steps"), place])])
        return self.node(
            "Add", [steps, self.node("Gather", [self.constant(HIGHEST, "float16/highest"), place])]
        )

    def _picked(self, stored: str, ids: str | None) -> str:
        return stored if ids is None else self.node("Gather", [stored, ids], axis=0)

    def _constant_name(self, kind: str) -> str:
        if "/" in kind:
            return kind  # all tensors of a graph share it
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
