"""By what kept results are known: they are of this source and these tests, and of no other."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
_ROOMS = (
    "src/pocketrec",
    "cli",
    "convert",
    "package",
    "pipeline",
    "quantize",
    "source",
    "validate",
    "model_zoo",
)
_OTHERS = ("tests", "swift", ".github")
_LEFT_OUT = {"__pycache__", "node_modules", ".build", ".venv"}


def source_sha256(root: Path = ROOT) -> str:
    """The digest of the source, the tests, and what the project is installed from."""
    digest = hashlib.sha256()
    for path in sorted(_files(root)):
        digest.update(f"{path.relative_to(root).as_posix()}\n".encode())
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


def _files(root: Path) -> Iterator[Path]:
    yield from (root / name for name in ("pyproject.toml", "constraints.txt") if (root / name).exists())
    for room in (*_ROOMS, *_OTHERS):
        for path in (root / room).rglob("*"):
            if path.is_file() and not path.is_symlink() and not _LEFT_OUT & set(path.parts):
                yield path
