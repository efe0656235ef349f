"""What a saved Core ML package says about itself, read without the framework and without a write.

coremltools' own loader rewrites Manifest.json of what it reads, and so is not used.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pocketrec.errors import ArtifactError, UsageError
from pocketrec.outside import LARGEST_PROGRAM, exists, inside, read_file, read_json, require_folder
from pocketrec.validate.runtimes.coreml_proto import proto
from pocketrec.validate.runtimes.runtime import TensorSpec

_FEATURE_DTYPES = {65568: "float32", 65600: "float64", 131104: "int32", 131080: "int8", 65552: "float16"}


@dataclass(frozen=True, slots=True, kw_only=True)
class SavedModel:
    """A Model protobuf, its file, and the folder of its weights; None for a lone .mlmodel, which has none."""

    spec: Any
    file: Path
    folder: Path | None

    def blob_path(self, name: str) -> Path:
        """The path of the weight file of that name; ArtifactError where it is not in the package."""
        if self.folder is None:
            raise ArtifactError(f"{self.file}: refers to {name!r}, but is no package with a weight file")
        return inside(self.folder, name.removeprefix("@model_path/"), where=str(self.file))


def load_model(path: Path) -> SavedModel:
    """The model of an .mlpackage or .mlmodel, whose weights are all there, and as long as it declares.

    Raises:
        UsageError: there is nothing at the path.
        ArtifactError: a file of it is damaged, missing or no regular file; names the file.
    """
    if not exists(path):
        raise UsageError(f"{path}: no such file; pass the path of an .mlpackage or .mlmodel")
    package = path.is_dir()
    file = _model_file(path) if package else path
    model = SavedModel(spec=_parse(file), file=file, folder=file.parent if package else None)
    _check_blobs(model)
    return model


def _model_file(package: Path) -> Path:
    manifest = package / "Manifest.json"
    table = read_json(manifest)
    try:
        entry = table["itemInfoEntries"][table["rootModelIdentifier"]]["path"]
    except (KeyError, TypeError) as error:
        reason = f"{type(error).__name__}: {error}"
        raise ArtifactError(f"{manifest}: no readable package manifest ({reason}); pull it again") from None
    return inside(require_folder(package / "Data"), str(entry), where=str(manifest))


def _parse(file: Path) -> Any:
    from google.protobuf.message import DecodeError

    spec = proto("Model_pb2").Model()
    data = read_file(file, largest=LARGEST_PROGRAM)
    try:
        spec.ParseFromString(data)
    except DecodeError as error:
        raise ArtifactError(f"{file}: not a Core ML model ({error}); build or pull it again") from None
    return spec


def _check_blobs(model: SavedModel) -> None:
    from pocketrec.validate.coreml_program.values import DTYPES
    from pocketrec.validate.coreml_program.weights import WeightFile

    files: dict[str, WeightFile] = {}
    for op in operations(model.spec):
        for value, _ in op_values(op):
            kind = value.type.tensorType
            if value.WhichOneof("value") != "blobFileValue" or kind.dataType not in DTYPES:
                continue
            blob = value.blobFileValue
            if blob.fileName not in files:
                files[blob.fileName] = WeightFile(model.blob_path(blob.fileName))
            shape = tuple(int(each.constant.size) for each in kind.dimensions)
            files[blob.fileName].check(blob.offset, DTYPES[kind.dataType], shape)


def feature_spec(feature: Any) -> TensorSpec:
    """An input, output or state as the description has it; what is no array has no sizes."""
    held = feature.type.WhichOneof("Type") == "stateType"
    array = feature.type.stateType.arrayType if held else feature.type.multiArrayType
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
        name=feature.name,
        dtype=dtype,
        shape=sizes,
        bounds=free,
        enumerated=enumerated,
        optional=optional,
        description=feature.shortDescription,
    )


def operations(spec: Any) -> Iterator[Any]:
    """All operations of all functions of an ML program, nested blocks included."""
    for function in spec.mlProgram.functions.values():
        for block in function.block_specializations.values():
            yield from _walk(block)


def op_values(op: Any) -> Iterator[tuple[Any, str]]:
    """The constants among an op's operands, each with a name."""
    name = op.outputs[0].name if op.outputs else op.type
    for key, value in op.attributes.items():
        if key != "name":
            yield value, name if key == "val" else f"{name}.{key}"
    for key, argument in op.inputs.items():
        for binding in argument.arguments:
            if binding.HasField("value"):
                yield binding.value, f"{name}.{key}"


def _walk(block: Any) -> Iterator[Any]:
    for op in block.operations:
        yield op
        for nested in op.blocks:
            yield from _walk(nested)
