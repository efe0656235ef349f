"""Releases as the arguments of a command name them: the one place where such a name becomes a bundle."""

from __future__ import annotations

from pathlib import Path

from pocketrec.errors import ArtifactError
from pocketrec.package.bundle import Bundle, read_bundle, verify_files
from pocketrec.report import Release


def release_at(path: Path) -> Bundle:
    """The bundle at a path, every file of it checked.

    Raises:
        UsageError: there is none.
        ArtifactError: a file of it is damaged.
    """
    bundle = read_bundle(path)
    problems = verify_files(bundle)
    if problems:
        raise ArtifactError(f"{path}: {problems[0]}; pull the bundle again")
    return bundle


def named(bundle: Bundle) -> Release:
    """What a bundle calls itself."""
    manifest = bundle.manifest
    return Release(
        path=str(bundle.path),
        name=manifest.name,
        version=manifest.version,
        tree_sha256=manifest.tree_sha256,
    )
