"""Parts of a bundle: what an app of one target needs, with the manifest of the whole.

A part holds the whole `manifest.json`, so digests and signatures hold of it, too; `part.json` names its
targets, from which follows what was left out. So nobody can leave out more by writing it there.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pocketrec.errors import ArtifactError, UsageError, meant
from pocketrec.outside import exists
from pocketrec.package.manifest import PART, EvidenceManifest, Manifest, read_json

EVIDENCE = "evidence/evidence.json"  # which verify judges; a part keeps it and no other evidence


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """The targets whose artifacts a part holds."""

    schema: Literal[1]
    only: tuple[str, ...]


def kept_artifacts(manifest: Manifest, only: Iterable[str]) -> Mapping[str, Mapping[str, str]]:
    """The artifacts of these targets; UsageError where the bundle has no such target."""
    for target in only:
        if target not in manifest.artifacts:
            known = ", ".join(sorted(manifest.artifacts)) or "none"
            raise UsageError(
                f"{target!r} is no target of {manifest.name} {manifest.version}; expected one of {known}"
                f"{meant(target, manifest.artifacts)}"
            )
    return {target: manifest.artifacts[target] for target in only}


def left_out(manifest: Manifest, evidence: EvidenceManifest, only: Iterable[str]) -> frozenset[str]:
    """The files of the whole that a part of these targets does not hold: others' artifacts, most evidence.

    Raises:
        UsageError: the bundle has no such target.
    """
    kept = _places(kept_artifacts(manifest, only))
    others = (
        _places({name: each for name, each in manifest.artifacts.items() if name not in set(only)}) - kept
    )
    files = {path for path in manifest.files if _under(path, others) and not _under(path, kept)}
    return frozenset(files | (evidence.files.keys() - {EVIDENCE}))


def write_part(folder: Path, only: Iterable[str]) -> None:
    """Writes into a part of which targets it is."""
    text = json.dumps({"schema": 1, "only": sorted(set(only))}, indent=1, sort_keys=True) + "\n"
    (folder / PART).write_text(text, encoding="utf-8")


def read_part(folder: Path) -> tuple[str, ...] | None:
    """The targets of a part; None for a whole bundle.

    Raises:
        ArtifactError: the file that says so is damaged.
    """
    if not exists(folder / PART) and not (folder / PART).is_symlink():
        return None
    part = read_json(folder, PART, Part)
    if not part.only:
        raise ArtifactError(f"{PART}: names no target; pull it again")
    return part.only


def _places(artifacts: Mapping[str, Mapping[str, str]]) -> set[str]:
    """The folders of targets' artifacts, with what lies beside them; of those at the top, the files."""
    paths = {path for functions in artifacts.values() for path in functions.values()}
    return {path.rpartition("/")[0] or path for path in paths}


def _under(path: str, places: Iterable[str]) -> bool:
    return any(path == place or path.startswith(f"{place}/") for place in places)
