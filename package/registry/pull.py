"""Pulls a release: who vouches for it comes before its files, and all of them before anything is there."""

from __future__ import annotations

import re
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from pocketrec.errors import ArtifactError, StorageError, Unsigned, Untrusted, UsageError, WrongKey
from pocketrec.package.bundle import read_bundle, verify_names
from pocketrec.package.manifest import (
    EVIDENCE_MANIFEST,
    MANIFEST,
    SUMS,
    EvidenceManifest,
    parse_evidence_manifest,
)
from pocketrec.package.parts import left_out, write_part
from pocketrec.package.publish import publish, workspace
from pocketrec.package.registry.cosign import check_cosign
from pocketrec.package.registry.deltas import ByDelta, files_by_delta, read_older
from pocketrec.package.registry.fetching import Fetched, fetch, fetching_folder, path_of
from pocketrec.package.registry.found import Beside, Found, Titles, Wanted, find_release
from pocketrec.package.registry.references import Reference
from pocketrec.package.registry.store import Store, read_small
from pocketrec.package.sign.check import check_signature
from pocketrec.package.sign.keys import PublicKey
from pocketrec.package.sign.model import to_text
from pocketrec.progress import Progress, silent

_PLAIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Vouched:
    """Who vouches for a release.

    Attributes:
        by: `model.sig`, `cosign`, or empty where no key was asked for.
        key: fingerprint of the key that signed; empty likewise.
        expires: when the signature ends, in UTC; empty for never.
        there: whether a signature is there, checked or not.
    """

    by: str = ""
    key: str = ""
    expires: str = ""
    there: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Pulled:
    """What a pull did.

    Attributes:
        path: the bundle, or the part of one.
        name: the recipe's name.
        version: the recipe's version.
        tree_sha256: of the whole release.
        digest: by which the same release is pulled again.
        files: how many are there.
        left_out: files of the whole that are not.
        fetched: blobs that came.
        kept: blobs that an earlier pull to the same place had fetched.
        copied: blobs that an older release here had, or a delta gave.
        bytes_received: of blobs and manifests.
        by_delta: what a delta spared.
        vouched: who vouches for it.
    """

    path: Path
    name: str
    version: str
    tree_sha256: str
    digest: str
    files: int
    left_out: tuple[str, ...]
    fetched: int
    kept: int
    copied: int
    bytes_received: int
    by_delta: ByDelta
    vouched: Vouched


def pull_release(
    store: Store,
    reference: Reference,
    *,
    out: Path | None,
    only: Sequence[str] = (),
    base: Path | None = None,
    key: PublicKey | None = None,
    now: datetime,
    progress: Progress = silent,
) -> Pulled:
    """What came of pulling a release to `out`, whole or not at all.

    Args:
        store: where it is.
        reference: which one.
        out: where it goes; by default a folder of its name here. An older bundle there is replaced.
        only: targets; an app of these finds there what it needs. Empty for all.
        base: an older release, from which a delta may lead here; by default the one at the same place.
        key: whose owner must vouch for it, before a file of it is fetched.
        now: the time that an expiry is compared with.
        progress: told how many bytes came.

    Raises:
        UsageError: there is no such release or target, `base` is no bundle, or something else is at `out`.
        ArtifactError: what came is not what was pushed.
        Untrusted: nobody vouches for it as asked.
        RegistryError: the place broke off; what came is kept for the next pull to `out`.
    """
    progress("look it up", 0, 1)
    found = find_release(store, reference)
    beside, vouched = _vouched(store, found, key, now)
    evidence = _evidence(store, found, beside)
    wanted = Wanted(
        whole={**found.files, **beside.evidence, **beside.signatures},
        left_out=left_out(found.manifest, evidence, only) if only else frozenset[str](),
    )
    place = out if out is not None else Path(_folder_name(found))
    older = read_older(base, place)
    with workspace(place, checked=(place,)) as staging, fetching_folder(place) as folder:
        given, by_delta = files_by_delta(store, found, wanted, older, folder, progress)
        here = {**older.files, **given}
        got = fetch(store, wanted.files.values(), folder, here, progress, found.where)
        _assemble(wanted.files, folder, staging, only)
        _check_whole(staging, found)
        publish(staging, place)
    return _pulled(place, found, vouched, got, wanted, by_delta, store.traffic.received)


def _pulled(
    place: Path,
    found: Found,
    vouched: Vouched,
    got: Fetched,
    wanted: Wanted,
    by_delta: ByDelta,
    received: int,
) -> Pulled:
    manifest = found.manifest
    return Pulled(
        path=place,
        name=manifest.name,
        version=manifest.version,
        tree_sha256=manifest.tree_sha256,
        digest=found.digest,
        files=len(wanted.files),
        left_out=tuple(sorted(wanted.left_out)),
        fetched=got.fetched,
        kept=got.kept,
        copied=got.copied,
        bytes_received=received,
        by_delta=by_delta,
        vouched=vouched,
    )


def _folder_name(found: Found) -> str:
    name = found.manifest.name
    if not _PLAIN.fullmatch(name):
        raise UsageError(
            f"{found.where}: is called {ascii(name)[:60]}, which is no name for a folder; pass --out"
        )
    return name


def _vouched(store: Store, found: Found, key: PublicKey | None, now: datetime) -> tuple[Beside, Vouched]:
    """What goes with the release, and who vouches for it; else one of four errors.

    Our own signature decides where there is one of the key's owner: cosign's, which vouches for less, cannot
    make good one that has expired or was altered.
    """
    if not found.beside:
        raise ArtifactError(
            f"{found.where}: no evidence refers to it; push it with `pocketrec push`, evidence and all"
        )
    if key is None:
        return found.beside[0], Vouched(there=bool(found.beside[0].signatures))
    first: Untrusted | None = None
    for beside in found.beside:
        try:
            return beside, _checked(store, found, beside, key, now)
        except Untrusted as error:
            if not isinstance(error, Unsigned | WrongKey):
                raise
            first = first or error
    try:
        ends = check_cosign(store, found.digest, key, now=now, where=found.where)
    except Unsigned as error:
        raise (first if isinstance(first, WrongKey) else error) from None
    unsigned = next(each for each in found.beside if not each.signatures)
    expires = "" if ends is None else to_text(ends)
    return unsigned, Vouched(by="cosign", key=key.fingerprint, expires=expires, there=True)


def _checked(store: Store, found: Found, beside: Beside, key: PublicKey, now: datetime) -> Vouched:
    """That the key's owner signed the release with the evidence beside it; one of four errors else."""
    if not beside.signatures:
        raise Unsigned(f"{found.where}: nobody has signed it; ask its maker for a signed release")
    small = {**beside.signatures}
    if EVIDENCE_MANIFEST in beside.evidence:
        small[EVIDENCE_MANIFEST] = beside.evidence[EVIDENCE_MANIFEST]
    with tempfile.TemporaryDirectory(prefix="pocketrec-") as name:
        _write(Path(name), MANIFEST, found.manifest_data)
        for path, blob in small.items():
            _write(Path(name), path, read_small(store, blob, found.where))
        signed = check_signature(Path(name), key, now=now)
    expires = "" if signed.expires is None else to_text(signed.expires)
    return Vouched(by="model.sig", key=signed.key, expires=expires, there=True)


def _write(folder: Path, name: str, data: bytes) -> None:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


def _evidence(store: Store, found: Found, beside: Beside) -> EvidenceManifest:
    """The manifest of the evidence, which is what it lists; ArtifactError names what is not."""
    for name in (EVIDENCE_MANIFEST, SUMS):
        if name not in beside.evidence:
            raise ArtifactError(f"{found.where}: its evidence lacks {name}; push the bundle again")
    evidence = parse_evidence_manifest(read_small(store, beside.evidence[EVIDENCE_MANIFEST], found.where))
    there = {name: blob.digest.removeprefix("sha256:") for name, blob in beside.evidence.items()}
    there = {name: digest for name, digest in there.items() if name not in (EVIDENCE_MANIFEST, SUMS)}
    for name in sorted(there.keys() | evidence.files.keys()):
        if there.get(name) != evidence.files.get(name):
            raise ArtifactError(
                f"{found.where}: {ascii(name)[:120]}: not what {EVIDENCE_MANIFEST} lists; refuse it"
            )
    return evidence


def _assemble(wanted: Titles, folder: Path, staging: Path, only: Sequence[str]) -> None:
    """Puts each file in its place; blobs stay where they are, too, until the bundle has its name."""
    linked: set[str] = set()
    try:
        for name, blob in wanted.items():
            path = staging / name
            path.parent.mkdir(parents=True, exist_ok=True)
            if blob.digest in linked or not _link(path_of(folder, blob), path):
                shutil.copyfile(path_of(folder, blob), path)  # files of a bundle are never one on the disk
            linked.add(blob.digest)
            path.chmod(0o644)
        if only:
            write_part(staging, only)
        staging.chmod(0o755)
    except OSError as error:
        raise StorageError(f"{staging.parent}: {error.strerror}; free space, or pass another --out") from None


def _link(source: Path, path: Path) -> bool:
    """Whether the file system gave a second name to the bytes."""
    try:
        path.hardlink_to(source)
    except OSError:
        return False
    return True


def _check_whole(staging: Path, found: Found) -> None:
    """Checks that what is about to take its place is a bundle; each file was compared as it came."""
    problems = verify_names(read_bundle(staging))
    if problems:
        raise ArtifactError(f"{found.where}: {problems[0]}; push the bundle again")
