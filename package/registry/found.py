"""A release as a place has it: its manifest, and what refers to it, compared before any file is made."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from pocketrec.errors import ArtifactError, UsageError
from pocketrec.package.manifest import EVIDENCE, EVIDENCE_MANIFEST, MANIFEST, SUMS, Manifest, parse_manifest
from pocketrec.package.registry import modelpack as words
from pocketrec.package.registry.image import Descriptor, Image, digest_of
from pocketrec.package.registry.reading import read_image, subject_of, titled
from pocketrec.package.registry.references import Reference
from pocketrec.package.registry.store import Store, read_manifest, read_small
from pocketrec.package.sign.files import SIGNATURE_FILES

_MOST_REFERRERS = 200  # evidence and signatures of one release that are looked at
_SHOWN = 8  # tags in a message

Titles = Mapping[str, Descriptor]


@dataclass(frozen=True, slots=True, kw_only=True)
class Beside:
    """What goes with a release: the evidence of one build, and signatures that may be of it.

    Attributes:
        evidence: files by their paths in the bundle, with both manifests' sums.
        signatures: likewise; empty where there are none.
    """

    evidence: Titles
    signatures: Titles


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What a pull puts at its place.

    Attributes:
        whole: files of the release and of what goes with it, by their paths.
        left_out: those that a part of it does not hold, see `package.parts`.
    """

    whole: Titles
    left_out: frozenset[str] = frozenset()

    @property
    def files(self) -> Titles:
        """Those that are to be there."""
        return {name: blob for name, blob in self.whole.items() if name not in self.left_out}


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A release that was looked up.

    Attributes:
        where: the reference, for messages.
        digest: of its manifest in the registry.
        manifest: that of the bundle.
        manifest_data: its bytes.
        files: the bundle's files and manifest.json, by their paths.
        beside: what may go with it, the likeliest first.
        deltas: images of deltas that say that they lead to it, the latest at the end.
    """

    where: str
    digest: str
    manifest: Manifest
    manifest_data: bytes
    files: Titles
    beside: tuple[Beside, ...]
    deltas: tuple[Descriptor, ...]


def find_release(store: Store, reference: Reference) -> Found:
    """The release that a reference names.

    Raises:
        UsageError: it names none; says which there are.
        ArtifactError: what is there is no release, or not what was asked for.
    """
    where = str(reference)
    data = read_manifest(store, reference.wanted, where) if reference.wanted else None
    if data is None:
        raise UsageError(
            f"{where}: {'no such release' if reference.wanted else 'names no tag'}; {_known(store)}"
        )
    image = read_image(data, where)
    layers = titled(image.layers, where)
    if MANIFEST not in layers:
        kind = image.artifact_type or "an image"
        raise ArtifactError(
            f"{where}: {ascii(kind)[:80]} without {MANIFEST} is no release; check the reference"
        )
    manifest_data = read_small(store, layers[MANIFEST], where)
    manifest = parse_manifest(manifest_data)
    own = {name: each for name, each in layers.items() if _is_beside(name)}
    files = {name: each for name, each in layers.items() if name not in own}
    _check_files(files, manifest.files, where)
    digest = digest_of(data)
    referrers = store.referrers(digest)
    return Found(
        where=where,
        digest=digest,
        manifest=manifest,
        manifest_data=manifest_data,
        files=files,
        beside=tuple(_pairs(own, *_referring(store, digest, referrers, where))),
        deltas=tuple(each for each in referrers if each.artifact_type == words.DELTA_ARTIFACT),
    )


def _known(store: Store) -> str:
    tags = store.tags()
    if not tags:
        return "there is none; check the reference, or push one"
    return f"there are {', '.join(tags[:_SHOWN])}{' and others' if len(tags) > _SHOWN else ''}"


def _is_beside(name: str) -> bool:
    """Whether a file is evidence or a signature, which tools that know no `subject` push as layers, too."""
    return name.startswith(f"{EVIDENCE}/") or name == SUMS or name in SIGNATURE_FILES


def _check_files(files: Titles, listed: Mapping[str, str], where: str) -> None:
    """Checks that the layers are what manifest.json lists, no more and no less; ArtifactError names one."""
    for name in sorted((files.keys() - {MANIFEST}) ^ listed.keys()):
        what = (
            "missing, which manifest.json lists"
            if name in listed
            else "surplus, manifest.json does not list it"
        )
        raise ArtifactError(f"{where}: {ascii(name)[:120]}: {what}; push the bundle again")
    for name, sha256 in listed.items():
        if files[name].digest != f"sha256:{sha256}":
            raise ArtifactError(f"{where}: {ascii(name)[:120]}: manifest.json has another sha256; refuse it")


def _referring(
    store: Store, release: str, referrers: Iterable[Descriptor], where: str
) -> tuple[list[Titles], list[tuple[Image, Titles]]]:
    """Evidence, and signatures with their images, that refer to a release; the latest at the end."""
    evidence: list[Titles] = []
    signatures: list[tuple[Image, Titles]] = []
    ours = (words.EVIDENCE_ARTIFACT, words.SIGNATURE_ARTIFACT)
    listed = [each for each in referrers if each.artifact_type in ours]
    for each in listed[-_MOST_REFERRERS:]:
        image = read_referrer(store, each, release, where)
        titles = titled(image.layers, where)
        if each.artifact_type == words.EVIDENCE_ARTIFACT:
            evidence.append(_only(titles, where, signatures=False))
        else:
            signatures.append((image, _only(titles, where, signatures=True)))
    return evidence, signatures


def read_referrer(store: Store, listed: Descriptor, release: str, where: str) -> Image:
    """The image that a place lists as one whose subject is a release; ArtifactError where it is not."""
    data = read_manifest(store, listed.digest, where)
    if data is None:
        raise ArtifactError(
            f"{where}: {listed.digest[:19]}… refers to it and is missing; push the bundle again"
        )
    if subject_of(data, where) != release:
        raise ArtifactError(f"{where}: {listed.digest[:19]}… is of another release; refuse it")
    return read_image(data, where)


def _only(titles: Titles, where: str, *, signatures: bool) -> Titles:
    """The same files, each of which may stand there; ArtifactError names one that may not."""
    for name in titles:
        if not _is_beside(name) or (name in SIGNATURE_FILES) != signatures:
            what = "signatures" if signatures else "evidence"
            raise ArtifactError(f"{where}: {ascii(name)[:120]} is no file of {what}; refuse it")
    return titles


def _pairs(
    own: Titles, evidence: Iterable[Titles], signatures: Iterable[tuple[Image, Titles]]
) -> Iterator[Beside]:
    """Evidence with the signatures that say that they are of it, the latest first, then the unsigned."""
    own_signatures = {name: each for name, each in own.items() if name in SIGNATURE_FILES}
    own_evidence = {name: each for name, each in own.items() if name not in own_signatures}
    every = [*([own_evidence] if own_evidence else []), *evidence][::-1]
    if not every:
        return
    signed = [(image.annotations.get(words.OF_EVIDENCE, ""), titles) for image, titles in signatures][::-1]
    for said, titles in [*signed, *([("", own_signatures)] if own_signatures else [])]:
        yield Beside(
            evidence=next((each for each in every if _sha256(each) == said), every[-1]), signatures=titles
        )
    for each in every:
        yield Beside(evidence=each, signatures={})


def _sha256(evidence: Titles) -> str:
    manifest = evidence.get(EVIDENCE_MANIFEST)
    return "" if manifest is None else manifest.digest.removeprefix("sha256:")
