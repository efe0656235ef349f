"""Deltas beside a release: each an image of one layer, whose `subject` is the release that it leads to.

Annotations say from which release, by the digests that a delta knows it by, and to which evidence. They are
hints: what a delta gives is files, and a pull compares each with the release's own digest as if it had come
whole. So a false delta is fetched in vain, and can do no more.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from pocketrec.errors import ArtifactError, UsageError
from pocketrec.outside import exists, require_file
from pocketrec.package.bundle import Bundle, is_bundle, read_bundle, require_bundle
from pocketrec.package.delta.apply import apply_delta
from pocketrec.package.delta.format import Entry, Header, header_of
from pocketrec.package.delta.make import side_of
from pocketrec.package.manifest import EVIDENCE_MANIFEST, MANIFESTS, file_sha256
from pocketrec.package.registry import modelpack as words
from pocketrec.package.registry.fetching import fetch, path_of
from pocketrec.package.registry.found import Found, Wanted, read_referrer
from pocketrec.package.registry.image import NOTHING, Descriptor, Image, image
from pocketrec.package.registry.reading import LARGEST_SMALL
from pocketrec.package.registry.store import Store
from pocketrec.package.sign.files import SIGNATURE_FILES
from pocketrec.progress import Progress

_MOST = 100  # deltas of one release that are looked at
_APPLIED = "applied/bundle"  # what a delta gave, beside the blobs, in a folder that nobody has locked


@dataclass(frozen=True, slots=True, kw_only=True)
class Older:
    """A release on this machine, which a pull takes files from.

    Attributes:
        files: that ought to be there, by their digests.
        bundle: that a delta may lead from; None where there is none, or a damaged one.
        asked: whether somebody named it, who hears why no delta was used.
        why: no delta can lead from it; empty where one may.
    """

    files: Mapping[str, Path] = field(default_factory=dict)
    bundle: Bundle | None = None
    asked: bool = False
    why: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ByDelta:
    """What a delta spared a pull.

    Attributes:
        base: name and version of the release that it leads from; empty where none was used.
        size_bytes: of the delta.
        instead_of_bytes: of the files that would have come.
        why: none was used, for who asked for one; empty else.
    """

    base: str = ""
    size_bytes: int = 0
    instead_of_bytes: int = 0
    why: str = ""


def delta_image(path: Path, bundle: Bundle, release: Image, created: str) -> Image:
    """The image of a delta that leads to a bundle's release.

    Args:
        path: of the delta.
        bundle: that it must lead to.
        release: the bundle's image.
        created: the time that it states, see `package.created`.

    Raises:
        UsageError: it is no file, or leads elsewhere.
        ArtifactError: it is no delta, or a damaged one.
    """
    header = header_of(require_file(path, error=UsageError, remedy="pass the file of a delta"))
    base, target = header.base, header.target
    if target != side_of(bundle):
        raise UsageError(
            f"{path}: leads to {target}, and {side_of(bundle)} is pushed; make one with "
            f"`pocketrec delta OLD {bundle.path}`"
        )
    layer = Descriptor(
        media_type=words.DELTA,
        digest=f"sha256:{file_sha256(path)}",
        size=path.stat().st_size,
        annotations={words.TITLE: f"{base.tree_sha256[:12]}-{target.tree_sha256[:12]}.delta"},
    )
    said = {
        words.CREATED: created,
        words.FROM_VERSION: base.version,
        words.FROM_MANIFEST: base.manifest_sha256,
        words.FROM_EVIDENCE: base.evidence_sha256,
        words.OF_EVIDENCE: target.evidence_sha256,
    }
    return image(words.DELTA_ARTIFACT, words.EMPTY, NOTHING, (layer,), said, release)


def read_older(base: Path | None, place: Path) -> Older:
    """The release that was named, else the one at the place that a pull goes to, if one is there.

    Raises:
        UsageError: what was named is no bundle.
    """
    path = place if base is None else require_bundle(base)
    if not is_bundle(path):
        if base is not None:
            raise UsageError(f"{base}: is no bundle; pass the folder of an older release")
        return Older()
    try:
        bundle = read_bundle(path)
    except ArtifactError as error:
        return Older(asked=base is not None, why=f"{path}: {error}")
    held = {name: digest for name, digest in bundle.listed.items() if exists(path / name)}
    files = {f"sha256:{digest}": path / name for name, digest in held.items()}
    return Older(files=files, bundle=bundle, asked=base is not None)


def files_by_delta(
    store: Store, found: Found, wanted: Wanted, older: Older, folder: Path, progress: Progress
) -> tuple[Mapping[str, Path], ByDelta]:
    """Files by their digests that a delta gave, and which one did; none where none fits, or helps.

    Args:
        store: where the release is.
        found: the release.
        wanted: of it.
        older: the release that the delta must lead from.
        folder: where what is fetched waits, see `fetching_folder`.
        progress: told how far it is.

    Raises:
        RegistryError: the place broke off.
        StorageError: there is no room.
    """
    if older.bundle is None:
        return {}, ByDelta(why=older.why if older.asked else "")
    missing = {each.digest: each.size for each in wanted.files.values() if each.digest not in older.files}
    size = sum(missing.values())
    try:
        delta = _fitting(store, found, wanted, older.bundle)
        if delta.size >= size:
            raise UsageError(f"the delta has {delta.size} bytes, and all that is missing {size}")
        fetch(store, (delta,), folder, {}, progress, found.where)
        given = apply_delta(
            older.bundle,
            path_of(folder, delta),
            folder / _APPLIED,
            progress,
            lambda header: _check_gives(header, wanted),
        )
    except (ArtifactError, UsageError) as error:
        return {}, ByDelta(why=str(error) if older.asked else "")
    side = older.bundle.manifest
    used = ByDelta(base=f"{side.name} {side.version}", size_bytes=delta.size, instead_of_bytes=size)
    return _by_digest(given), used


def _fitting(store: Store, found: Found, wanted: Wanted, base: Bundle) -> Descriptor:
    """The layer of the latest delta that says that it leads from `base` to what is wanted."""
    side = side_of(base)
    evidence = wanted.whole[EVIDENCE_MANIFEST].digest.removeprefix("sha256:")
    asked = {
        words.FROM_MANIFEST: side.manifest_sha256,
        words.FROM_EVIDENCE: side.evidence_sha256,
        words.OF_EVIDENCE: evidence,
    }
    for each in found.deltas[: -_MOST - 1 : -1]:
        delta = read_referrer(store, each, found.digest, found.where)
        if asked.items() <= delta.annotations.items() and len(delta.layers) == 1:
            return delta.layers[0]
    raise UsageError(f"of {len(found.deltas)} deltas none leads from {side} to this release")


def _check_gives(header: Header, wanted: Wanted) -> None:
    """Checks that a delta's files are the release's, as otherwise they would fill the disk for nothing."""
    for each in header.files:
        blob = wanted.whole.get(each.path)
        same = blob is not None and (blob.digest, blob.size) == (f"sha256:{each.sha256}", each.size_bytes)
        if not same and not _may_differ(each):
            raise ArtifactError(f"the delta gives {each.path} as no file of this release")


def _may_differ(entry: Entry) -> bool:
    """Whether a file may be another than the release's, which is then fetched: it may be signed anew."""
    return entry.path in SIGNATURE_FILES and entry.size_bytes <= LARGEST_SMALL


def _by_digest(given: Bundle) -> Mapping[str, Path]:
    held = {name: digest for name, digest in given.listed.items() if name not in given.left_out}
    for name in (*MANIFESTS, *SIGNATURE_FILES):
        if exists(given.path / name):
            held[name] = file_sha256(given.path / name)
    return {f"sha256:{digest}": given.path / name for name, digest in held.items()}
