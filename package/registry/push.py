"""Pushes a release: blobs first, the tag last, so that a tag never names what is not all there."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial
from pathlib import Path

from pocketrec.errors import ArtifactError, TagTaken
from pocketrec.outside import open_file
from pocketrec.package.bundle import Bundle
from pocketrec.package.registry import modelpack as words
from pocketrec.package.registry.cosign import CosignSignature, beside_others, sign_digest, tag_of_signature
from pocketrec.package.registry.deltas import delta_image
from pocketrec.package.registry.image import (
    Descriptor,
    Image,
    digest_of,
    evidence_image,
    release_image,
    signature_image,
)
from pocketrec.package.registry.jobs import run_jobs, until
from pocketrec.package.registry.reading import LARGEST_MANIFEST
from pocketrec.package.registry.store import PIECE, Chunks, Store, read_manifest
from pocketrec.package.sign.keys import PrivateKey
from pocketrec.progress import Progress, silent


@dataclass(frozen=True, slots=True, kw_only=True)
class Pushed:
    """What a push did.

    Attributes:
        digest: of the release.
        tag: that names it now.
        blobs: how many there are, each once.
        blobs_sent: how many of them were not there yet.
        size_bytes: of all blobs.
        bytes_sent: of blobs and manifests.
        signed: whether signatures are among them.
        deltas: how many lead to it now from older releases, of those that were handed over.
    """

    digest: str
    tag: str
    blobs: int
    blobs_sent: int
    size_bytes: int
    bytes_sent: int
    signed: bool
    deltas: int


@dataclass(frozen=True, slots=True, kw_only=True)
class _Load:
    """What is to be there: images, and where each blob comes from."""

    release: Image
    beside: tuple[Image, ...]
    cosign: CosignSignature | None
    blobs: Mapping[str, tuple[Descriptor, Chunks]] = field(repr=False)


def push_release(
    bundle: Bundle,
    store: Store,
    tag: str,
    *,
    name: str,
    created: str,
    deltas: Sequence[Path] = (),
    move: bool = False,
    key: PrivateKey | None = None,
    expires: datetime | None = None,
    progress: Progress = silent,
) -> Pushed:
    """What became of pushing a bundle whose files were compared with its manifest.

    Args:
        bundle: whole, with its signatures if it has any.
        store: where it goes.
        tag: that names it from then on.
        name: of the place, for messages and for cosign.
        created: the time that it states, see `package.created`.
        deltas: files that lead to it from older releases.
        move: whether the tag may leave another release.
        key: that writes cosign's signature; None for none.
        expires: when that one ends; None for never.
        progress: told how many bytes are there.

    Raises:
        TagTaken: the tag is another release's; nothing was sent.
        UsageError: a delta leads elsewhere; nothing was sent.
        ArtifactError: a file is no delta, or a damaged one; nothing was sent.
        RegistryError: the place broke off; what was sent is kept.
    """
    load = _with_deltas(_load(bundle, name, created, key, expires), bundle, deltas, created)
    _check_free(store, tag, load.release.digest, name, move)
    before = store.traffic.sent
    store.begin()
    missing = _missing(store, load, progress)
    _upload(store, [load.blobs[each] for each in missing], progress)
    _put(store, load)
    _check_free(store, tag, load.release.digest, name, move)
    if store.manifest(tag) != load.release.data:
        store.put_manifest(load.release.data, tag)
    _check_named(store, tag, load.release.digest, name)
    return Pushed(
        digest=load.release.digest,
        tag=tag,
        blobs=len(load.blobs),
        blobs_sent=len(missing),
        size_bytes=sum(each.size for each, _ in load.blobs.values()),
        bytes_sent=store.traffic.sent - before,
        signed=any(each.artifact_type == words.SIGNATURE_ARTIFACT for each in load.beside),
        deltas=sum(each.artifact_type == words.DELTA_ARTIFACT for each in load.beside),
    )


def _load(bundle: Bundle, name: str, created: str, key: PrivateKey | None, expires: datetime | None) -> _Load:
    release = release_image(bundle, created)
    if len(release.data) > LARGEST_MANIFEST:
        raise ArtifactError(
            f"{bundle.path}: more files than a registry's manifest holds; build it with fewer"
        )
    signatures = signature_image(bundle, release, created)
    beside = (evidence_image(bundle, release, created), *([signatures] if signatures else []))
    cosign = None if key is None else sign_digest(release.digest, name, key, expires)
    blobs: dict[str, tuple[Descriptor, Chunks]] = {}
    for image in (release, *beside, *([cosign.image] if cosign else [])):
        blobs[digest_of(image.config)] = _of_bytes(image.config)
        for layer in image.layers if cosign is None or image is not cosign.image else ():
            blobs.setdefault(layer.digest, (layer, partial(_file, bundle.path / layer.title)))
    if cosign is not None:
        blobs[digest_of(cosign.payload)] = _of_bytes(cosign.payload)
    return _Load(release=release, beside=beside, cosign=cosign, blobs=blobs)


def _with_deltas(load: _Load, bundle: Bundle, deltas: Sequence[Path], created: str) -> _Load:
    blobs, images = dict(load.blobs), dict[str, Image]()  # by digest, as one may be handed over twice
    for path in deltas:
        image = delta_image(path, bundle, load.release, created)
        (layer,) = image.layers
        blobs[digest_of(image.config)] = _of_bytes(image.config)
        blobs[layer.digest] = (layer, partial(_file, path))
        images[image.digest] = image
    return replace(load, beside=(*load.beside, *images.values()), blobs=blobs)


def _of_bytes(data: bytes) -> tuple[Descriptor, Chunks]:
    return Descriptor(media_type="", digest=digest_of(data), size=len(data)), lambda: iter((data,))


def _file(path: Path) -> Iterator[bytes]:
    with open_file(path) as file:
        while piece := file.read(PIECE):
            yield piece


def _check_free(store: Store, tag: str, digest: str, name: str, move: bool) -> None:
    """Checks that a tag is nobody else's; TagTaken, as who built with a tag counts on what it names."""
    found = store.manifest(tag)
    if found is None or move or digest_of(found) == digest:
        return
    raise TagTaken(
        f"{name}:{tag} is another release ({digest_of(found)[:19]}…, this one is {digest[:19]}…), which apps "
        "may have pinned by that tag; raise the version, pass another tag, or move this one with --move"
    )


def _missing(store: Store, load: _Load, progress: Progress) -> list[str]:
    there: dict[str, bool] = {}

    def look(digest: str, blob: Descriptor, stop: threading.Event) -> None:
        there[digest] = store.has(blob)

    total = len(load.blobs)
    run_jobs(
        [partial(look, digest, blob) for digest, (blob, _) in load.blobs.items()],
        lambda: progress("look for what is there", len(there), total),
        lambda: len(there),
    )
    return [digest for digest in load.blobs if not there[digest]]


def _upload(store: Store, blobs: list[tuple[Descriptor, Chunks]], progress: Progress) -> None:
    total, begun = sum(blob.size for blob, _ in blobs), store.traffic.sent
    jobs = [partial(_send, store, blob, chunks) for blob, chunks in blobs]
    run_jobs(
        jobs,
        lambda: progress("push", min(store.traffic.sent - begun, total), total),
        lambda: store.traffic.sent,
    )


def _send(store: Store, blob: Descriptor, chunks: Chunks, stop: threading.Event) -> None:
    store.upload(blob, lambda: until(stop, chunks()))


def _put(store: Store, load: _Load) -> None:
    """Stores the manifests under their digests: the release, then what refers to it."""
    release = load.release
    if store.manifest(release.digest) is None:
        store.put_manifest(release.data)
    there = {each.digest for each in store.referrers(release.digest)}
    for image in load.beside:
        if image.digest not in there:
            store.refer(release.digest, image)
    if load.cosign is not None:
        _put_cosign(store, release.digest, load.cosign)


def _put_cosign(store: Store, release: str, signature: CosignSignature) -> None:
    """Stores cosign's signature beside those of others, which stand as layers of one image."""
    tag = tag_of_signature(release)
    data = store.manifest(tag)
    image = signature.image if data is None else beside_others(signature, data, tag)
    if image is None:
        return
    config, chunks = _of_bytes(image.config)
    if not store.has(config):
        store.upload(config, chunks)
    store.put_manifest(image.data, tag)


def _check_named(store: Store, tag: str, digest: str, name: str) -> None:
    """Checks that a tag names the release now, as two may have pushed at once."""
    found = read_manifest(store, tag, name)
    if found is None or digest_of(found) != digest:
        other = "nothing" if found is None else f"{digest_of(found)[:19]}…"
        raise TagTaken(
            f"{name}:{tag} names {other} and not {digest[:19]}…: somebody pushed it at the same time; all "
            "of this release is there, so agree on who has the tag, then "
            f"`pocketrec tag {name}@{digest} {tag} --move`"
        )
