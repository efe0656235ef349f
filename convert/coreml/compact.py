"""A saved program without what only repeats: each small constant once, inner values under short names.

coremltools writes every small constant for each op that reads it, and every value's name where it is made,
where it is read, and once more as an attribute. In a recommender's program that is a third of it, and beside
tables that are compressed to a tenth it counts. What is stored in the weight file keeps its name.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

from pocketrec.convert.lower.short_names import short_names

_NAME, _VALUE = "name", "val"


def compact(package: Path) -> dict[str, str]:
    """Rewrites the program of one function in place, as coremltools saved it; old names of values to new."""
    from coremltools.proto import Model_pb2

    path = next(package.glob("Data/**/*.mlmodel"))
    spec = Model_pb2.Model()
    spec.ParseFromString(path.read_bytes())
    function = spec.mlProgram.functions["main"]
    (block,) = function.block_specializations.values()
    names = compact_block(block, [each.name for each in function.inputs])
    path.write_bytes(spec.SerializeToString(deterministic=True))
    return names


def compact_block(block: Any, inputs: Collection[str] = ()) -> dict[str, str]:
    """Does so with a function's block in place, whose inputs keep their names; old names of values to new."""
    _share_constants(block)
    kept = {*inputs, *block.outputs, *_stored(block)}
    names = short_names(_made(block), kept)
    _rename(block, names)
    return names


def _share_constants(block: Any) -> None:
    """Has all ops of a block and of those inside of it read one of its equal small constants."""
    first: dict[bytes, str] = {}
    same: dict[str, str] = {}
    repeated = []
    for place, op in enumerate(block.operations):
        if op.type == "const" and op.attributes[_VALUE].HasField("immediateValue"):
            value = op.attributes[_VALUE].SerializeToString(deterministic=True)
            name = op.outputs[0].name
            if first.setdefault(value, name) != name and name not in block.outputs:
                same[name] = first[value]
                repeated.append(place)
    for place in reversed(repeated):
        del block.operations[place]
    _rename(block, same)


def _rename(block: Any, names: Mapping[str, str]) -> None:
    for op in block.operations:
        for value in op.inputs.values():
            for argument in value.arguments:
                if argument.HasField("name"):
                    argument.name = names.get(argument.name, argument.name)
        for output in op.outputs:
            output.name = names.get(output.name, output.name)
        if op.outputs and _NAME in op.attributes:
            op.attributes[_NAME].immediateValue.tensor.strings.values[0] = op.outputs[0].name
        for inner in op.blocks:
            for taken in inner.inputs:
                taken.name = names.get(taken.name, taken.name)
            _rename(inner, names)
    block.outputs[:] = [names.get(name, name) for name in block.outputs]


def _made(block: Any) -> Iterator[str]:
    """The names of what ops give, and of what inner blocks take, in order."""
    for op in block.operations:
        for inner in op.blocks:
            yield from (each.name for each in inner.inputs)
            yield from _made(inner)
        yield from (each.name for each in op.outputs)


def _stored(block: Any) -> Collection[str]:
    """The names of what is read from the weight file, as it is or as codes."""
    found = set[str]()
    for op in block.operations:
        held = [*op.attributes.values(), *(each for value in op.inputs.values() for each in _values(value))]
        if op.type.startswith("constexpr") or any(each.HasField("blobFileValue") for each in held):
            found.update(each.name for each in op.outputs)
        for inner in op.blocks:
            found.update(_stored(inner))
    return found


def _values(given: Any) -> Iterator[Any]:
    for argument in given.arguments:
        if argument.HasField("value"):
            yield argument.value
