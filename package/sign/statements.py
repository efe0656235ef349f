"""What a signer says of a release, as in-toto statements: that its gates passed, and what made it.

Test result: https://github.com/in-toto/attestation/blob/main/spec/predicates/test-result.md
Provenance: https://slsa.dev/spec/v1.0/provenance
"""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import quote

from pocketrec.package.bundle import RECIPE
from pocketrec.package.manifest import EVIDENCE_MANIFEST, MANIFEST
from pocketrec.package.sign.envelope import Json, descriptor, statement
from pocketrec.package.sign.files import BOM, PROVENANCE, TESTS
from pocketrec.package.sign.release import Release, table, tables, text

TEST_RESULT = "https://in-toto.io/attestation/test-result/v0.1"
SLSA = "https://slsa.dev/provenance/v1"
BUILD_TYPE = "pocketrec:build/v1"  # docs/trust.md says what its parameters are
UNSTATED = "pocketrec:builder/unstated"  # a machine that nobody named

# What each attestation is, and where it lists the files beside the release that it vouches for.
PREDICATES: Mapping[str, tuple[str, tuple[str, ...]]] = {
    TESTS: (TEST_RESULT, ("evidence",)),
    PROVENANCE: (SLSA, ("runDetails", "byproducts")),
}


def test_result(release: Release) -> Json:
    """That these gates passed, those were skipped (`warnedTests`), and which evidence says so."""
    by_status: dict[str, list[str]] = {"passed": [], "skipped": []}
    failed: list[str] = []
    for gate in tables(release.evidence, "gates"):
        by_status.get(text(gate, "status"), failed).append(_gate(gate))
    passed, skipped = by_status["passed"], by_status["skipped"]
    result = "FAILED" if failed or not passed else "WARNED" if skipped else "PASSED"
    predicate = {
        "result": result,
        "configuration": [descriptor(RECIPE, release.manifest.files[RECIPE])],
        "passedTests": passed,
        "warnedTests": skipped,
        "failedTests": failed,
        "evidence": [descriptor(EVIDENCE_MANIFEST, release.evidence_digest)],
    }
    return statement(_subjects(release), TEST_RESULT, predicate)


def provenance(release: Release, bom_digest: str, builder: str) -> Json:
    """Which recipe and tools made the release, on which builder; what is not known is left out.

    Args:
        release: the bundle.
        bom_digest: sha256 of its bill of materials.
        builder: a URI of the machine that built it; empty where nobody says so.
    """
    versions = {
        key: each for key, each in table(release.evidence, "versions").items() if isinstance(each, str)
    }
    own = versions.pop("pocketrec", release.manifest.pocketrec)
    manifest = release.manifest
    predicate = {
        "buildDefinition": {
            "buildType": BUILD_TYPE,
            "externalParameters": {
                "recipe": RECIPE,
                "name": manifest.name,
                "version": manifest.version,
                "targets": sorted(manifest.artifacts),
            },
            "resolvedDependencies": [
                descriptor(RECIPE, manifest.files[RECIPE]),
                *({"name": each, "uri": purl(each, versions[each])} for each in sorted(versions)),
            ],
        },
        "runDetails": {
            "builder": {"id": builder or UNSTATED, "version": {"pocketrec": own, **_python(release)}},
            "byproducts": [descriptor(BOM, bom_digest)],
        },
    }
    return statement(_subjects(release), SLSA, predicate)


def purl(name: str, version: str) -> str:
    """The package URL of a Python package, https://github.com/package-url/purl-spec."""
    return f"pkg:pypi/{quote(name.lower().replace('_', '-'), safe='')}@{quote(version, safe='')}"


def _subjects(release: Release) -> dict[str, str]:
    """The release by the digest of its manifest, which is a file that others can hash, and of its tree."""
    manifest = release.manifest
    return {MANIFEST: release.digest, f"{manifest.name} {manifest.version}": manifest.tree_sha256}


def _python(release: Release) -> dict[str, str]:
    version = text(table(release.evidence, "machine"), "python")
    return {"python": version} if version else {}


def _gate(gate: Json) -> str:
    place = " on ".join(each for each in (text(gate, "target"), text(gate, "runtime")) if each)
    return f"{text(gate, 'gate')}: {place}" if place else text(gate, "gate")
