"""An .mlpackage in its one canonical form, so that equal models are equal files."""

from __future__ import annotations

import json
import uuid
from pathlib import Path
from typing import Any

# What depends on the day or the machine of the conversion; versions stay, they are inputs.
_DROPPED = ("com.github.apple.coremltools.conversion_date",)
_NAMESPACE = uuid.UUID("7e0b1c0e-3c46-5a1b-9d0f-5d7d1c1b6a55")


def canonicalize(path: Path) -> None:
    """Rewrites the package at `path` in place: stable identifiers, map order, no date, fixed modes."""
    from coremltools.proto import Model_pb2

    model = next(path.glob("Data/**/*.mlmodel"))
    spec = Model_pb2.Model()
    spec.ParseFromString(model.read_bytes())
    for key in _DROPPED:
        spec.description.metadata.userDefined.pop(key, None)
    model.write_bytes(spec.SerializeToString(deterministic=True))
    manifest = path / "Manifest.json"
    # As coremltools writes it, which it does again whenever it opens a package, even to read it.
    table = _stable(json.loads(manifest.read_text()))
    manifest.write_text(json.dumps(table, indent=4, sort_keys=True) + "\n")
    for each in sorted(path.rglob("*")):
        each.chmod(0o755 if each.is_dir() else 0o644)
    path.chmod(0o755)


def _stable(manifest: dict[str, Any]) -> dict[str, Any]:
    """The manifest with identifiers made from each item's own path instead of drawn at random."""
    entries = manifest["itemInfoEntries"]
    names = {old: str(uuid.uuid5(_NAMESPACE, entry["path"])).upper() for old, entry in entries.items()}
    return {
        **manifest,
        "itemInfoEntries": {names[old]: entry for old, entry in entries.items()},
        "rootModelIdentifier": names[manifest["rootModelIdentifier"]],
    }
