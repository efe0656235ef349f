"""The folder that an app takes along: Core ML packages and indexed vocabularies."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Any

from pocketrec.errors import ArtifactError
from pocketrec.package.apps.model_folder import Folder, Format

CORE_ML = Format(
    suffix=".mlpackage",
    files="Core ML",
    preferred="coreml",
    step="add [targets.coreml] to the recipe, and build again",
)


def add_functions(folder: Folder, artifacts: Mapping[str, str]) -> dict[str, Any]:
    """Every function's package, copied into the folder; one that holds several functions is there once."""
    found: dict[str, Any] = {}
    shared = {path for path in artifacts.values() if list(artifacts.values()).count(path) > 1}
    for function, path in sorted(artifacts.items()):
        name = PurePosixPath(path).name
        if path not in [artifacts[each] for each in found]:
            _add_package(folder, path, name)
        found[function] = {"package": name, "function": function if path in shared else None}
    return found


def _add_package(folder: Folder, path: str, name: str) -> None:
    files = [each for each in folder.bundle.manifest.files if each.startswith(f"{path}/")]
    if not files:
        raise ArtifactError(f"{path}: no file of it is in manifest.json; build the bundle again")
    for each in sorted(files):
        folder.add(each, f"{name}{each.removeprefix(path)}")


def add_index(folder: Folder, vocabulary: str, files: Mapping[str, str | None]) -> str:
    """The index of a vocabulary's tokens and titles, by which an app finds one of them."""
    from pocketrec.package.swift.index import index_of

    read = {key: (folder.path / name).read_bytes() if name else None for key, name in files.items()}
    tokens = read["tokens"]
    assert tokens is not None  # every vocabulary has tokens
    return folder.add_made(f"{vocabulary}.index", index_of(tokens, read["titles"]))
