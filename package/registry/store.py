"""What a place with releases can do, be it a registry, a folder or a bucket; the rest is written once."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Protocol

from pocketrec.errors import ArtifactError
from pocketrec.package.registry.image import Descriptor, Image, digest_of
from pocketrec.package.registry.reading import LARGEST_SMALL

PIECE = 1 << 20  # bytes that are read at a time

Chunks = Callable[[], Iterator[bytes]]  # the content of a blob, from its beginning at each call


@dataclass(slots=True)
class Traffic:
    """Bytes of blobs and manifests that went each way; threads may add at once."""

    sent: int = 0
    received: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, *, sent: int = 0, received: int = 0) -> None:
        """Counts bytes."""
        with self._lock:
            self.sent += sent
            self.received += received


class Store(Protocol):
    """A place with blobs, manifests and tags."""

    traffic: Traffic

    def begin(self) -> None:
        """Makes the place ready to be written to."""
        ...

    def manifest(self, wanted: str) -> bytes | None:
        """The bytes of the manifest with this tag or digest; None where there is none."""
        ...

    def put_manifest(self, data: bytes, tag: str = "") -> None:
        """Stores a manifest under its digest, or under a tag, which moves; its blobs must be there."""
        ...

    def refer(self, release: str, image: Image) -> None:
        """Stores an image whose subject is the manifest with the digest `release`, so that it is found."""
        ...

    def referrers(self, release: str) -> tuple[Descriptor, ...]:
        """The manifests whose subject is this one, the latest at the end where the place knows that."""
        ...

    def has(self, blob: Descriptor) -> bool:
        """Whether the blob is there, with its size."""
        ...

    def blob(self, digest: str, start: int) -> AbstractContextManager[tuple[int, Iterator[bytes]]]:
        """Where the pieces that follow begin, `start` or 0, and the blob's pieces from there."""
        ...

    def upload(self, blob: Descriptor, chunks: Chunks) -> None:
        """Stores a blob, whole or not at all."""
        ...

    def tags(self) -> tuple[str, ...]:
        """All tags, sorted."""
        ...


def read_manifest(store: Store, wanted: str, where: str) -> bytes | None:
    """The manifest with this tag or digest; None where there is none.

    Raises:
        ArtifactError: it is another one than its digest says.
    """
    data = store.manifest(wanted)
    if data is not None and wanted.startswith("sha256:") and digest_of(data) != wanted:
        raise ArtifactError(
            f"{where}: the manifest's digest is {digest_of(data)[:19]}…, expected {wanted[:19]}…; "
            "the place gives something else than was asked for, refuse it"
        )
    return data


def read_small(store: Store, blob: Descriptor, where: str) -> bytes:
    """The bytes of a blob that is read whole, such as a manifest of a bundle.

    Raises:
        ArtifactError: it is larger than any real one, or not what its digest says.
    """
    name = blob.title or blob.digest[:19]
    if blob.size > LARGEST_SMALL:
        raise ArtifactError(
            f"{where}: {name}: {blob.size} bytes, expected at most {LARGEST_SMALL}; refuse it"
        )
    data = bytearray()
    with store.blob(blob.digest, 0) as (_, pieces):
        for piece in pieces:
            data += piece
            if len(data) > blob.size:
                break
    check_blob(blob, len(data), hashlib.sha256(data).hexdigest(), where)
    return bytes(data)


def check_blob(blob: Descriptor, size: int, sha256: str, where: str) -> None:
    """Checks what came for a blob against what was asked for; ArtifactError names it."""
    name = blob.title or blob.digest[:19]
    if size > blob.size:
        raise ArtifactError(
            f"{where}: {name}: more than the {blob.size} bytes that its manifest says; refuse it"
        )
    if size < blob.size:
        raise ArtifactError(f"{where}: {name}: {size} of {blob.size} bytes came; pull it again")
    if f"sha256:{sha256}" != blob.digest:
        raise ArtifactError(
            f"{where}: {name}: sha256 is {sha256[:12]}…, expected {blob.digest[7:19]}…; "
            "the place gives something else than was pushed, pull it again or refuse it"
        )
