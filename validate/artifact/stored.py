"""The audit of any artifact: which tensors it stores compressed, by what method, in how many bits.

Artifacts of pocketrec say it in their metadata, by the module's names; of others it is read off the
ops that turn stored integers back into numbers.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from math import prod
from typing import Any

from pocketrec.errors import ArtifactError
from pocketrec.report import TensorSize

METADATA = "pocketrec.compression"


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredTensor:
    """One compressed tensor of an artifact.

    Attributes:
        name: in the module, or else in the artifact.
        method: how it is stored; an op's name where the artifact says no more.
        shape: of the numbers that it stands for.
        bits: stored bits per number, all that belongs to it included.
        bytes_before: in float32.
        bytes_after: as stored.
    """

    name: str
    method: str
    shape: tuple[int, ...]
    bits: float
    bytes_before: int
    bytes_after: int


def _stored(name: str, method: str, shape: tuple[int, ...], size: int) -> StoredTensor:
    count = max(1, prod(shape))
    return StoredTensor(
        name=name, method=method, shape=shape, bits=8 * size / count, bytes_before=4 * count, bytes_after=size
    )


def stated(metadata: Mapping[str, str]) -> tuple[StoredTensor, ...]:
    """What an artifact of pocketrec says of itself; empty where it says nothing."""
    text = metadata.get(METADATA)
    if not text:
        return ()
    try:
        rows = [
            _stored(name, str(method), tuple(int(each) for each in shape), int(size))
            for name, (method, shape, size) in json.loads(text).items()
        ]
    except (ValueError, TypeError, AttributeError) as error:
        raise ArtifactError(f"metadata {METADATA!r} is damaged ({error}); build or pull it again") from None
    return _ordered(rows)


_SETTINGS = (".axis", ".shape", ".vector_axis", ".output_dtype")


def of_operations(
    operations: Iterator[Any], values_of: Callable[[Any], Iterator[TensorSize]]
) -> tuple[StoredTensor, ...]:
    """The constexpr ops of a Core ML program; `values_of` gives the tensors that an op itself holds."""
    rows = []
    for op in operations:
        if op.type.startswith("constexpr_"):
            kind = op.outputs[0].type.tensorType
            shape = tuple(int(each.constant.size) for each in kind.dimensions)
            held = (each for each in values_of(op) if not each.name.endswith(_SETTINGS))
            size = sum(each.size_bytes for each in held)
            rows.append(_stored(op.outputs[0].name, op.type, shape, size))
    return _ordered(rows)


# Op to the places of the inputs that are stored: codes, scales, zero points.
_ONNX_OPS = {
    "DequantizeLinear": (0, 1, 2),
    "GatherBlockQuantized": (0, 2, 3),
    "MatMulNBits": (1, 2, 3),
    "MatMulInteger": (1, 3),
}


def of_nodes(
    nodes: Iterator[Any], sizes: Mapping[str, tuple[tuple[int, ...], int]]
) -> tuple[StoredTensor, ...]:
    """The quantized constants of an ONNX graph; `sizes` are shape and bytes by initializer."""
    rows: dict[str, StoredTensor] = {}
    for node in nodes:
        places = _ONNX_OPS.get(node.op_type)
        if places is None or len(node.input) <= places[0] or node.input[places[0]] not in sizes:
            continue
        name = node.input[places[0]]
        parts = [node.input[place] for place in places if place < len(node.input)]
        size = sum(sizes[part][1] for part in parts if part in sizes)
        rows[name] = _stored(name, node.op_type, _dense_shape(node, sizes[name][0]), size)
    return _ordered(list(rows.values()))


def _dense_shape(node: Any, stored: tuple[int, ...]) -> tuple[int, ...]:
    attributes = {each.name: each.i for each in node.attribute}
    if node.op_type == "MatMulNBits":
        return (attributes["N"], attributes["K"])
    if node.op_type == "GatherBlockQuantized" and "bits" in attributes:
        return (*stored[:-1], stored[-1] * 8 // attributes["bits"])
    return stored


def _ordered(rows: list[StoredTensor]) -> tuple[StoredTensor, ...]:
    return tuple(sorted(rows, key=lambda each: (-each.bytes_after, each.name)))
