"""How nginx hands a registry's files out: generated from the manifests that the releases have."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from pocketrec.errors import UsageError
from pocketrec.files import whole_or_nothing
from pocketrec.outside import read_file
from pocketrec.package.apps.tree import render_template
from pocketrec.package.swift.registry.tree import versions_in

CONFIGURATION = "nginx.conf"
_MARK = "# A Swift package registry that pocketrec keeps;"
_MANIFEST = re.compile(r"Package@swift-([0-9]+)(?:\.([0-9]+))?(?:\.([0-9]+))?\.swift")  # specification, 4.3
_TOOLS = re.compile(r"// *swift-tools-version: *([0-9]+(?:\.[0-9]+){0,2})")


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class VersionedManifest:
    """A manifest for a later Swift.

    Attributes:
        file: its name.
        asked: the version in it.
        pattern: the ways in which a client asks for it: 6.0 is 6, and 6.0.0.
        tools: the version that the manifest says to need.
    """

    file: str
    asked: str
    pattern: str
    tools: str


def check_tree(tree: Path) -> None:
    """Checks that releases may be added to a folder; UsageError where it holds something else."""
    path = tree / CONFIGURATION
    there = {each.name for each in tree.iterdir()} - {f".partial-{CONFIGURATION}"}
    if there and (path.is_symlink() or not path.is_file() or not read_file(path).startswith(_MARK.encode())):
        raise UsageError(
            f"{tree}: not empty, and {CONFIGURATION} is none that this command wrote; pass another --registry"
        )


def write_configuration(tree: Path) -> Path:
    """The configuration for all releases of the tree, written where it differs; its path."""
    context = {"mark": _MARK, "manifests": _manifests(tree)}
    rendered = render_template(__package__ or "", CONFIGURATION, context, filters={}).encode()
    path = tree / CONFIGURATION
    if not path.exists() or read_file(path) != rendered:
        with whole_or_nothing(path) as partial:
            partial.write_bytes(rendered)
            partial.chmod(0o644)
    return path


def _manifests(tree: Path) -> list[VersionedManifest]:
    """Those of all releases; one name says one version of the tools."""
    packages = sorted(each for each in tree.glob("*/*") if each.is_dir())
    releases = [package / version for package in packages for version in versions_in(package)]
    found = {
        each.name: each for release in releases for each in sorted(release.glob("Package@swift-*.swift"))
    }
    return sorted(filter(None, (_manifest(each) for each in found.values())))


def _manifest(path: Path) -> VersionedManifest | None:
    named = _MANIFEST.fullmatch(path.name)
    tools = _TOOLS.match(read_file(path).decode("utf-8", "replace"))
    if named is None or tools is None:
        return None
    numbers = [int(each or 0) for each in named.groups()]
    while len(numbers) > 1 and not numbers[-1]:
        numbers.pop()
    pattern = r"\.".join(map(str, numbers)) + rf"(?:\.0){{0,{3 - len(numbers)}}}"
    asked = path.name.removeprefix("Package@swift-").removesuffix(".swift")
    return VersionedManifest(file=path.name, asked=asked, pattern=f"^{pattern}$", tools=tools[1])
