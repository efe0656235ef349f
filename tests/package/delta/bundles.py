"""Two releases of a small bundle: 2 rows of 64 changed, 3 were appended, and their texts with them."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from pocketrec.package.bundle import Bundle, read_bundle
from pocketrec.package.manifest import seal

ONNX, BLOBS = "artifacts/onnx/main.onnx", "artifacts/coreml/main.mlpackage/weights/weight.bin"
ARTIFACTS = {"onnx": {"main": ONNX}, "coreml": {"main": "artifacts/coreml/main.mlpackage"}}
COLUMNS = 24


def table(rows: int, changed: Mapping[int, float], *, dtype: Any = np.float32) -> npt.NDArray[Any]:
    """The same numbers for the same row, but for those that changed."""
    found = np.random.default_rng(0).normal(size=(80, COLUMNS))[:rows]
    for row, step in changed.items():
        found[row] = found[row, ::-1] + step
    return np.rint(found * 40).astype(dtype) if np.issubdtype(dtype, np.integer) else found.astype(dtype)


def onnx(arrays: Mapping[str, npt.NDArray[Any]], note: str) -> bytes:
    """An ONNX file that holds these arrays."""
    from onnx import helper, numpy_helper

    initializers = [numpy_helper.from_array(each, name) for name, each in arrays.items()]
    graph = helper.make_graph([], "main", [], [], initializers)
    made: bytes = helper.make_model(graph, doc_string=note).SerializeToString()
    return made


def blobs(*arrays: npt.NDArray[Any]) -> bytes:
    """A storage of Core ML's that holds these arrays."""
    kinds = {"float16": 1, "float32": 2, "uint8": 3, "int8": 4}
    found = bytearray(struct.pack("<II", len(arrays), 2).ljust(64, b"\0"))
    for each in arrays:
        start = len(found) + 64
        found += struct.pack("<IIQQ", 0xDEADBEEF, kinds[each.dtype.name], each.nbytes, start).ljust(64, b"\0")
        found += each.tobytes().ljust(-(-each.nbytes // 64) * 64, b"\0")
    return bytes(found)


def contents(version: str) -> dict[str, bytes]:
    """The files of a release."""
    newer = version != "1.0.0"
    rows, changed = (67, {5: 0.5, 40: -0.25}) if newer else (64, {})
    words = "".join(f"item {number}\n" for number in range(rows)).encode()
    arrays = {
        "table": table(rows, changed),
        "codes": table(rows, changed, dtype=np.int8),
        "bias": np.zeros(300, np.float32),
    }
    return {
        "contract.json": b"{}",
        "recipe.json": f'{{"version": "{version}", "seed": 0}}'.encode(),
        "vocabularies/item.txt": words,
        ONNX: onnx(arrays, f"pocketrec {version}"),
        BLOBS: blobs(arrays["table"].astype(np.float16), arrays["codes"]),
        "evidence/evidence.json": f'{{"milliseconds": {len(version) if newer else 17}}}'.encode(),
    }


def bundle(folder: Path, version: str, files: Mapping[str, bytes] | None = None) -> Bundle:
    """A release in a folder."""
    for name, data in (files or contents(version)).items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    seal(folder, name="small", version=version, artifacts=ARTIFACTS)
    return read_bundle(folder)


def everything(folder: Path) -> dict[str, bytes]:
    """Every file below a folder, by its path."""
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}
