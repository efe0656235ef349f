"""The words of the formats: OCI images, CNCF ModelPack's types, and those of what refers to a release.

Sources: https://github.com/modelpack/model-spec/blob/main/docs/spec.md and
https://github.com/opencontainers/image-spec/blob/v1.1.1/manifest.md.
"""

from __future__ import annotations

from pocketrec.package.manifest import EVIDENCE, EVIDENCE_MANIFEST, MANIFEST, SUMS
from pocketrec.package.sign.files import BOM, MODEL, PROVENANCE, TESTS

IMAGE = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"
EMPTY = "application/vnd.oci.empty.v1+json"
ARTIFACT = "application/vnd.cncf.model.manifest.v1+json"
CONFIG = "application/vnd.cncf.model.config.v1+json"
EVIDENCE_ARTIFACT = "application/vnd.pocketrec.evidence.v1"
SIGNATURE_ARTIFACT = "application/vnd.pocketrec.signatures.v1"
DELTA_ARTIFACT = DELTA = "application/vnd.pocketrec.delta.v1"  # docs/delta.md has the table of bytes
COSIGN_PAYLOAD = "application/vnd.dev.cosign.simplesigning.v1+json"
COSIGN_SIGNATURE = "dev.cosignproject.cosign/signature"

TITLE = "org.opencontainers.image.title"
FILEPATH = "org.cncf.model.filepath"
CREATED = "org.opencontainers.image.created"
VERSION = "org.opencontainers.image.version"
REF_NAME = "org.opencontainers.image.ref.name"
NAME = "pocketrec.name"
TREE = "pocketrec.tree_sha256"
OF_EVIDENCE = "pocketrec.evidence_sha256"  # of signatures: which evidence's manifest they are of; a hint
FROM_VERSION = "pocketrec.from.version"  # of deltas: the release that they lead from
FROM_MANIFEST = "pocketrec.from.manifest_sha256"
FROM_EVIDENCE = "pocketrec.from.evidence_sha256"

_WEIGHT = "application/vnd.cncf.model.weight.v1.raw"
_SETTINGS = "application/vnd.cncf.model.weight.config.v1.raw"
_DATA = "application/vnd.cncf.model.dataset.v1.raw"
_DOCUMENT = "application/vnd.cncf.model.doc.v1.raw"
_TYPES = {
    "artifacts": _WEIGHT,
    "golden": _DATA,
    EVIDENCE: _DOCUMENT,
}
_SIGNATURES = {
    MODEL: "application/vnd.dev.sigstore.bundle.v0.3+json",
    TESTS: "application/vnd.dsse.envelope.v1+json",
    PROVENANCE: "application/vnd.dsse.envelope.v1+json",
    BOM: "application/vnd.cyclonedx+json",
}


def media_type(path: str) -> str:
    """The media type of a bundle's file, by where it stands in the bundle."""
    if path in _SIGNATURES:
        return _SIGNATURES[path]
    if path in (MANIFEST, EVIDENCE_MANIFEST, SUMS):
        return _SETTINGS
    return _TYPES.get(path.partition("/")[0], _SETTINGS)
