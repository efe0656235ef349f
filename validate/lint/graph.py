"""An artifact as a plain graph, so that one rule reads Core ML programs and ONNX models alike.

Ops and their operands have Core ML's names in both (`gather(x, indices)`, `select(cond, a, b)`);
what ONNX alone has keeps its own. Constants stay on disk until a rule asks for their numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from math import prod
from typing import Any, Literal

from pocketrec.validate.artifact.sizes import stored_bytes
from pocketrec.validate.coreml_program.values import Array
from pocketrec.validate.runtimes.runtime import TensorSpec

Shape = tuple[int | None, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Value:
    """A tensor: `load` gives a constant's numbers; a shape of None, or a size of None, is not known."""

    name: str
    dtype: str = ""
    shape: Shape | None = None
    load: Callable[[], Any] | None = None

    @property
    def size(self) -> int:
        """Number of elements; 0 where it is not known."""
        sizes = [each for each in self.shape or () if each is not None]
        return prod(sizes) if self.shape is not None and len(sizes) == len(self.shape) else 0

    @property
    def size_bytes(self) -> int:
        """Bytes that the elements take, packed where they are smaller than a byte."""
        return stored_bytes(self.dtype, (self.size,)) if self.dtype not in ("", "string") else 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """An op: operands by name, results in order; `captured` is what its nested blocks read."""

    kind: str
    name: str
    inputs: Mapping[str, tuple[str, ...]]
    outputs: tuple[str, ...]
    attributes: Mapping[str, Any] = field(default_factory=dict)
    captured: tuple[str, ...] = ()

    @property
    def operands(self) -> tuple[str, ...]:
        """All that it reads."""
        return (*(name for names in self.inputs.values() for name in names), *self.captured)


# The operands through which the numbers of an id pass unchanged, or shifted, from op to op.
ID_PATH: Mapping[str, tuple[str, ...]] = {
    **dict.fromkeys(("cast", "identity", "reshape", "expand_dims", "squeeze", "transpose", "tile"), ("x",)),
    **dict.fromkeys(("slice_by_index", "slice_by_size", "split", "clip", "expand", "flatten2d"), ("x",)),
    **dict.fromkeys(("floor", "round", "gather", "gather_nd", "gather_along_axis"), ("x",)),
    **dict.fromkeys(("add", "sub", "maximum", "minimum", "mod", "floor_div"), ("x", "y")),
    **dict.fromkeys(("concat", "stack"), ("values",)),
    "select": ("a", "b"),
}


@dataclass(frozen=True, kw_only=True)
class Graph:
    """All functions of an artifact; where there are several, names begin with the function's.

    Attributes:
        format: `coreml` or `onnx`.
        inputs: as the application sees them.
        outputs: as the application sees them.
        results: the values behind `outputs`.
        producer: the tool that says that it wrote the file.
    """

    format: Literal["coreml", "onnx"]
    nodes: tuple[Node, ...]
    values: Mapping[str, Value]
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    results: tuple[str, ...]
    metadata: Mapping[str, str]
    producer: str = ""

    @cached_property
    def makers(self) -> Mapping[str, Node]:
        """Value to the op that makes it."""
        return {name: node for node in self.nodes for name in node.outputs}

    @cached_property
    def readers(self) -> Mapping[str, tuple[Node, ...]]:
        """Value to the ops that read it."""
        found: dict[str, list[Node]] = {}
        for node in self.nodes:
            for name in dict.fromkeys(node.operands):
                found.setdefault(name, []).append(node)
        return {name: tuple(nodes) for name, nodes in found.items()}

    @property
    def constants(self) -> Iterator[Value]:
        """Every value whose numbers stand in the file."""
        return (value for value in self.values.values() if value.load is not None)

    def of_kind(self, *kinds: str) -> Iterator[Node]:
        """The ops of these kinds, in order."""
        return (node for node in self.nodes if node.kind in kinds)

    def value(self, name: str) -> Value:
        """The value of that name; one of unknown type where the file does not describe it."""
        return self.values.get(name) or Value(name=name)

    def operand(self, node: Node, name: str) -> Value | None:
        """The first value bound to that operand; None where it is absent."""
        bound = node.inputs.get(name)
        return self.value(bound[0]) if bound else None

    def parameter(self, node: Node, name: str, default: Any = None) -> Any:
        """An attribute, or a constant operand's number; the default where it is neither."""
        if name in node.attributes:
            return node.attributes[name]
        value = self.operand(node, name)
        return default if value is None or value.load is None else value.load()

    def numbers(self, name: str, *, limit: int) -> Array | None:
        """A constant's numbers; None for what is no constant or has more than `limit` elements."""
        value = self.value(name)
        if value.load is None or value.dtype == "string" or not 0 < value.size <= limit:
            return None
        numbers: Array = value.load()
        return numbers

    def extent(self, node: Node, operand: str = "x", *, default_axis: int = 0) -> int | None:
        """The size of `operand` along the op's axis; None where it is not known."""
        value = self.operand(node, operand)
        axis = int(self.parameter(node, "axis", default_axis))
        if value is None or value.shape is None or not -len(value.shape) <= axis < len(value.shape):
            return None
        return value.shape[axis]

    def upstream(self, name: str, path: Mapping[str, tuple[str, ...]] = ID_PATH) -> Iterator[Value]:
        """The value and all from which it comes by the operands in `path`; what is constant ends it."""
        seen, waiting = {name}, [name]
        while waiting:
            current = waiting.pop(0)
            yield self.value(current)
            node = self.makers.get(current)
            if node is None or node.kind not in path:
                continue
            for operand in path[node.kind]:
                for each in node.inputs.get(operand, ()):
                    if each not in seen and self.value(each).load is None:
                        seen.add(each)
                        waiting.append(each)

    def downstream(self, name: str, path: Mapping[str, tuple[str, ...]] = ID_PATH) -> Iterator[Value]:
        """The value and all that comes from it by the operands in `path`."""
        seen, waiting = {name}, [name]
        while waiting:
            current = waiting.pop(0)
            yield self.value(current)
            for node in self.readers.get(current, ()):
                passes = any(current in node.inputs.get(operand, ()) for operand in path.get(node.kind, ()))
                for each in node.outputs if passes else ():
                    if each not in seen:
                        seen.add(each)
                        waiting.append(each)
