"""A release as an OCI image of ModelPack's type: one layer a file, titled by its path; bytes that repeat.

    manifest.json and each file that it lists  ─▶ layers, in the order of their paths
    name, version, tree digest, created        ─▶ config and annotations
    evidence, signatures                       ─▶ images of their own, whose `subject` the release is

Nothing here depends on the time, the machine, or the evidence, so two pushes of a release are one digest.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pocketrec.package.bundle import RECIPE, Bundle, table_of
from pocketrec.package.manifest import EVIDENCE_MANIFEST, MANIFEST, SUMS, file_sha256
from pocketrec.package.registry import modelpack as words
from pocketrec.package.sign.envelope import to_bytes
from pocketrec.package.sign.files import SIGNATURE_FILES
from pocketrec.package.sign.release import text

NOTHING = b"{}"  # the config of what has none


@dataclass(frozen=True, slots=True, kw_only=True)
class Descriptor:
    """What a manifest says of a blob or of another manifest.

    Attributes:
        media_type: what it is.
        digest: `sha256:…`.
        size: in bytes.
        annotations: free words about it.
        artifact_type: of a manifest in an index; empty elsewhere.
    """

    media_type: str
    digest: str
    size: int
    annotations: Mapping[str, str] = field(default_factory=dict)
    artifact_type: str = ""

    @property
    def title(self) -> str:
        """The path of the file that it is; empty where it has none."""
        return self.annotations.get(words.TITLE, "")

    def to_table(self) -> dict[str, Any]:
        """As it stands in JSON."""
        table: dict[str, Any] = {"mediaType": self.media_type, "digest": self.digest, "size": self.size}
        if self.annotations:
            table["annotations"] = dict(self.annotations)
        if self.artifact_type:
            table["artifactType"] = self.artifact_type
        return table


@dataclass(frozen=True, slots=True, kw_only=True)
class Image:
    """A manifest and the small things that it is made of.

    Attributes:
        data: the manifest's bytes.
        layers: of them.
        config: its bytes.
        artifact_type: what it is.
        annotations: of the whole.
    """

    data: bytes
    layers: tuple[Descriptor, ...]
    config: bytes
    artifact_type: str
    annotations: Mapping[str, str]

    @property
    def digest(self) -> str:
        """Of the manifest."""
        return digest_of(self.data)

    def descriptor(self) -> Descriptor:
        """What others say of it."""
        return Descriptor(
            media_type=words.IMAGE,
            digest=self.digest,
            size=len(self.data),
            artifact_type=self.artifact_type,
        )


def release_image(bundle: Bundle, created: str) -> Image:
    """The image of a bundle's release.

    Args:
        bundle: whose files were compared with its manifest.
        created: the time that it states, see `package.created`.
    """
    manifest = bundle.manifest
    digests = {**manifest.files, MANIFEST: file_sha256(bundle.path / MANIFEST)}
    layers = _layers(bundle, digests)
    config = {
        "descriptor": _descriptor(bundle, created),
        "config": {"format": ",".join(sorted(manifest.artifacts))},
        "modelfs": {"type": "layers", "diffIds": [each.digest for each in layers]},
    }
    annotations = {
        words.CREATED: created,
        words.VERSION: manifest.version,
        words.NAME: manifest.name,
        words.TREE: manifest.tree_sha256,
    }
    return image(words.ARTIFACT, words.CONFIG, to_bytes(config), layers, annotations)


def evidence_image(bundle: Bundle, release: Image, created: str) -> Image:
    """The image of a bundle's evidence, which refers to the release."""
    names = (*bundle.evidence.files, EVIDENCE_MANIFEST, SUMS)
    return _beside(bundle, names, words.EVIDENCE_ARTIFACT, release, {words.CREATED: created})


def signature_image(bundle: Bundle, release: Image, created: str) -> Image | None:
    """The image of a bundle's signatures, which refers to the release; None where nobody signed."""
    names = [name for name in SIGNATURE_FILES if (bundle.path / name).is_file()]
    if not names:
        return None
    evidence = {words.OF_EVIDENCE: file_sha256(bundle.path / EVIDENCE_MANIFEST)}
    return _beside(bundle, names, words.SIGNATURE_ARTIFACT, release, {words.CREATED: created} | evidence)


def image(
    artifact_type: str,
    config_type: str,
    config: bytes,
    layers: Iterable[Descriptor],
    annotations: Mapping[str, str],
    subject: Image | None = None,
) -> Image:
    """An image of these parts."""
    table: dict[str, Any] = {
        "schemaVersion": 2,
        "mediaType": words.IMAGE,
        "config": Descriptor(media_type=config_type, digest=digest_of(config), size=len(config)).to_table(),
        "layers": [each.to_table() for each in layers],
    }
    if artifact_type:
        table["artifactType"] = artifact_type
    if annotations:
        table["annotations"] = dict(annotations)
    if subject is not None:
        said = subject.descriptor().to_table()
        table["subject"] = {key: said[key] for key in ("mediaType", "digest", "size")}
    return Image(
        data=to_bytes(table),
        layers=tuple(layers),
        config=config,
        artifact_type=artifact_type,
        annotations=annotations,
    )


def image_index(manifests: Iterable[Descriptor]) -> bytes:
    """An index of manifests."""
    listed = [each.to_table() for each in manifests]
    return to_bytes({"schemaVersion": 2, "mediaType": words.INDEX, "manifests": listed})


def digest_of(data: bytes) -> str:
    """`sha256:…` of some bytes."""
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def _beside(
    bundle: Bundle, names: Iterable[str], kind: str, release: Image, annotations: Mapping[str, str]
) -> Image:
    digests = {name: file_sha256(bundle.path / name) for name in names}
    layers = _layers(bundle, digests)
    return image(kind, words.EMPTY, NOTHING, layers, annotations, release)


def _layers(bundle: Bundle, digests: Mapping[str, str]) -> tuple[Descriptor, ...]:
    return tuple(_layer(bundle.path, path, digests[path]) for path in sorted(digests))


def _layer(folder: Path, path: str, digest: str) -> Descriptor:
    return Descriptor(
        media_type=words.media_type(path),
        digest=f"sha256:{digest}",
        size=(folder / path).stat().st_size,
        annotations={words.TITLE: path, words.FILEPATH: path},
    )


def _descriptor(bundle: Bundle, created: str) -> dict[str, Any]:
    """What ModelPack's config says of a model; of the recipe what it states."""
    recipe = table_of(bundle, RECIPE) if RECIPE in bundle.manifest.files else {}
    found: dict[str, Any] = {
        "createdAt": created,
        "name": bundle.manifest.name,
        "version": bundle.manifest.version,
    }
    for key, name in (("author", "authors"), ("license", "licenses")):
        if said := text(recipe, key):
            found[name] = [said]
    if description := text(recipe, "description"):
        found["description"] = description
    return found
