"""The audit of any artifact: which tensors it stores compressed, by what method, in how many bits.

A bundle of pocketrec says it, by the module's names, and artifacts of earlier releases did in their
metadata; of others it is read off the ops that turn stored integers back into numbers.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from math import prod

from pocketrec.errors import ArtifactError
from pocketrec.origin import Carried, carried_from_list
from pocketrec.outside import parse_json
from pocketrec.validate.artifact.graph import Graph, Op

METADATA = "pocketrec.compression"  # of artifacts of earlier releases


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


def of_carried(carried: Mapping[str, Carried]) -> tuple[StoredTensor, ...]:
    """What a bundle says of an artifact, largest first."""
    return _ordered(
        [_stored(name, each.method, each.shape, each.size_bytes) for name, each in carried.items()]
    )


def stated(metadata: Mapping[str, str]) -> tuple[StoredTensor, ...]:
    """What an artifact of pocketrec says of itself; empty where it says nothing."""
    text = metadata.get(METADATA)
    if not text:
        return ()
    try:
        table = parse_json(text, name=METADATA)
        rows = {name: carried_from_list(each, where=METADATA) for name, each in table.items()}
    except (ArtifactError, AttributeError):
        raise ArtifactError(f"metadata {METADATA!r} is damaged; build or pull it again") from None
    return of_carried(rows)


# Op to the operands that are stored; of a Core ML constexpr op, all but what sets it.
_STORING = {
    "DequantizeLinear": ("0", "1", "2"),
    "GatherBlockQuantized": ("x", "scales", "zero_points"),
    "MatMulNBits": ("1", "2", "3"),
    "MatMulInteger": ("1", "3"),
}
_CONSTEXPR, _SETTINGS = "constexpr_", ("axis", "shape", "vector_axis", "output_dtype")


def of_ops(graph: Graph) -> tuple[StoredTensor, ...]:
    """The compressed tensors that the graph's own ops tell of, largest first."""
    rows: dict[str, StoredTensor] = {}
    for op in graph.ops:
        if op.type.startswith(_CONSTEXPR) and op.outputs:
            operands = [each for each in op.inputs if each not in _SETTINGS]
            made = graph.tensor(op.outputs[0])
            shape = tuple(size or 0 for size in made.shape or ())
            rows[made.name] = _stored(made.own_name, op.type, shape, _bytes(graph, op, operands))
        elif op.type in _STORING:
            operands = list(_STORING[op.type])
            codes = graph.operand(op, operands[0])
            if codes is not None and codes.stored_bytes is not None:
                shape = _dense_shape(op, tuple(size or 0 for size in codes.shape or ()))
                rows[codes.name] = _stored(codes.own_name, op.type, shape, _bytes(graph, op, operands))
    return _ordered(list(rows.values()))


def _bytes(graph: Graph, op: Op, operands: Iterable[str]) -> int:
    held = (graph.tensor(name) for operand in operands for name in op.inputs.get(operand, ()))
    return sum(each.stored_bytes or 0 for each in held)


def _dense_shape(op: Op, stored: tuple[int, ...]) -> tuple[int, ...]:
    """The shape of the numbers that codes of this shape stand for; theirs where the op does not say more."""
    if op.type == "MatMulNBits" and {"N", "K"} <= op.attributes.keys():
        return (int(op.attributes["N"]), int(op.attributes["K"]))
    if op.type == "GatherBlockQuantized" and op.attributes.get("bits", 0) > 0:
        return (*stored[:-1], stored[-1] * 8 // int(op.attributes["bits"]))
    return stored


def _ordered(rows: list[StoredTensor]) -> tuple[StoredTensor, ...]:
    return tuple(sorted(rows, key=lambda each: (-each.bytes_after, each.name)))
