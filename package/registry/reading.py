"""Manifests from outside, read strictly: what cannot be a release says so before a file is made."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Mapping
from typing import Any

from pocketrec.errors import ArtifactError
from pocketrec.outside import parse_json
from pocketrec.package.manifest import check_path
from pocketrec.package.registry import modelpack as words
from pocketrec.package.registry.image import Descriptor, Image
from pocketrec.package.registry.references import is_digest

LARGEST_MANIFEST = 4 << 20  # bytes; what every registry takes, by the specification of distribution
LARGEST_SMALL = 16 << 20  # bytes of a layer that is read whole, such as manifest.json
MOST_LAYERS = 20_000  # what fits into the largest manifest with a path and a digest each
_LARGEST = 1 << 50  # bytes of a layer that can be meant
_LONGEST = 1024  # characters of a path


def read_image(data: bytes, where: str) -> Image:
    """The image in a manifest's bytes, its config not yet fetched.

    Raises:
        ArtifactError: it is no image, has another algorithm of digests, or a title that is no path.
    """
    table = parse_json(data, name=where)
    if not isinstance(table, Mapping):
        raise ArtifactError(f"{where}: is no table; expected an OCI image manifest")
    kind = table.get("mediaType", words.IMAGE)
    if kind == words.INDEX or "manifests" in table:
        raise ArtifactError(
            f"{where}: an index of several images; expected one, pass the digest of one of them"
        )
    if kind != words.IMAGE or table.get("schemaVersion") != 2:
        raise ArtifactError(
            f"{where}: {_shown(kind)} is no OCI image manifest; push it with `pocketrec push`"
        )
    listed = _list(table, "layers", where)
    if len(listed) > MOST_LAYERS:
        raise ArtifactError(f"{where}: {len(listed)} layers; expected at most {MOST_LAYERS}")
    layers = tuple(_read(each, f"{where}: layers[{number}]") for number, each in enumerate(listed))
    return Image(
        data=data,
        layers=layers,
        config=b"",
        artifact_type=_artifact_type(table),
        annotations=_annotations(table, where),
    )


def read_index(data: bytes, where: str) -> tuple[Descriptor, ...]:
    """The manifests that an index lists.

    Raises:
        ArtifactError: it is no index.
    """
    table = parse_json(data, name=where)
    if not isinstance(table, Mapping) or table.get("schemaVersion") != 2:
        raise ArtifactError(f"{where}: no OCI index; pass another place, or push anew")
    listed = _list(table, "manifests", where)
    if len(listed) > MOST_LAYERS:
        raise ArtifactError(f"{where}: {len(listed)} manifests; expected at most {MOST_LAYERS}")
    return tuple(_read(each, f"{where}: manifests[{number}]") for number, each in enumerate(listed))


def subject_of(data: bytes, where: str) -> str:
    """The digest of what a manifest refers to; empty where it refers to nothing."""
    table = parse_json(data, name=where)
    subject = table.get("subject") if isinstance(table, Mapping) else None
    return str(subject.get("digest", "")) if isinstance(subject, Mapping) else ""


def titled(layers: Iterable[Descriptor], where: str) -> dict[str, Descriptor]:
    """Layers by the path that each is titled by; no two of them can meet on any system's disk.

    Raises:
        ArtifactError: a title is missing, leads out, or is another's; names it.
    """
    found: dict[str, Descriptor] = {}
    taken: dict[str, str] = {}
    for each in layers:
        title = each.title
        if not title:
            raise ArtifactError(
                f"{where}: layer {each.digest[:19]}… has no title; push it with its path as title"
            )
        _check_title(title, where)
        folded = _folded(title)
        if folded in taken:
            raise ArtifactError(
                f"{where}: {_shown(taken[folded])} and {_shown(title)} are one file on some systems"
            )
        taken[folded] = title
        found[title] = each
    for folded, title in taken.items():
        for parent in _parents(folded):
            if parent in taken:
                raise ArtifactError(
                    f"{where}: {_shown(taken[parent])} is a file and a folder of {_shown(title)}"
                )
    return found


def _check_title(title: str, where: str) -> None:
    if len(title) > _LONGEST or not title.isprintable():
        raise ArtifactError(f"{where}: title {_shown(title)} is no path of a file; refuse it")
    try:
        check_path(title)
    except ArtifactError:
        raise ArtifactError(
            f"{where}: title {_shown(title)} is no plain path inside of a bundle; refuse it"
        ) from None
    if any(len(part.encode()) > 255 or part.endswith((" ", ".")) for part in title.split("/")):
        raise ArtifactError(f"{where}: title {_shown(title)} is no path on every system; refuse it")


def _folded(title: str) -> str:
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", title).casefold())


def _parents(path: str) -> Iterable[str]:
    parts = path.split("/")
    return ("/".join(parts[:count]) for count in range(1, len(parts)))


def _read(value: object, where: str) -> Descriptor:
    if not isinstance(value, Mapping):
        raise ArtifactError(f"{where}: is no table; expected mediaType, digest and size")
    digest, size, kind = value.get("digest"), value.get("size"), value.get("mediaType")
    if not isinstance(digest, str) or not is_digest(digest):
        raise ArtifactError(f"{where}: digest {_shown(digest)}; expected sha256: and 64 digits of hex")
    if not isinstance(size, int) or isinstance(size, bool) or not 0 <= size <= _LARGEST:
        raise ArtifactError(f"{where}: size {_shown(size)}; expected a number of bytes")
    if not isinstance(kind, str):
        raise ArtifactError(f"{where}: mediaType {_shown(kind)}; expected text")
    return Descriptor(
        media_type=kind,
        digest=digest,
        size=size,
        annotations=_annotations(value, where),
        artifact_type=_artifact_type(value),
    )


def _annotations(table: Mapping[str, Any], where: str) -> dict[str, str]:
    found = table.get("annotations") or {}
    if not isinstance(found, Mapping) or not all(isinstance(each, str) for each in found.values()):
        raise ArtifactError(f"{where}: annotations {_shown(found)}; expected a table of texts")
    return dict(found)


def _artifact_type(table: Mapping[str, Any]) -> str:
    """What an image is: its own word, else its config's type, which older tools have in its place."""
    said = table.get("artifactType")
    if isinstance(said, str) and said:
        return said
    config = table.get("config")
    kind = config.get("mediaType") if isinstance(config, Mapping) else None
    return kind if isinstance(kind, str) else ""


def _list(table: Mapping[str, Any], key: str, where: str) -> list[object]:
    found = table.get(key)
    if not isinstance(found, list):
        raise ArtifactError(f"{where}: {key} is {_shown(found)}; expected a list")
    return found


def _shown(value: object) -> str:
    text = ascii(value)
    return text if len(text) < 80 else f"{text[:76]}..."
