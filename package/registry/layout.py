"""An OCI image layout: a folder, or a place that fsspec reaches, with the digests that a registry has.

https://github.com/opencontainers/image-spec/blob/v1.1.1/image-layout.md

    oci-layout  index.json  blobs/sha256/<hex>

Every manifest is listed in `index.json`, a tagged one under its tag; what refers to a release is found there
by its subject.
"""

from __future__ import annotations

from collections.abc import Container, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from typing import Protocol

from pocketrec.errors import ArtifactError, UsageError
from pocketrec.package.registry import modelpack as words
from pocketrec.package.registry.image import Descriptor, Image, digest_of, image_index
from pocketrec.package.registry.reading import (
    LARGEST_MANIFEST,
    LARGEST_SMALL,
    read_image,
    read_index,
    subject_of,
)
from pocketrec.package.registry.store import Chunks, Traffic

_MARK, _INDEX = "oci-layout", "index.json"
_VERSION = b'{"imageLayoutVersion":"1.0.0"}'


class Files(Protocol):
    """Files under one root, by names with slashes."""

    where: str

    def size(self, name: str) -> int | None:
        """Bytes of a file; None where there is none."""
        ...

    def read(self, name: str, largest: int) -> bytes | None:
        """A file's bytes; None where there is none, an error where there are more than `largest`."""
        ...

    def pieces(self, name: str, start: int) -> AbstractContextManager[Iterator[bytes]]:
        """A file's content from a byte on."""
        ...

    def write(self, name: str, chunks: Iterator[bytes]) -> None:
        """Writes a file, which is there whole or not at all."""
        ...

    def alone(self) -> AbstractContextManager[None]:
        """While it lasts, nobody else changes the index, as far as the place can see to that."""
        ...

    def others(self, names: Container[str]) -> bool:
        """Whether something is there that is called otherwise."""
        ...


class Layout:
    """The store in a layout; one is begun where nothing is there yet."""

    def __init__(self, files: Files) -> None:
        self.files, self.traffic = files, Traffic()
        self._subjects: dict[str, str] = {}  # digest of a manifest to that of its subject

    def begin(self) -> None:
        """See `Store`; UsageError where something else is."""
        if self.files.size(_MARK) is not None:
            return
        if self.files.others((_MARK, _INDEX, "blobs")):
            raise UsageError(
                f"{self.files.where}: not empty and no OCI image layout; pass another folder, or remove it"
            )
        with self.files.alone():
            if self.files.size(_INDEX) is None:
                self.files.write(_INDEX, iter((image_index(()),)))
            self.files.write(_MARK, iter((_VERSION,)))

    def manifest(self, wanted: str) -> bytes | None:
        """See `Store`."""
        digest = wanted
        if not wanted.startswith("sha256:"):
            found = [each for each in self._listed() if each.annotations.get(words.REF_NAME) == wanted]
            if not found:
                return None
            digest = found[-1].digest
        data = self.files.read(_blob(digest), LARGEST_MANIFEST)
        self.traffic.add(received=len(data or b""))
        if data is not None and digest_of(data) != digest:
            raise ArtifactError(
                f"{self.files.where}: the manifest of {wanted[:19]} is not what its digest says; refuse it"
            )
        return data

    def put_manifest(self, data: bytes, tag: str = "") -> None:
        """See `Store`."""
        image = read_image(data, self.files.where)
        self._write_blob(image.descriptor(), data)
        with self.files.alone():
            listed = list(self._listed())
            if tag or not any(each.digest == image.digest for each in listed):
                listed = [*_without(listed, tag, image.digest), _entry(image, tag)]
            self._write_index(listed)

    def refer(self, release: str, image: Image) -> None:
        """See `Store`."""
        self.put_manifest(image.data)

    def referrers(self, release: str) -> tuple[Descriptor, ...]:
        """See `Store`."""
        return tuple(each for each in self._listed() if self._subject(each) == release)

    def has(self, blob: Descriptor) -> bool:
        """See `Store`."""
        return self.files.size(_blob(blob.digest)) == blob.size

    @contextmanager
    def blob(self, digest: str, start: int) -> Iterator[tuple[int, Iterator[bytes]]]:
        """See `Store`."""
        with self.files.pieces(_blob(digest), start) as pieces:
            yield start, self._counted(pieces)

    def upload(self, blob: Descriptor, chunks: Chunks) -> None:
        """See `Store`."""
        self.files.write(_blob(blob.digest), self._sent(chunks()))

    def tags(self) -> tuple[str, ...]:
        """See `Store`."""
        return tuple(sorted({_tagged(each) for each in self._listed()} - {""}))

    def _counted(self, pieces: Iterator[bytes]) -> Iterator[bytes]:
        for piece in pieces:
            self.traffic.add(received=len(piece))
            yield piece

    def _sent(self, pieces: Iterator[bytes]) -> Iterator[bytes]:
        for piece in pieces:
            self.traffic.add(sent=len(piece))
            yield piece

    def _write_blob(self, blob: Descriptor, data: bytes) -> None:
        if not self.has(blob):
            self.upload(blob, lambda: iter((data,)))

    def _listed(self) -> tuple[Descriptor, ...]:
        data = self.files.read(_INDEX, LARGEST_SMALL)
        return () if data is None else read_index(data, f"{self.files.where}/{_INDEX}")

    def _write_index(self, listed: Sequence[Descriptor]) -> None:
        self.files.write(_INDEX, iter((image_index(listed),)))

    def _subject(self, entry: Descriptor) -> str:
        if _tagged(entry) or entry.media_type != words.IMAGE:
            return ""
        if entry.digest not in self._subjects:
            data = self.files.read(_blob(entry.digest), LARGEST_MANIFEST)
            if data is None or digest_of(data) != entry.digest:
                return ""
            self._subjects[entry.digest] = subject_of(data, entry.digest[:19])
        return self._subjects[entry.digest]


def _blob(digest: str) -> str:
    return f"blobs/sha256/{digest.removeprefix('sha256:')}"


def _tagged(entry: Descriptor) -> str:
    return entry.annotations.get(words.REF_NAME, "")


def _without(listed: Sequence[Descriptor], tag: str, digest: str) -> Iterator[Descriptor]:
    """The others, once `tag` is another's: whoever had it stays, known by its digest alone."""
    for each in listed:
        if _tagged(each) == tag and each.digest != digest:
            if not tag or not any(one is not each and one.digest == each.digest for one in listed):
                yield replace(each, annotations={})
        elif _tagged(each) not in ("", tag) or each.digest != digest:
            yield each


def _entry(image: Image, tag: str) -> Descriptor:
    return Descriptor(
        media_type=words.IMAGE,
        digest=image.digest,
        size=len(image.data),
        annotations={words.REF_NAME: tag} if tag else {},
        artifact_type=image.artifact_type,
    )
