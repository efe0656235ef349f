"""An ONNX file from outside: parsed without its external data, and checked before anything reads on.

ONNX's own checker stops at what it does not know, such as another domain's ops; this one asks only for
what every reader takes for granted.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

from pocketrec.errors import ArtifactError, MissingExtra, UsageError
from pocketrec.outside import LARGEST_PROGRAM, exists, inside, read_file, require_file

_SUB_BYTE = {"INT4": 4, "UINT4": 4, "FLOAT4E2M1": 4, "INT2": 2, "UINT2": 2}


@dataclass(frozen=True, slots=True, kw_only=True)
class ExternalData:
    """Where a tensor's bytes lie beside the .onnx file."""

    path: Path
    offset: int
    length: int


def load_onnx(path: Path) -> Any:
    """The file's ModelProto without external data, which is there and as long as the tensors say.

    Raises:
        UsageError: there is nothing at the path.
        ArtifactError: the file or its external data is damaged, missing or no regular file; says which.
    """
    try:
        import onnx
        from google.protobuf.message import DecodeError
    except ModuleNotFoundError:
        raise MissingExtra("onnx", "build") from None
    if not exists(path):
        raise UsageError(f"{path}: no such file; pass the path of an .onnx file")
    data, model = read_file(path, largest=LARGEST_PROGRAM), onnx.ModelProto()
    try:
        model.ParseFromString(data)
    except DecodeError as error:
        raise ArtifactError(f"{path.name}: not an ONNX file ({error}); build or pull it again") from None
    if not model.graph.output:
        raise ArtifactError(f"{path.name}: an ONNX file without outputs; build or pull it again")
    _Checker(path).check(model)
    return model


def external_data(tensor: Any, path: Path) -> ExternalData | None:
    """Where a tensor of the file at `path` has its bytes; None where the file itself holds them.

    Raises:
        ArtifactError: they are not beside the file, or there are fewer than the tensor needs.
    """
    entries = {each.key: each.value for each in tensor.external_data}
    if not entries and not tensor.data_location:  # 1 says that the bytes are elsewhere
        return None
    where = f"{path.name}: external data of {tensor.name!r}"
    needed = _size(tensor)
    offset, length = (_number(entries, key, where) for key in ("offset", "length"))
    if "length" in entries and length < needed:
        raise ArtifactError(f"{where}: {length} bytes, its type has {needed}; build or pull it again")
    file = require_file(
        inside(path.parent, entries.get("location", ""), where=where),
        remedy=f"{path.name} keeps {tensor.name!r} there, so pull both",
    )
    if offset + needed > file.stat().st_size:
        raise ArtifactError(
            f"{where}: ends at byte {offset + needed} of {file.name}, which has {file.stat().st_size}; "
            "build or pull it again"
        )
    return ExternalData(path=file, offset=offset, length=needed)


def nested_graphs(attribute: Any) -> Iterator[Any]:
    """The graphs that an attribute of a node holds."""
    yield from attribute.graphs
    if attribute.HasField("g"):
        yield attribute.g


def all_nodes(nodes: Any) -> Iterator[Any]:
    """The nodes and those of all graphs within them."""
    for node in nodes:
        yield node
        for attribute in node.attribute:
            for graph in nested_graphs(attribute):
                yield from all_nodes(graph.node)


def all_tensors(model: Any) -> Iterator[Any]:
    """Every tensor that the model holds: initializers, sparse ones, and those of attributes."""
    yield from _initializers(model.graph)
    for nodes in (model.graph.node, *(each.node for each in model.functions)):
        for node in all_nodes(nodes):
            for attribute in node.attribute:
                yield from attribute.tensors
                yield from ([attribute.t] if attribute.HasField("t") else ())
                for graph in nested_graphs(attribute):
                    yield from _initializers(graph)


def _initializers(graph: Any) -> Iterator[Any]:
    yield from graph.initializer
    for each in graph.sparse_initializer:
        yield from (each.values, each.indices)


def _texts(message: Any) -> Iterator[Any]:
    for field, value in message.ListFields():
        if field.type == field.TYPE_STRING:
            yield from [value] if isinstance(value, str | bytes) else value
        elif field.type == field.TYPE_MESSAGE:
            for each in [value] if hasattr(value, "ListFields") else value:
                yield from _texts(each)


class _Checker:
    """What every reader of an ONNX file takes for granted, asked of the file at `path`."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def check(self, model: Any) -> None:
        """Checks that names are text, types known, constants whole, and that no function calls itself."""
        if not all(isinstance(each, str) for each in _texts(model)):  # protobuf gives bytes then
            raise self._wrong("a name in it is no UTF-8 text")
        for tensor in all_tensors(model):
            self._tensor(tensor)
        for each in (*model.graph.input, *model.graph.output, *model.graph.value_info):
            self._type(each.name, each.type.tensor_type.elem_type, undefined=True)
        for nodes in (model.graph.node, *(each.node for each in model.functions)):
            for node in all_nodes(nodes):
                if node.op_type == "Constant" and not (node.attribute and node.output):
                    raise self._wrong(f"the constant {node.name!r} has no value or no name")
        self._functions(model)

    def _tensor(self, tensor: Any) -> None:
        self._type(tensor.name, tensor.data_type, undefined=False)
        if any(size < 0 for size in tensor.dims):
            raise self._wrong(f"tensor {tensor.name!r} has the shape {list(tensor.dims)}")
        outside = external_data(tensor, self._path)
        if outside is None and tensor.raw_data and len(tensor.raw_data) != _size(tensor):
            raise self._wrong(
                f"tensor {tensor.name!r} holds {len(tensor.raw_data)} bytes, its type has {_size(tensor)}"
            )

    def _type(self, name: str, kind: int, *, undefined: bool) -> None:
        import onnx

        if kind not in onnx.TensorProto.DataType.values() or (kind == 0 and not undefined):
            raise self._wrong(f"{name!r} has the data type {kind}, which ONNX does not define")

    def _functions(self, model: Any) -> None:
        """Checks that local functions end: what calls itself cannot be inlined, and crashes engines."""
        bodies = {(each.domain, each.name): each for each in model.functions}
        done: set[tuple[str, str]] = set()
        for start in bodies:
            trail: list[tuple[tuple[str, str], Iterator[Any]]] = [(start, all_nodes(bodies[start].node))]
            while trail:
                node = next(trail[-1][1], None)
                if node is None:
                    done.add(trail.pop()[0])
                    continue
                callee = (node.domain, node.op_type)
                if callee in (each for each, _ in trail):
                    raise self._wrong(f"the function {node.op_type!r} calls itself")
                if callee in bodies and callee not in done:
                    trail.append((callee, all_nodes(bodies[callee].node)))

    def _wrong(self, what: str) -> ArtifactError:
        return ArtifactError(f"{self._path.name}: {what}; build or pull it again")


def _size(tensor: Any) -> int:
    """Bytes of the tensor, sub-byte elements packed; 0 for strings, which have no size of their own."""
    import onnx

    name = str(onnx.TensorProto.DataType.Name(tensor.data_type))
    if name == "STRING":
        return 0
    bits = _SUB_BYTE.get(name) or 8 * onnx.helper.tensor_dtype_to_np_dtype(tensor.data_type).itemsize
    return int(-(-prod(tensor.dims) * bits // 8))


def _number(entries: dict[str, str], key: str, where: str) -> int:
    text = entries.get(key, "0")
    if not (text.isascii() and text.isdigit() and len(text) < 20):
        raise ArtifactError(f"{where}: {key} is {text[:40]!r}; expected a number of bytes; pull it again")
    return int(text)
