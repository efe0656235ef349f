"""The manifest: every file of a bundle with its digest, and which artifact serves which function.

manifest.json            files and tree digest; identical for identical recipe, weights and tools
evidence/manifest.json   the evidence's files; timings make them differ from build to build
manifest.sha256          digests of the two manifests, and of its own lines
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path, PurePosixPath
from typing import Literal, TypeVar

from pocketrec.errors import ArtifactError, PocketrecError
from pocketrec.outside import exists, open_file, parse_json, read_file
from pocketrec.schema import from_table

T = TypeVar("T")

MANIFEST = "manifest.json"
EVIDENCE = "evidence"
EVIDENCE_MANIFEST = "evidence/manifest.json"
SUMS = "manifest.sha256"
PART = "part.json"  # in a part of a bundle: of which targets it is, see parts.py
MANIFESTS = (MANIFEST, EVIDENCE_MANIFEST, SUMS)  # every bundle has these
UNLISTED = (*MANIFESTS, PART)  # these cannot hold their own digests


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """What a bundle holds.

    Attributes:
        schema: version of this layout.
        pocketrec: version of the tool that wrote it.
        name: the recipe's name.
        version: the recipe's version.
        files: path to sha256, hex; the evidence and the manifests themselves are not among them.
        tree_sha256: digest over the sorted paths and digests of `files`.
        artifacts: target to function to the artifact's path, a file or a .mlpackage folder.
    """

    schema: Literal[1]
    pocketrec: str
    name: str
    version: str
    files: Mapping[str, str]
    tree_sha256: str
    artifacts: Mapping[str, Mapping[str, str]]

    def __post_init__(self) -> None:
        self._check_words()
        for path, digest in self.files.items():
            check_path(path)
            _check_digest(path, digest)
        if self.tree_sha256 != tree_sha256(self.files):
            raise ArtifactError(f"{MANIFEST}: tree_sha256 does not follow from its files; pull it again")
        for target, functions in self.artifacts.items():
            for function, path in functions.items():
                self._check_artifact(f"{MANIFEST}: artifacts.{target}.{function}", path)

    def _check_words(self) -> None:
        """Checks that what every command prints can be printed; ArtifactError names the key."""
        words = {"name": self.name, "version": self.version, "pocketrec": self.pocketrec}
        words |= {f"artifacts.{target}"[:80]: target for target in self.artifacts}
        words |= {
            f"artifacts.{target}.{function}"[:80]: function
            for target, functions in self.artifacts.items()
            for function in functions
        }
        for key, word in words.items():
            if not word.isprintable():
                raise ArtifactError(
                    f"{MANIFEST}: {key!r} is {word[:40]!r}, which cannot be printed; refuse it"
                )

    def _check_artifact(self, key: str, path: str) -> None:
        check_path(path)
        if path not in self.files and not any(each.startswith(f"{path}/") for each in self.files):
            raise ArtifactError(f"{key}: {path} is not among the files; build the bundle again")


@dataclass(frozen=True, slots=True, kw_only=True)
class EvidenceManifest:
    """The evidence's files: path to sha256, hex."""

    schema: Literal[1]
    files: Mapping[str, str]

    def __post_init__(self) -> None:
        for path, digest in self.files.items():
            check_path(path)
            _check_digest(path, digest)
            if not path.startswith(f"{EVIDENCE}/"):
                raise ArtifactError(f"{EVIDENCE_MANIFEST}: {path} is not in {EVIDENCE}/")


def check_path(path: str) -> None:
    """Checks that `path` stays inside the bundle and is spelled in the one way; else ArtifactError."""
    pure = PurePosixPath(path)
    parts = path.split("/")
    bad = not path or pure.is_absolute() or any(part in ("", ".", "..") for part in parts)
    if bad or not path.isprintable() or any(each in "\\:" for each in path):
        raise ArtifactError(f"{path!r}: not a plain relative path; the manifest must stay in the bundle")


def _check_digest(path: str, digest: str) -> None:
    if len(digest) != 64 or set(digest) - set("0123456789abcdef"):
        raise ArtifactError(f"{path}: {digest!r} is not a sha256 in lower-case hex")


def tree_sha256(files: Mapping[str, str]) -> str:
    """Hex digest over `<sha256>  <path>` lines, sorted by path."""
    lines = "".join(f"{files[path]}  {path}\n" for path in sorted(files))
    return hashlib.sha256(lines.encode()).hexdigest()


def file_sha256(path: Path) -> str:
    """Hex digest of a file, read in chunks."""
    with open_file(path) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def list_files(folder: Path) -> list[str]:
    """Relative paths of all files below `folder`, sorted; links and special files are an ArtifactError."""
    found = []
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if not name.isprintable():  # it would reach a terminal, or another manifest, as it is
            raise ArtifactError(f"{name!r}: a name that cannot be printed; a bundle holds plain names only")
        if path.is_symlink() or not (path.is_file() or path.is_dir()):
            raise ArtifactError(f"{name}: a link or a special file; a bundle holds plain files only")
        if path.is_file():
            found.append(name)
    return found


def seal(folder: Path, *, name: str, version: str, artifacts: Mapping[str, Mapping[str, str]]) -> Manifest:
    """The manifest, written into `folder` for all files that are there; nothing may be added after.

    Args:
        folder: a staging folder with everything but the manifests.
        name: the recipe's name.
        version: the recipe's version.
        artifacts: target to function to path relative to `folder`.
    """
    from pocketrec import __version__

    _make_modes_canonical(folder)
    files, evidence = _digests(folder)
    manifest = Manifest(
        schema=1,
        pocketrec=__version__,
        name=name,
        version=version,
        files=files,
        tree_sha256=tree_sha256(files),
        artifacts=artifacts,
    )
    (folder / EVIDENCE).mkdir(exist_ok=True)
    _write_json(folder / MANIFEST, manifest)
    _write_json(folder / EVIDENCE_MANIFEST, EvidenceManifest(schema=1, files=evidence))
    (folder / SUMS).write_bytes(_sums(folder))
    _make_modes_canonical(folder)
    return manifest


def tree_of(folder: Path) -> str:
    """The tree digest of a staging folder, which its evidence states before both are sealed."""
    return tree_sha256(_digests(folder)[0])


def _digests(folder: Path) -> tuple[dict[str, str], dict[str, str]]:
    """Digests of the files that the tree is of, and of the evidence's."""
    digests = {each: file_sha256(folder / each) for each in list_files(folder) if each not in UNLISTED}
    evidence = {path: digest for path, digest in digests.items() if path.startswith(f"{EVIDENCE}/")}
    return {path: digest for path, digest in digests.items() if path not in evidence}, evidence


def _make_modes_canonical(folder: Path) -> None:
    folder.chmod(0o755)
    for path in folder.rglob("*"):
        if not path.is_symlink():
            path.chmod(0o755 if path.is_dir() else 0o644)


def _write_json(path: Path, value: Manifest | EvidenceManifest) -> None:
    path.write_text(json.dumps(asdict(value), indent=1, sort_keys=True) + "\n", encoding="utf-8")


def _sums(folder: Path) -> bytes:
    lines = "".join(f"{file_sha256(folder / name)}  {name}\n" for name in (EVIDENCE_MANIFEST, MANIFEST))
    return f"{lines}# {hashlib.sha256(lines.encode()).hexdigest()}\n".encode()


def check_sums(folder: Path) -> None:
    """Checks that both manifests are what `manifest.sha256` says; ArtifactError names the other file."""
    text = _read_small(folder, SUMS)
    lines, mark, own = text.rpartition(b"# ")
    if not mark or own != hashlib.sha256(lines).hexdigest().encode() + b"\n":
        raise ArtifactError(f"{SUMS}: altered, its own digest does not match; pull the bundle again")
    for name in (EVIDENCE_MANIFEST, MANIFEST):
        data = _read_small(folder, name)
        if f"{hashlib.sha256(data).hexdigest()}  {name}\n".encode() not in lines:
            raise ArtifactError(f"{name}: altered, {SUMS} has another sha256; pull the bundle again")


def read_manifest(folder: Path) -> Manifest:
    """The bundle's manifest, strictly read; raises ArtifactError naming the file and the key."""
    return _read(folder, MANIFEST, Manifest)


def read_evidence_manifest(folder: Path) -> EvidenceManifest:
    """The evidence's manifest, strictly read; raises ArtifactError naming the file and the key."""
    return _read(folder, EVIDENCE_MANIFEST, EvidenceManifest)


def read_json(folder: Path, name: str, cls: type[T]) -> T:
    """An instance of the dataclass `cls` from a JSON file of a bundle; ArtifactError naming the file."""
    return _read(folder, name, cls)


def parse_manifest(data: bytes) -> Manifest:
    """The manifest in the bytes of its file, strictly read; raises ArtifactError naming the key."""
    return _parse(data, MANIFEST, Manifest)


def parse_evidence_manifest(data: bytes) -> EvidenceManifest:
    """The evidence's manifest in the bytes of its file, strictly read; ArtifactError names the key."""
    return _parse(data, EVIDENCE_MANIFEST, EvidenceManifest)


def _read(folder: Path, name: str, cls: type[T]) -> T:
    return _parse(_read_small(folder, name), name, cls)


def _parse(data: bytes, name: str, cls: type[T]) -> T:
    table = parse_json(data, name=name)
    try:
        return from_table(cls, table, source=name)
    except PocketrecError as error:
        raise ArtifactError(str(error)) from None


def _read_small(folder: Path, name: str) -> bytes:
    path = folder / name
    linked = path.is_symlink() or (path.parent != folder and path.parent.is_symlink())
    if linked or not exists(path):
        raise ArtifactError(f"{name}: missing in {folder}; that is no complete bundle")
    return read_file(path)
