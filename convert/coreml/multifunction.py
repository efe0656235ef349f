"""Several Core ML packages of one function as one package of several, every weight stored once.

The programs are taken over op by op as they were lowered and proved; only their references into the
weight file change. A weight is shared where type and bytes are equal, never where they are close.
Weights are copied from file to file, so memory does not follow their size.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterator, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from pocketrec.convert.coreml.canonical import canonicalize
from pocketrec.convert.coreml.described import merge_metadata
from pocketrec.errors import ConversionError

_IOS18 = 9  # the specification's version; earlier ones know one function only
# What a package says of its one function; the last two, those of earlier releases.
_OF_ONE = {"pocketrec.function", "pocketrec.origins", "pocketrec.compression"}
_WEIGHTS = "weights/weight.bin"
_ALIGNMENT = 64
_HEADER = struct.Struct("<II56x")  # number of blobs, version of the format
_RECORD = struct.Struct("<IIQQQ32x")  # sentinel, data type, bytes, offset of the data, padding in bits
_SENTINEL, _FORMAT_VERSION = 0xDEADBEEF, 2


def to_multifunction(packages: Mapping[str, Path], path: Path) -> Path:
    """The path of the .mlpackage at `path` that holds every function; the first one is its default.

    Identical bytes for identical packages. Each function keeps its inputs, outputs and names of tensors.

    Args:
        packages: function to a package of that one function, lowered for iOS18 or later.
        path: the package's directory; it must not exist.

    Raises:
        ConversionError: there is no package, one is older than iOS18, or one holds several functions.

    Source: the MILBlob storage format, version 2, and `functions` of Core ML's ModelDescription.
    """
    if not packages:
        raise ConversionError(f"{path.name}: no function to put into it; pass at least one package")
    from coremltools.models.utils import save_spec
    from coremltools.proto import Model_pb2

    merged = Model_pb2.Model()
    merged.description.defaultFunctionName = next(iter(packages))
    with TemporaryDirectory() as folder:
        with (Path(folder) / "weight.bin").open("wb") as file:
            pool = _Pool(file)
            for name, package in packages.items():
                _add(merged, name, package, pool)
            pool.finish()
        save_spec(merged, str(path), weights_dir=folder)
    canonicalize(path)
    return path


def _add(merged: Any, name: str, package: Path, pool: _Pool) -> None:
    spec = _read(name, package)
    merged.specificationVersion = max(merged.specificationVersion, spec.specificationVersion)
    merged.mlProgram.version = spec.mlProgram.version
    function = merged.mlProgram.functions[name]
    function.CopyFrom(spec.mlProgram.functions["main"])
    source = _weight_file(package)
    for blob in _blobs(function):
        blob.offset = pool.add(source, blob.offset, package)
        blob.fileName = f"@model_path/{_WEIGHTS}"
    described = merged.description.functions.add(name=name)
    described.input.extend(spec.description.input)
    described.output.extend(spec.description.output)
    described.state.extend(spec.description.state)
    merge_metadata(merged.description.metadata, spec.description.metadata)
    kept, given = merged.description.metadata.userDefined, spec.description.metadata.userDefined
    for key in sorted(given.keys() - set(kept) - _OF_ONE):
        kept[key] = given[key]


def _read(name: str, package: Path) -> Any:
    from coremltools.models.utils import load_spec

    spec = load_spec(str(package))
    if list(spec.mlProgram.functions) != ["main"]:
        raise ConversionError(f"{package.name}: holds several functions already; pass packages of one each")
    if spec.specificationVersion < _IOS18:
        raise ConversionError(
            f"function {name}: its package is of specification {spec.specificationVersion}; several functions"
            f" in one need {_IOS18}, minimum_deployment_target = 'iOS18'"
        )
    return spec


def _weight_file(package: Path) -> npt.NDArray[np.uint8]:
    """The package's weight file, mapped; empty where every constant stands in the program itself."""
    found = next(package.glob(f"Data/**/{_WEIGHTS}"), None)
    if found is None:
        return np.zeros(0, np.uint8)
    return np.memmap(found, dtype=np.uint8, mode="r")


def _blobs(function: Any) -> Iterator[Any]:
    """Every reference into the weight file."""
    waiting = list(function.block_specializations.values())
    while waiting:
        for op in waiting.pop().operations:
            waiting.extend(op.blocks)
            bound = [each.value for argument in op.inputs.values() for each in argument.arguments]
            for value in (*op.attributes.values(), *bound):
                if value.WhichOneof("value") == "blobFileValue":
                    yield value.blobFileValue


class _Pool:
    """A weight file that grows by what it does not hold yet."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._places: dict[tuple[int, int, str], int] = {}
        file.write(_HEADER.pack(0, _FORMAT_VERSION))

    def add(self, source: npt.NDArray[np.uint8], offset: int, package: Path) -> int:
        """The offset of the record of the blob at `offset` of `source`."""
        record = source[offset : offset + _RECORD.size].tobytes()
        if len(record) < _RECORD.size:
            raise ConversionError(f"{package.name}: its weight file ends before byte {offset}; convert again")
        sentinel, dtype, size, start, padding = _RECORD.unpack(record)
        data = source[start : start + size]
        if sentinel != _SENTINEL or len(data) != size:
            raise ConversionError(f"{package.name}: its weight file is damaged at {offset}; convert again")
        key = dtype, padding, hashlib.sha256(data.data).hexdigest()
        if key not in self._places:
            self._places[key] = self._write(dtype, padding, data)
        return self._places[key]

    def _write(self, dtype: int, padding: int, data: npt.NDArray[np.uint8]) -> int:
        place = self._align()
        self._file.write(_RECORD.pack(_SENTINEL, dtype, len(data), place + _RECORD.size, padding))
        self._file.write(data.data)
        return place

    def _align(self) -> int:
        self._file.write(b"\0" * (-self._file.tell() % _ALIGNMENT))
        return self._file.tell()

    def finish(self) -> None:
        """Writes the number of blobs into the header."""
        self._file.seek(0)
        self._file.write(_HEADER.pack(len(self._places), _FORMAT_VERSION))
