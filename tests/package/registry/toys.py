"""Bundles of a few bytes with the names that real ones have, and places to push them to."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path

from pocketrec.contract import Contract, Dim, Feature, Output, Signature
from pocketrec.package.bundle import Bundle, publish, read_bundle, seal, staging
from pocketrec.package.registry.disk import Disk
from pocketrec.package.registry.layout import Layout

CREATED = "1970-01-01T00:00:00Z"
CONTRACT = Contract(
    functions={
        "main": Signature(
            inputs=(Feature(name="x", kind="dense", dtype="float32", shape=("batch", 2)),),
            outputs=(Output(name="scores", meaning="score", shape=("batch", 2)),),
        )
    },
    dims={"batch": Dim(max=4)},
)
PACKAGE = "artifacts/coreml/main.mlpackage"
FILES: Mapping[str, bytes] = {
    "contract.json": json.dumps(CONTRACT.to_dict()).encode(),
    "recipe.json": b'{"name": "toy", "version": "1.4.0", "author": "A. Person", "license": "MIT"}',
    "artifacts/onnx/main.onnx": b"graph",
    "artifacts/onnx/main.onnx.data": b"weights " * 40,
    "artifacts/onnx/embed.onnx": b"another",
    f"{PACKAGE}/Manifest.json": b"{}",
    f"{PACKAGE}/Data/com.apple.CoreML/model.mlmodel": b"program",
    f"{PACKAGE}/Data/com.apple.CoreML/weights/weight.bin": b"codes" * 30,
    "artifacts/coreml/embed.mlpackage/Manifest.json": b"{ }",
    "artifacts/coreml/embed.mlpackage/Data/com.apple.CoreML/model.mlmodel": b"program 2",
    "artifacts/coreml/embed.mlpackage/Data/com.apple.CoreML/weights/weight.bin": b"codes" * 30,
    "vocabularies/item.txt": b"a\nb\n",
    "vocabularies/item.titles.txt": b"",
    "golden/golden.json": b"{}",
    "golden/main.safetensors": b"vectors",
}
EVIDENCE: Mapping[str, bytes] = {
    "evidence/evidence.json": json.dumps(
        {"recipe": "toy", "contract_sha256": CONTRACT.sha256(), "gates": [], "results": []}
    ).encode(),
    "evidence/report.md": b"# toy",
}
ARTIFACTS = {
    "onnx": {"main": "artifacts/onnx/main.onnx", "embed": "artifacts/onnx/embed.onnx"},
    "coreml": {"main": PACKAGE, "embed": "artifacts/coreml/embed.mlpackage"},
}


def toy(
    folder: Path,
    *,
    version: str = "1.4.0",
    files: Mapping[str, bytes] | None = None,
    evidence: Mapping[str, bytes] | None = None,
) -> Bundle:
    """A bundle of 18 files and two manifests; `files` and `evidence` are put in the place of its own."""
    with staging(folder) as place:
        for name, data in {**FILES, **EVIDENCE, **(files or {}), **(evidence or {})}.items():
            path = place / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
        seal(place, name="toy", version=version, artifacts=ARTIFACTS)
        publish(place, folder)
    return read_bundle(folder)


def layout(folder: Path) -> Layout:
    return Layout(Disk(folder))


def tree(folder: Path) -> dict[str, bytes]:
    """Every file below a folder."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()
    }


def copied(source: Path, to: Path) -> Path:
    return Path(shutil.copytree(source, to))
