"""A bundle in its own words: what statements and bill of materials are made of."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pocketrec.contract import Contract
from pocketrec.package.bundle import RECIPE, Bundle, read_contract, table_of
from pocketrec.package.manifest import EVIDENCE_MANIFEST, MANIFEST, Manifest, file_sha256
from pocketrec.package.parts import EVIDENCE

Table = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Release:
    """What a bundle says of itself, each file compared with its digest.

    Attributes:
        manifest: as it stands.
        digest: sha256 of manifest.json, by which everything else names the release.
        evidence_digest: sha256 of evidence/manifest.json.
        contract: as it stands.
        recipe: the table of recipe.json.
        evidence: the table of evidence.json.
    """

    manifest: Manifest
    digest: str
    evidence_digest: str
    contract: Contract
    recipe: Table
    evidence: Table


def release_of(bundle: Bundle) -> Release:
    """What `bundle` says of itself; ArtifactError where a file that says it is altered, or no table."""
    return Release(
        manifest=bundle.manifest,
        digest=file_sha256(bundle.path / MANIFEST),
        evidence_digest=file_sha256(bundle.path / EVIDENCE_MANIFEST),
        contract=read_contract(bundle),
        recipe=_checked_table(bundle, RECIPE),
        evidence=_checked_table(bundle, EVIDENCE),
    )


def tables(holder: Table, key: str) -> Iterator[Table]:
    """The tables in the list at `key`; what is none is passed over."""
    found = holder.get(key)
    yield from (each for each in found if isinstance(each, Mapping)) if isinstance(found, list) else ()


def text(holder: Table, key: str) -> str:
    """The text at `key`; empty where there is none."""
    found = holder.get(key)
    return found if isinstance(found, str) else ""


def table(holder: Table, key: str) -> Table:
    """The table at `key`; empty where there is none."""
    found = holder.get(key)
    return found if isinstance(found, Mapping) else {}


def _checked_table(bundle: Bundle, name: str) -> Table:
    bundle.checked(name)
    return table_of(bundle, name)
