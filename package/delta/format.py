"""The file: a fixed beginning, a header that names releases and files, records, and a digest of it all.

docs/delta.md has the table of bytes. Nothing here knows how records are chosen.
"""

from __future__ import annotations

import hashlib
import json
import os
import struct
import zlib
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass
from io import BufferedIOBase
from pathlib import Path
from typing import Any, BinaryIO, Literal

import numpy as np

from pocketrec.errors import ArtifactError, PocketrecError
from pocketrec.outside import open_file, parse_json
from pocketrec.package.delta.varints import Bytes
from pocketrec.package.manifest import check_path
from pocketrec.schema import from_table

MAGIC = b"PRDELTA\x01"  # the last byte is the version of the format
FIXED = struct.Struct("<8sQII")  # magic, bytes of the file, of the header as stored, and as it is
DIGEST = hashlib.sha256().digest_size

LARGEST_HEADER = 16 << 20  # bytes
LARGEST_PAYLOAD = 2 << 20  # bytes of a record's payload, inflated
LARGEST_STORED = (
    2 * LARGEST_PAYLOAD
)  # bytes of a payload as it is stored: DEFLATE makes nothing twice as long
LARGEST_ROWS = 1 << 20  # bytes of the rows of a record
LARGEST_FILE = 1 << 48  # bytes
EDIT, ROWS = 1, 2  # kinds of records
AGAIN = "pull the delta again, or the whole release"

_CHUNK = 1 << 20
_INFLATED = 1032  # bytes that DEFLATE gives for one at most: 258 for two bits
_COPIED = 16  # bytes that may be copied for one of the older file


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """One of the two releases.

    Attributes:
        name: the recipe's name.
        version: the recipe's version.
        tree_sha256: of all files but the evidence.
        manifest_sha256: of manifest.json.
        evidence_sha256: of evidence/manifest.json.
    """

    name: str
    version: str
    tree_sha256: str
    manifest_sha256: str
    evidence_sha256: str

    def __str__(self) -> str:
        return (
            f"{self.name} {self.version} (tree {self.tree_sha256[:12]}, evidence {self.evidence_sha256[:12]})"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A file of the newer release that is not a file of the older one as it stands.

    Attributes:
        path: in the newer release.
        size_bytes: of the file.
        sha256: of the file.
        base: the path in the older release of what its records are against; empty where it is whole.
        base_sha256: of that; empty where there is none.
        stored_bytes: of its records.
    """

    path: str
    size_bytes: int
    sha256: str
    base: str = ""
    base_sha256: str = ""
    stored_bytes: int

    def __post_init__(self) -> None:
        for each in (self.path, self.base) if self.base else (self.path,):
            check_path(each)
        if not 0 <= self.size_bytes <= LARGEST_FILE or self.stored_bytes < 0:
            raise ArtifactError(f"{self.path}: {self.size_bytes} bytes of {self.stored_bytes} cannot be")


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """What a delta says of itself; `files` are in the order of their records, manifests first."""

    schema: Literal[1]
    base: Side
    target: Side
    files: tuple[Entry, ...]

    def __post_init__(self) -> None:
        paths = (each.path for each in self.files)
        twice = next((path for path, count in Counter(paths).items() if count > 1), None)
        if twice is not None:
            raise ArtifactError(f"{twice}: stands there twice")


def most_bytes(stored_bytes: int, base_bytes: int) -> int:
    """How large a file can be by so many bytes of records against an older file of so many bytes.

    Copies of copies have no bound of their own: by 20 kB of records a file of 9 kB would become one of 20 GB.
    """
    return _INFLATED * stored_bytes + _COPIED * base_bytes


def deflate(data: bytes | memoryview) -> bytes:
    """Raw DEFLATE, RFC 1951, which Apple's Compression calls ZLIB and browsers `deflate-raw`."""
    found = []
    for strategy in (zlib.Z_DEFAULT_STRATEGY, zlib.Z_FILTERED):
        packer = zlib.compressobj(9, zlib.DEFLATED, -15, 9, strategy)
        found.append(packer.compress(data) + packer.flush())
    return min(found, key=len)


def inflate(data: bytes, size: int) -> bytes:
    """Exactly `size` bytes of raw DEFLATE; never more are made.

    Raises:
        ArtifactError: it gives fewer or more, or is no DEFLATE.
    """
    unpacker = zlib.decompressobj(-15)
    try:
        found = unpacker.decompress(data, size + 1)
    except zlib.error as error:
        raise ArtifactError(f"its DEFLATE is damaged ({error})") from None
    if len(found) != size or not unpacker.eof or unpacker.unused_data:
        raise ArtifactError(f"its DEFLATE does not give the {size} bytes that it says")
    return found


def write_delta(out: BinaryIO, header: Header, records: BinaryIO) -> int:
    """Writes the file, and returns its size; `records` is read from its beginning."""
    text = json.dumps(asdict(header), separators=(",", ":"), ensure_ascii=False).encode()
    packed = deflate(text)
    stored = sum(each.stored_bytes for each in header.files)
    size = FIXED.size + len(packed) + stored + DIGEST
    digest = hashlib.sha256()
    for data in (FIXED.pack(MAGIC, size, len(packed), len(text)), packed):
        digest.update(data)
        out.write(data)
    records.seek(0)
    while data := records.read(_CHUNK):
        digest.update(data)
        out.write(data)
    out.write(digest.digest())
    return size


def read_delta(file: BufferedIOBase, size: int, name: str, report: Callable[[int, int], None]) -> Header:
    """The header of a whole and unaltered delta; the file then stands at its first record.

    Args:
        file: that was opened.
        size: of it.
        name: for messages.
        report: told how many bytes of how many were hashed.

    Raises:
        ArtifactError: it is no delta, of another version, cut or altered.
    """
    start = file.read(FIXED.size)
    if len(start) < FIXED.size or start[:7] != MAGIC[:7]:
        raise ArtifactError(f"{name}: not a pocketrec delta; {AGAIN}")
    magic, stated, packed, raw = FIXED.unpack(start)
    if magic != MAGIC:
        raise ArtifactError(
            f"{name}: a delta of format {magic[7]}, this pocketrec reads {MAGIC[7]}; update pocketrec"
        )
    if stated != size:
        raise ArtifactError(f"{name}: {size} bytes, it was written with {stated}; {AGAIN}")
    _check_digest(file, size, name, report)
    file.seek(FIXED.size)
    if max(packed, raw) > LARGEST_HEADER:
        raise ArtifactError(f"{name}: a header of {raw} bytes, expected {LARGEST_HEADER} at most; {AGAIN}")
    try:
        table: Any = parse_json(inflate(file.read(packed), raw), name="its header")
        header = from_table(Header, table, source="its header")
    except PocketrecError as error:
        raise ArtifactError(f"{name}: {error}; {AGAIN}") from None
    if FIXED.size + packed + sum(each.stored_bytes for each in header.files) + DIGEST != size:
        raise ArtifactError(f"{name}: its records are not as long as its header says; {AGAIN}")
    return header


def header_of(path: Path) -> Header:
    """The header of the delta at `path`, all of which was compared with its own digest."""
    with open_file(path) as file:
        return read_delta(file, os.fstat(file.fileno()).st_size, str(path), lambda *_: None)


def _check_digest(file: BufferedIOBase, size: int, name: str, report: Callable[[int, int], None]) -> None:
    """Checks the digest at the end, over all that is before it."""
    digest, left = hashlib.sha256(), size - DIGEST
    file.seek(0)
    while left > 0 and (data := file.read(min(_CHUNK, left))):
        digest.update(data)
        left -= len(data)
        report(size - DIGEST - left, size)
    if left or file.read() != digest.digest():
        raise ArtifactError(f"{name}: altered, its own digest does not match; {AGAIN}")


def as_bytes(data: bytes) -> Bytes:
    """The data as an array, not copied."""
    return np.frombuffer(data, np.uint8)
