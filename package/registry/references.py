"""References: the names that bundles have outside of this machine, and the one place that reads them.

    example.com/models/sasrec:1.4.0              a registry, a repository in it, and a tag
    example.com/models/sasrec@sha256:9f86…       the same by digest, which never means another release
    ./releases:1.4.0   /mnt/releases             a folder with an OCI image layout
    s3://bucket/releases:1.4.0                   a layout that fsspec reaches

What begins with a host (a dot, a port, or `localhost` before the first slash) is a registry, as Docker has
it; a folder of such a name is written `./name`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from pocketrec.errors import UsageError

Kind = Literal["registry", "folder", "url"]

_LONGEST = 2048  # characters of a reference
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}")
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_PART = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_REPOSITORY = re.compile(rf"{_PART}(?:/{_PART})*")
_HOST = re.compile(r"(?:[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?|\[[0-9a-fA-F:]+\])(?::[0-9]{1,5})?")
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://(.*)", re.DOTALL)
_FORMS = "example.com/models/sasrec:1.4.0, ./folder:1.4.0 or s3://bucket/folder:1.4.0"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """Where a release is, and which one.

    Attributes:
        kind: a registry, a folder, or a URL that fsspec reads.
        place: host and port of the registry; else the folder or the URL.
        repository: the name in the registry; empty elsewhere.
        tag: empty where none is named.
        digest: `sha256:…` of the manifest; empty where none is named.
    """

    kind: Kind
    place: str
    repository: str = ""
    tag: str = ""
    digest: str = ""

    @property
    def name(self) -> str:
        """Where it is, without which one."""
        if not self.repository:
            return self.place
        scheme = "" if _is_host(self.place) else "oci://"
        return f"{scheme}{self.place}/{self.repository}"

    @property
    def wanted(self) -> str:
        """The digest, else the tag; empty where there is neither."""
        return self.digest or self.tag

    def at(self, wanted: str) -> Reference:
        """The same place, by another tag or digest."""
        by_digest = wanted.startswith("sha256:")
        return replace(self, tag="" if by_digest else wanted, digest=wanted if by_digest else "")

    def __str__(self) -> str:
        tag = f":{self.tag}" if self.tag else ""
        digest = f"@{self.digest}" if self.digest else ""
        return f"{self.name}{tag}{digest}"


def parse_reference(text: str) -> Reference:
    """What `text` refers to; UsageError where it is no reference, without showing a password in it."""
    if not text.strip() or len(text) > _LONGEST or not text.isprintable():
        raise UsageError(f"{_shown(text)} is no reference; expected {_FORMS}")
    scheme = _SCHEME.fullmatch(text)
    if scheme is not None and scheme[1].lower() != "oci":
        return _url(text, scheme[1].lower(), scheme[2])
    rest, digest = _digest(scheme[2] if scheme is not None else text)
    first, slash, _ = rest.partition("/")
    if scheme is not None or (slash and _is_host(first)):
        return _registry(rest, digest)
    place, tag = _tag(rest)
    return Reference(kind="folder", place=_plain(place, text), tag=tag, digest=digest)


def check_tag(tag: str) -> str:
    """The tag; UsageError where no registry would take it."""
    if not _TAG.fullmatch(tag):
        raise UsageError(
            f"{_shown(tag)} is no tag; expected at most 128 letters, digits, '.', '_' and '-', such as 1.4.0"
        )
    return tag


def tag_of_version(version: str) -> str:
    """The tag that a release of this version gets; a plus, which tags cannot have, becomes `_`."""
    return check_tag(version.replace("+", "_"))


def is_digest(text: str) -> bool:
    """Whether `text` is a digest of the one algorithm that is read here."""
    return _DIGEST.fullmatch(text) is not None


def is_reference(text: str) -> bool:
    """Whether an argument that may be a path names something elsewhere; a path that is there is a path."""
    try:
        if Path(text).exists():
            return False
        reference = parse_reference(text)
    except (UsageError, OSError, ValueError):
        return "://" in text
    return reference.kind != "folder" or bool(reference.wanted and Path(reference.place).is_dir())


def _registry(rest: str, digest: str) -> Reference:
    host, _, path = rest.partition("/")
    if "@" in rest:
        raise UsageError(
            "a reference holds no user and no password; log in with `docker login`, and leave them out"
        )
    repository, tag = _tag(path)
    if not _HOST.fullmatch(host):
        raise UsageError(f"{_shown(host)} is no host of a registry; expected {_FORMS}")
    if not _REPOSITORY.fullmatch(repository) or len(repository) > 255:
        raise UsageError(
            f"{_shown(repository)} is no repository of a registry; expected lower-case words joined by '/', "
            "'-', '_' or '.', such as models/sasrec"
        )
    return Reference(kind="registry", place=host, repository=repository, tag=tag, digest=digest)


def _url(text: str, scheme: str, rest: str) -> Reference:
    """A URL; what would carry a secret into logs is refused without being shown."""
    rest, digest = _digest(rest)
    if "@" in rest.partition("/")[0]:
        raise UsageError(
            f"a {scheme} URL holds a user or a password, which logs would show; set them as fsspec says"
        )
    if any(each in rest for each in "?#"):
        raise UsageError(
            f"a {scheme} URL holds a query, which may be a secret; pass the URL of the folder alone"
        )
    path, tag = _tag(rest)
    if scheme == "file":
        return Reference(kind="folder", place=_plain(path, text), tag=tag, digest=digest)
    return Reference(kind="url", place=f"{scheme}://{_plain(path, text)}", tag=tag, digest=digest)


def _digest(text: str) -> tuple[str, str]:
    """What stands before a digest, and the digest; empty where there is none."""
    before, mark, digest = text.rpartition("@")
    if not mark or ":" not in digest or "/" in digest:
        return text, ""
    if not _DIGEST.fullmatch(digest):
        raise UsageError(f"{_shown(digest)} is no digest; expected sha256: and 64 digits of lower-case hex")
    return before, digest


def _tag(text: str) -> tuple[str, str]:
    """What stands before a tag, and the tag; empty where the last part has none."""
    before, colon, tag = text.rpartition(":")
    if not colon or "/" in tag:
        return text, ""
    return before, check_tag(tag)


def _is_host(first: str) -> bool:
    return first not in (".", "..", "~") and (first == "localhost" or any(each in first for each in ".:"))


def _plain(place: str, text: str) -> str:
    if not place.strip():
        raise UsageError(f"{_shown(text)} names no folder; expected {_FORMS}")
    return place


def _shown(text: str) -> str:
    shown = repr(text)
    return shown if len(shown) < 80 else f"{shown[:76]}..."
