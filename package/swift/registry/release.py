"""A release added to a registry's folder: whole or not at all, and never in another one's place."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pocketrec.errors import ArtifactError, StorageError, UsageError
from pocketrec.files import alone_in, whole_or_nothing
from pocketrec.outside import parse_json, read_file
from pocketrec.package.apps.model_folder import target_of
from pocketrec.package.bundle import Bundle
from pocketrec.package.created import SOURCE_DATE_EPOCH, created
from pocketrec.package.manifest import file_sha256
from pocketrec.package.publish import check_apart, workspace
from pocketrec.package.swift.generate import GENERATED, SwiftPackage, write_swift_package
from pocketrec.package.swift.model_folder import CORE_ML
from pocketrec.package.swift.registry.archive import write_archive
from pocketrec.package.swift.registry.identity import Identity, checked_version
from pocketrec.package.swift.registry.server import check_tree, write_configuration
from pocketrec.package.swift.registry.tree import ARCHIVE, RELEASE, RELEASES, versions_in


@dataclass(frozen=True, slots=True, kw_only=True)
class Release:
    """A release as a registry has it.

    Attributes:
        path: its folder.
        id: of the package.
        version: of the release.
        added: whether it was not there before.
        checksum: sha256 of the archive.
        archive_bytes: the archive's size.
        releases: all versions of the package, the highest first.
        module: what an app imports; the name of the product.
        type_name: the model's class.
        target: whose artifacts it has.
        configuration: of the web server.
    """

    path: Path
    id: str
    version: str
    added: bool
    checksum: str
    archive_bytes: int
    releases: tuple[str, ...]
    module: str
    type_name: str
    target: str
    configuration: Path


def add_release(
    bundle: Bundle, tree: Path, identity: str, *, target: str | None = None, vectors: bool = False
) -> Release:
    """The Swift package of a bundle as a release of its version, in the registry's folder `tree`.

    The bytes of what is already there stay. The list of releases is made from the folders, so that what a
    kill left out is in it after the next call.

    Args:
        bundle: with an artifact for Core ML, and a semantic version.
        tree: an absent or empty folder, or a registry's.
        identity: the package's, such as `shop.session-recommender`.
        target: whose artifacts it has; see `write_swift_package`.
        vectors: whether the bundle's API vectors come along.

    Raises:
        UsageError: no such id, version or target; the folder cannot be written; or the release is there with
            another content.
        ArtifactError: a file of the bundle is missing or altered, or the registry's own release is.
        StorageError: there is no room.
    """
    named, version = Identity.of(identity), checked_version(bundle.manifest.version)
    chosen = target_of(bundle, target, CORE_ML)
    place = tree / named.scope / named.name / version
    check_apart(place)
    with _room(tree):
        _make_folders(tree, place.parent)
        return _add(bundle, named, place, target=chosen, vectors=vectors)


def _make_folders(tree: Path, package: Path) -> None:
    """The folders above a release, which a server of another user reads; the modes of what is there stay."""
    if tree.exists() and not tree.is_dir():
        raise UsageError(f"{tree}: a file is there; pass the folder of a registry by --registry")
    _make_folder(tree)
    with alone_in(tree):
        check_tree(tree)
        write_configuration(tree)  # at once, as it marks the folder as a registry
    for each in (package.parent, package):
        _make_folder(each)


def _make_folder(path: Path) -> None:
    if not path.is_dir():
        path.mkdir(parents=True, exist_ok=True)
        path.chmod(0o755)


def _add(bundle: Bundle, named: Identity, place: Path, *, target: str, vectors: bool) -> Release:
    with workspace(place) as staging:
        package = write_swift_package(bundle, staging / "made" / "package", target=target, vectors=vectors)
        made = _write_release(package, named, staging / "release")
        with alone_in(place.parent):
            added = not place.exists()
            if added:
                made.rename(place)
            else:
                _check_same(place, made, str(named))
            releases = _write_list(place.parent)
    tree = place.parents[2]
    with alone_in(tree):
        configuration = write_configuration(tree)
    return Release(
        path=place,
        id=str(named),
        version=place.name,
        added=added,
        checksum=file_sha256(place / ARCHIVE),
        archive_bytes=(place / ARCHIVE).stat().st_size,
        releases=tuple(releases),
        module=package.module,
        type_name=package.type_name,
        target=package.target,
        configuration=configuration,
    )


def _write_release(package: SwiftPackage, named: Identity, folder: Path) -> Path:
    """The folder of a release, filled: archive, manifests, and what the registry says of it."""
    folder.mkdir()
    top = f"{named.name}-{package.version}"
    write_archive(package.path, folder / ARCHIVE, top=top, left_out=frozenset({GENERATED}))
    for each in package.path.glob("Package*.swift"):
        shutil.copyfile(each, folder / each.name)
    _write_json(folder / RELEASE, _document(package, named, file_sha256(folder / ARCHIVE)))
    folder.chmod(0o755)
    for each in folder.iterdir():
        each.chmod(0o644)
    return folder


def _document(package: SwiftPackage, named: Identity, checksum: str) -> dict[str, Any]:
    """What the registry says of a release; when it was published only where that is stated."""
    epoch = os.environ.get(SOURCE_DATE_EPOCH)
    archive = {"name": "source-archive", "type": "application/zip", "checksum": checksum}
    said = f"The module {package.module}, whose class {package.type_name} runs a recommender in an app."
    return {
        "id": str(named),
        "version": package.version,
        "resources": [archive],
        "metadata": {"description": said},
        **({} if epoch is None else {"publishedAt": created(epoch)}),
    }


def _check_same(place: Path, made: Path, identity: str) -> None:
    """Checks that the release that is there is the one that was made: apps have pinned it."""
    there, new = file_sha256(place / ARCHIVE), file_sha256(made / ARCHIVE)
    if _said(place / RELEASE) != [there]:
        raise ArtifactError(
            f"{place / ARCHIVE}: altered, {RELEASE} has another sha256; put the release back from a copy"
        )
    if there != new:
        raise UsageError(
            f"{identity} {place.name} is in the registry with another content (sha256 {there[:12]}, this one "
            f"is {new[:12]}), and apps may have pinned it; raise the version in the recipe, and build again"
        )


def _said(path: Path) -> list[object]:
    """The digests that a release's document gives; none where it is no such document."""
    document = parse_json(read_file(path), name=path.name)
    resources = document.get("resources") if isinstance(document, dict) else None
    known = resources if isinstance(resources, list) else []
    return [each.get("checksum") for each in known if isinstance(each, dict)]


def _write_list(folder: Path) -> list[str]:
    """The versions in a package's folder, the highest first, written down as the registry's list."""
    found = versions_in(folder)
    with whole_or_nothing(folder / RELEASES) as partial:
        _write_json(partial, {"releases": {each: {} for each in found}})
        partial.chmod(0o644)
    return found


def _write_json(path: Path, value: object) -> None:
    path.write_text(json.dumps(value, indent=1) + "\n", encoding="utf-8")


@contextmanager
def _room(tree: Path) -> Iterator[None]:
    """While it lasts, a folder that cannot be written, or a full disk, is an error that says what to do."""
    try:
        yield
    except PermissionError as error:
        raise UsageError(f"{tree}: {error.strerror} for {error.filename}; pass another --registry") from None
    except OSError as error:
        raise StorageError(
            f"{tree}: {error.strerror or error}; free space, or pass another --registry"
        ) from None
