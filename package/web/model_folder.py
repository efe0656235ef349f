"""The folder that a page hosts: ONNX artifacts, and what a model's folder has in every language."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pocketrec.package.apps.model_folder import Folder, Format

# The target `web` is made for browsers; any other of ONNX runs in one, too.
ONNX = Format(
    suffix=".onnx", files="ONNX", preferred="web", step="add [targets.web] to the recipe, and build again"
)


def add_functions(folder: Folder, artifacts: Mapping[str, str]) -> dict[str, Any]:
    """Every function's graph and the files of weights beside it, copied into the folder."""
    found = {}
    for function, path in sorted(artifacts.items()):
        beside = [each for each in folder.bundle.manifest.files if each.startswith(f"{path}.")]
        graph = folder.add(path, Path(path).name)
        found[function] = {
            "graph": graph,
            "data": [folder.add(each, Path(each).name) for each in sorted(beside)],
        }
    return found
