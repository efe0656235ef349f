"""By what kept results are known: they are of this source and these tests, and of no other."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
# What a bundle is made by; packages, signatures and deltas are made of bundles.
ENGINE = (
    *("src/pocketrec", "convert", "pipeline", "quantize", "source", "validate"),
    *("package/*.py", "package/host"),
)
SOURCE = (*ENGINE, "package", "cli", "model_zoo", "swift", ".github")
_INSTALLED_FROM = ("pyproject.toml", "constraints.txt")
_LEFT_OUT = {"__pycache__", "node_modules", ".build", ".venv"}


def source_sha256(root: Path = ROOT, *, rooms: Sequence[str] = (*SOURCE, "tests")) -> str:
    """The digest of everything in some rooms, and of what the project is installed from.

    Args:
        root: the project's folder.
        rooms: folders in it, or files, or patterns of either; all that holds source or tests by default.
    """
    digest = hashlib.sha256()
    for path in sorted({*_files(root, rooms)}):
        digest.update(f"{path.relative_to(root).as_posix()}\n".encode())
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


def kept(path: Path, key: str) -> Any:
    """What was kept in a file under this key; None where nothing was, or under another."""
    table = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    return table["value"] if table.get("key") == key else None


def keep(path: Path, key: str, value: Any) -> None:
    """Keeps what JSON can hold in a file, under a key."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"key": key, "value": value}, ensure_ascii=False), encoding="utf-8")


def _files(root: Path, rooms: Sequence[str]) -> Iterator[Path]:
    yield from (root / name for name in _INSTALLED_FROM if (root / name).exists())
    for place in (place for room in rooms for place in root.glob(room)):
        for path in (place, *place.rglob("*")):
            if path.is_file() and not path.is_symlink() and not _LEFT_OUT & set(path.parts):
                yield path
