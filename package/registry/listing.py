"""What a place holds: each tag with what its release says of itself, from its manifest alone."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from pocketrec.errors import ArtifactError, TagTaken, UsageError
from pocketrec.package.registry import modelpack as words
from pocketrec.package.registry.cosign import tag_of_signature
from pocketrec.package.registry.image import digest_of
from pocketrec.package.registry.reading import read_image
from pocketrec.package.registry.references import Reference, check_tag
from pocketrec.package.registry.store import Store, read_manifest
from pocketrec.progress import Progress, silent

_OF_OTHERS = re.compile(r"sha256-[0-9a-f]{64}(\..*)?")  # tags that stand for what refers to a release
_LONGEST = 100  # characters of what a release says of itself


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """A tag and what it names; nothing of it is checked.

    Attributes:
        tag: the tag.
        digest: of the manifest; empty where that is damaged.
        name: the recipe's name; empty for what is no release.
        version: the recipe's version.
        created: the time that it states.
        tree_sha256: of the bundle.
        size_bytes: of its files, each once.
        signed: whether a signature refers to it, ours or cosign's; by whom, a pull with a key says.
        problem: why it cannot be read; empty where it can.
    """

    tag: str
    digest: str
    name: str = ""
    version: str = ""
    created: str = ""
    tree_sha256: str = ""
    size_bytes: int = 0
    signed: bool = False
    problem: str = ""


def list_releases(store: Store, progress: Progress = silent) -> Iterator[Listed]:
    """Each tag of the place, with what it names."""
    tags = [each for each in store.tags() if not _OF_OTHERS.fullmatch(each)]
    for count, tag in enumerate(tags):
        progress("look", count + 1, len(tags))
        try:
            data = store.manifest(tag)
        except ArtifactError as error:  # one that is damaged hides no other
            yield Listed(tag=tag, digest="", problem=str(error))
            continue
        if data is not None:  # else it went meanwhile
            yield _listed(store, tag, data)


def tag_release(store: Store, reference: Reference, tag: str, *, move: bool) -> str:
    """The digest of the release that `tag` names from now on.

    Args:
        store: where it is.
        reference: the release, by another tag or by digest.
        tag: its new one.
        move: whether the tag may leave another release.

    Raises:
        UsageError: there is no such release.
        TagTaken: the tag is another's.
    """
    check_tag(tag)
    data = read_manifest(store, reference.wanted, str(reference)) if reference.wanted else None
    if data is None:
        raise UsageError(f"{reference}: no such release; `pocketrec list {reference.name}` shows them")
    read_image(data, str(reference))
    there = store.manifest(tag)
    if there is not None and there != data and not move:
        raise TagTaken(
            f"{reference.name}:{tag} is another release ({digest_of(there)[:19]}…), which apps may have "
            "pinned by that tag; pass another tag, or move this one with --move"
        )
    if there != data:
        store.put_manifest(data, tag)
    return digest_of(data)


def _listed(store: Store, tag: str, data: bytes) -> Listed:
    digest = digest_of(data)
    try:
        image = read_image(data, tag)
        kinds = {each.artifact_type for each in store.referrers(digest)}
    except ArtifactError as error:
        return Listed(tag=tag, digest=digest, problem=str(error))
    said = {key: _plain(each) for key, each in image.annotations.items()}
    return Listed(
        tag=tag,
        digest=digest,
        name=said.get(words.NAME, ""),
        version=said.get(words.VERSION, ""),
        created=said.get(words.CREATED, ""),
        tree_sha256=said.get(words.TREE, ""),
        size_bytes=sum({each.digest: each.size for each in image.layers}.values()),
        signed=words.SIGNATURE_ARTIFACT in kinds or store.manifest(tag_of_signature(digest)) is not None,
    )


def _plain(text: str) -> str:
    """What somebody wrote, without what a terminal would obey."""
    shown = text if text.isprintable() else ascii(text)
    return shown if len(shown) <= _LONGEST else f"{shown[:_LONGEST]}..."
