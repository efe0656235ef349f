"""Bundles on their way to other machines and back: pushed whole and checked, pulled whole or not at all."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from pocketrec.errors import Untrusted, UsageError
from pocketrec.package.bundle import Bundle, require_whole
from pocketrec.package.registry.listing import Listed, list_releases, tag_release
from pocketrec.package.registry.places import open_place
from pocketrec.package.registry.pull import Pulled, pull_release
from pocketrec.package.registry.push import Pushed, push_release
from pocketrec.package.registry.references import Reference, parse_reference, tag_of_version
from pocketrec.package.registry.store import Store
from pocketrec.package.sign.check import check_signature
from pocketrec.package.sign.keys import Ask, PrivateKey, read_private_key, read_public_key
from pocketrec.pipeline.releases import release_at
from pocketrec.pipeline.trust import sign_with
from pocketrec.progress import Progress, silent


def push(
    path: Path,
    reference: Reference,
    *,
    created: str,
    deltas: Sequence[Path] = (),
    move: bool = False,
    key: Path | None = None,
    passphrase: Ask = lambda: None,
    expires: datetime | None = None,
    plain_http: bool = False,
    progress: Progress = silent,
) -> Pushed:
    """What became of pushing the bundle at `path`.

    Args:
        path: the bundle; each file of it is compared with its digest first.
        reference: where it goes; without a tag, its version is the tag.
        created: the time that it states, see `package.created`.
        deltas: files that lead to it from older releases, which are served beside it.
        move: whether the tag may leave another release.
        key: a PEM file whose owner signs it, in the bundle and for cosign; None for as it is.
        passphrase: gives it where the key is encrypted.
        expires: when the signature ends; None for never.
        plain_http: whether a registry is asked without TLS.
        progress: told how far it is.

    Raises:
        UsageError: the reference cannot be pushed to, the tag is another release's, or a delta leads
            elsewhere.
        ArtifactError: the bundle is damaged, a part of one, or a gate of it failed and it is to be signed; or
            a delta is damaged.
        RegistryError: the place broke off.
    """
    if reference.digest:
        raise UsageError(f"{reference}: names a digest, which follows from the bundle; push to a tag")
    progress("check the bundle", 0, 1)
    bundle = release_at(path)
    require_whole(bundle)
    tag = reference.tag or tag_of_version(bundle.manifest.version)
    store = _opened(reference, plain_http)
    signer = None if key is None else read_private_key(key, passphrase)
    if signer is not None:
        expires = _signed(bundle, signer, created, expires)
    return push_release(
        bundle,
        store,
        tag,
        name=reference.name,
        created=created,
        deltas=deltas,
        move=move,
        key=signer,
        expires=expires,
        progress=progress,
    )


def _signed(bundle: Bundle, signer: PrivateKey, created: str, expires: datetime | None) -> datetime | None:
    """When the signature in the bundle ends, which is made where the key's owner has not signed it yet."""
    try:
        held = check_signature(bundle.path, signer.public, now=datetime.now(UTC))
    except Untrusted:
        held = None
    if held is not None and (expires is None or held.expires == expires):
        return held.expires
    return sign_with(bundle, signer, time=created, expires=expires).expires


def pull(
    reference: Reference,
    *,
    out: Path | None = None,
    only: Sequence[str] = (),
    base: Path | None = None,
    key: Path | None = None,
    plain_http: bool = False,
    progress: Progress = silent,
) -> Pulled:
    """What came of pulling a release.

    Args:
        reference: which one.
        out: where it goes; by default a folder here that is called as the bundle is.
        only: targets that are taken; empty for all.
        base: an older release, from which a delta may lead; by default the one at `out`.
        key: a PEM file with the public key of who must have signed it; None asks nobody.
        plain_http: whether a registry is asked without TLS.
        progress: told how far it is.

    Raises:
        see `pull_release`.
    """
    store = _opened(reference, plain_http)
    public = None if key is None else read_public_key(key)
    return pull_release(
        store, reference, out=out, only=only, base=base, key=public, now=datetime.now(UTC), progress=progress
    )


@contextmanager
def pulled(text: str, progress: Progress = silent) -> Iterator[Path]:
    """A release as a reading command asks for it: in a folder of this process, which goes at the end."""
    with tempfile.TemporaryDirectory(prefix="pocketrec-") as folder:
        reference = parse_reference(text)
        yield pull(reference, out=Path(folder) / "bundle", progress=progress).path


def releases(
    reference: Reference, *, plain_http: bool = False, progress: Progress = silent
) -> Iterator[Listed]:
    """The tags of a place, each with what it names."""
    if reference.digest:
        raise UsageError(f"{reference}: names a digest; pass the place alone, or a tag of it")
    found = list_releases(_opened(reference, plain_http), progress)
    return (each for each in found if reference.tag in ("", each.tag))


def tag(reference: Reference, name: str, *, move: bool = False, plain_http: bool = False) -> str:
    """The digest of the release that is called `name` from now on, too; see `tag_release`."""
    return tag_release(_opened(reference, plain_http), reference, name, move=move)


def _opened(reference: Reference, plain_http: bool) -> Store:
    return open_place(reference, docker=docker_folder(), plain_http=plain_http)


def docker_folder() -> Path:
    """The folder of Docker's config, as Docker finds it."""
    stated = os.environ.get("DOCKER_CONFIG")
    return Path(stated) if stated else Path.home() / ".docker"
