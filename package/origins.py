"""What people ask of an artifact and no app does: where its tensors came from, which are compressed how.

    {"schema": 1, "artifacts": {"artifacts/onnx/main.onnx": {"main": {
        "origins": {"t4": ["blocks.0.attention", "sasrec.py:46", "addmm", 1, 3, true]},
        "carried": {"item_embedding.weight": ["linear 8 bit per_row", [1683, 64], 111078]}}}}}

It is evidence, which stays with the release: no part of a bundle and no generated package takes it along.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pocketrec.errors import ArtifactError
from pocketrec.origin import LARGEST, Told, broken, told_from_table
from pocketrec.outside import parse_json, read_file
from pocketrec.package.bundle import Bundle
from pocketrec.package.manifest import EVIDENCE

NAME = "origins.json"
ORIGINS = f"{EVIDENCE}/{NAME}"
_SCHEMA = 1


def write_origins(path: Path, artifacts: Mapping[str, Mapping[str, Told]]) -> None:
    """Writes what is told, by artifact and function, to the file `path`; equal bytes for equal tables."""
    table = {
        artifact: {function: told.to_table() for function, told in functions.items()}
        for artifact, functions in artifacts.items()
    }
    text = json.dumps({"schema": _SCHEMA, "artifacts": table}, separators=(",", ":"), sort_keys=True)
    path.write_text(f"{text}\n", encoding="utf-8")


def bundled_origins(bundle: Bundle, artifact: str, function: str) -> Told | str:
    """What the bundle tells of one function of an artifact; why it tells nothing, where it does not.

    Raises:
        ArtifactError: the file is missing, altered or damaged.
    """
    if ORIGINS in bundle.left_out:
        return f"this part of a bundle leaves {ORIGINS} out; pull it without --only"
    if ORIGINS not in bundle.listed:
        return f"its bundle has no {ORIGINS}"
    return read_origins(bundle.checked(ORIGINS), artifact, function)


def read_origins(path: Path, artifact: str, function: str) -> Told | str:
    """What a file tells of one function of an artifact; likewise."""
    where = path.name
    try:
        table = parse_json(read_file(path, largest=LARGEST), name=where)
    except ArtifactError:
        raise broken(where) from None
    if _table(table, where).get("schema") != _SCHEMA:
        raise broken(where)
    artifacts = _table(table.get("artifacts"), where)
    functions = _table(artifacts.get(artifact, {}), where)
    if function not in functions:
        return f"{where} says nothing of {artifact}"
    return told_from_table(functions[function], where=f"{where}: {artifact}")


def _table(value: Any, where: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise broken(where)
    return value
