"""Deltas as commands ask for them: two releases to a file, and a release and a file to the next."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from pocketrec.package.bundle import read_bundle
from pocketrec.pipeline.releases import release_at
from pocketrec.progress import Progress, silent

if TYPE_CHECKING:
    from pocketrec.package.bundle import Bundle
    from pocketrec.package.delta.make import Made


def delta(old: Path, new: Path, out: Path, *, progress: Progress | None = None) -> Made:
    """Writes what turns the bundle `old` into the bundle `new` to the file `out`.

    Raises:
        UsageError: there is no bundle.
        ArtifactError: a file of one is damaged.
        StorageError: there is no room.
    """
    from pocketrec.package.delta.make import make_delta

    return make_delta(release_at(old), release_at(new), out, progress or silent)


def apply(old: Path, file: Path, out: Path, *, progress: Progress | None = None) -> Bundle:
    """The newer release at `out`, from the bundle `old` and the delta in `file`; raises as `apply_delta`."""
    from pocketrec.package.delta.apply import apply_delta

    return apply_delta(read_bundle(old), file, out, progress or silent)
