"""What a saved Core ML package says about itself, read without the framework."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pocketrec.errors import ArtifactError, UsageError
from pocketrec.validate.runtimes.runtime import TensorSpec

_FEATURE_DTYPES = {65568: "float32", 65600: "float64", 131104: "int32", 131080: "int8", 65552: "float16"}


def load_spec(path: Path) -> Any:
    """The package's Model protobuf; ArtifactError where it is damaged."""
    if not path.exists():
        raise UsageError(f"{path}: no such file; pass the path of an .mlpackage")
    try:
        from coremltools.models.utils import load_spec as load

        return load(str(path))
    except Exception as error:
        line = " ".join(str(error).split())[:200] or type(error).__name__
        raise ArtifactError(f"{path.name}: not a Core ML package ({line}); build or pull it again") from error


def functions_of(spec: Any) -> tuple[str, ...]:
    """Names of the functions of a Model protobuf, the default first; empty where it holds only one."""
    default = spec.description.defaultFunctionName
    return tuple(sorted((each.name for each in spec.description.functions), key=lambda name: name != default))


def describe_io(
    spec: Any, function: str | None = None
) -> tuple[tuple[TensorSpec, ...], tuple[TensorSpec, ...], Mapping[str, str]]:
    """Inputs, outputs and the user's metadata of a Model protobuf; of one function where it holds several."""
    described = next((each for each in spec.description.functions if each.name == function), spec.description)
    inputs = tuple(_tensor(each) for each in described.input)
    outputs = tuple(_tensor(each) for each in described.output)
    return inputs, outputs, dict(spec.description.metadata.userDefined)


def _tensor(feature: Any) -> TensorSpec:
    array = feature.type.multiArrayType
    dtype = _FEATURE_DTYPES.get(array.dataType, str(array.dataType))
    shape: tuple[int, ...] = tuple(int(size) for size in array.shape)
    kind = array.WhichOneof("ShapeFlexibility")
    enumerated: tuple[tuple[int, ...], ...] = ()
    bounds = tuple((size, size) for size in shape)
    if kind == "enumeratedShapes":
        enumerated = tuple(tuple(int(size) for size in each.shape) for each in array.enumeratedShapes.shapes)
    elif kind == "shapeRange":
        bounds = tuple((int(each.lowerBound), int(each.upperBound)) for each in array.shapeRange.sizeRanges)
    free: tuple[tuple[int, int | None], ...] = tuple(
        (low, high if high >= low else None) for low, high in bounds
    )
    sizes = tuple(low if low == high else None for low, high in free)
    optional = bool(feature.type.isOptional)
    return TensorSpec(
        name=feature.name, dtype=dtype, shape=sizes, bounds=free, enumerated=enumerated, optional=optional
    )


def operations(spec: Any) -> Iterator[Any]:
    """All operations of all functions of an ML program, nested blocks included."""
    for function in spec.mlProgram.functions.values():
        for block in function.block_specializations.values():
            yield from _walk(block)


def _walk(block: Any) -> Iterator[Any]:
    for op in block.operations:
        yield op
        for nested in op.blocks:
            yield from _walk(nested)


def precision_of(spec: Any) -> str:
    """`float16`, `float32` or both, as the program's own values say."""
    names = {10: "float16", 11: "float32"}
    # A constant's own dtype says little (shapes, scales); what ops compute says what the arithmetic is.
    found = {
        names[out.type.tensorType.dataType]
        for op in operations(spec)
        if op.type not in ("const", "cast")
        for out in op.outputs
        if out.type.tensorType.dataType in names
    }
    return ", ".join(sorted(found)) or "float32"
