"""Names of files in a registry's folder, and the releases that it has."""

from __future__ import annotations

from pathlib import Path

from pocketrec.package.swift.registry.identity import highest_first, is_version

ARCHIVE, RELEASE, RELEASES = "source-archive.zip", "release.json", "releases.json"


def versions_in(folder: Path) -> list[str]:
    """The versions of a package's releases, the highest first; what others are writing there is none."""
    return highest_first(
        each.name for each in folder.iterdir() if is_version(each.name) and (each / RELEASE).is_file()
    )
