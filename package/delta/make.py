"""Two bundles to one delta, file by file."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from os import SEEK_END
from pathlib import Path
from typing import BinaryIO

import numpy as np

from pocketrec.files import whole_file
from pocketrec.outside import exists, open_file
from pocketrec.package.bundle import Bundle, require_whole
from pocketrec.package.delta.encode import records_of, whole
from pocketrec.package.delta.format import Entry, Header, Side, most_bytes, write_delta
from pocketrec.package.delta.layouts import parts_of
from pocketrec.package.delta.varints import Bytes
from pocketrec.package.manifest import EVIDENCE_MANIFEST, MANIFEST, MANIFESTS, file_sha256
from pocketrec.package.sign.files import SIGNATURE_FILES
from pocketrec.progress import Progress


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """What a delta was made of.

    Attributes:
        base: the older release.
        target: the newer.
        size_bytes: of the delta.
        release_bytes: of all files of the newer release.
        files: that the delta holds; all others are the older release's own.
    """

    base: Side
    target: Side
    size_bytes: int
    release_bytes: int
    files: tuple[Entry, ...]


def make_delta(old: Bundle, new: Bundle, out: Path, report: Progress) -> Made:
    """Writes what turns `old` into `new` to the file `out`, whole or not at all.

    Args:
        old: whose files were checked.
        new: whose files were checked.
        out: the file; one that is there is replaced.
        report: told what is being done.

    Raises:
        ArtifactError: one is a part of a bundle.
        StorageError: it cannot be written.
    """
    require_whole(old, new)
    names = _changed(old, new)
    with whole_file(out) as partial, tempfile.TemporaryFile(dir=out.parent) as records:
        entries = []
        for count, (name, base) in enumerate(names):
            report("delta", count, len(names))
            entries.append(_entry(old, new, name, base, records, out.parent))
        header = Header(schema=1, base=side_of(old), target=side_of(new), files=tuple(entries))
        with partial.open("wb") as file:
            size = write_delta(file, header, records)
    total = sum((new.path / each).stat().st_size for each in _all_files(new))
    return Made(
        base=header.base, target=header.target, size_bytes=size, release_bytes=total, files=header.files
    )


def side_of(bundle: Bundle) -> Side:
    """What a delta calls a release."""
    return Side(
        name=bundle.manifest.name,
        version=bundle.manifest.version,
        tree_sha256=bundle.manifest.tree_sha256,
        manifest_sha256=file_sha256(bundle.path / MANIFEST),
        evidence_sha256=file_sha256(bundle.path / EVIDENCE_MANIFEST),
    )


def _all_files(bundle: Bundle) -> list[str]:
    """Every file of a bundle, manifests first, signatures last."""
    signed = [each for each in SIGNATURE_FILES if exists(bundle.path / each)]
    return [*MANIFESTS, *sorted(bundle.listed), *signed]


def _changed(old: Bundle, new: Bundle) -> list[tuple[str, str]]:
    """The files that the older release does not have, each with the one it is against, or an empty name.

    Signatures are not among what a release is named by, so nothing is against them.
    """
    before, listed = old.listed, new.listed
    known = set(before.values())
    names = [each for each in _all_files(new) if listed.get(each) not in known]
    return [(each, each if each in before or each in MANIFESTS else "") for each in names]


def _entry(old: Bundle, new: Bundle, name: str, base: str, records: BinaryIO, folder: Path) -> Entry:
    """Appends the records of one file: against the older one, or whole where that is smaller.

    What is only tried stands in `folder`, where the delta needs room, too.
    """
    path, data = new.path / name, mapped(new.path / name)
    size, stored = len(data), 0  # bytes of records against the older file
    if base:
        before = mapped(old.path / base)
        tensors = parts_of(old.path / base, before), parts_of(path, data)
        stored = _write(records, records_of(before, data, *tensors))
        if size > most_bytes(stored, len(before)):  # which who applies it takes for a bomb
            records.seek(-stored, SEEK_END)
            records.truncate()
            base, stored = "", 0
    if not base or stored > size // 2:
        with tempfile.TemporaryFile(dir=folder) as alone:
            _write(alone, whole(data))
            if not base or alone.tell() < stored:
                records.seek(-stored, SEEK_END)
                records.truncate()
                alone.seek(0)
                shutil.copyfileobj(alone, records)
                base, stored = "", alone.tell()
    return Entry(
        path=name,
        size_bytes=size,
        sha256=file_sha256(path),
        base=base,
        base_sha256=file_sha256(old.path / base) if base else "",
        stored_bytes=stored,
    )


def _write(records: BinaryIO, made: Iterator[bytes]) -> int:
    start = records.tell()
    records.writelines(made)
    return records.tell() - start


def mapped(path: Path) -> Bytes:
    """The bytes of a file, read where they are looked at."""
    with open_file(path) as file:
        empty = file.seek(0, 2) == 0
        return np.zeros(0, np.uint8) if empty else np.asarray(np.memmap(file, np.uint8, mode="r"))
