"""A bundle on disk, read as if it came from a stranger.

contract.json  recipe.json  artifacts/<target>/<function>.onnx|.mlpackage
vocabularies/<name>.txt  golden/<function>.safetensors  golden/golden.json
evidence/evidence.json, origins.json, report.*         outside the tree digest, checked all the same
signatures/                                            who vouches for it, if anybody does; see sign/
part.json                                              in a part of one: of which targets it is; see parts.py
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

from pocketrec.contract import Contract
from pocketrec.errors import ArtifactError, RecipeError, UsageError, meant
from pocketrec.outside import exists, parse_json, read_file
from pocketrec.package.manifest import (
    MANIFEST,
    PART,
    UNLISTED,
    EvidenceManifest,
    Manifest,
    check_sums,
    file_sha256,
    list_files,
    read_evidence_manifest,
    read_json,
    read_manifest,
    seal,
)
from pocketrec.package.parts import kept_artifacts, left_out, read_part
from pocketrec.package.publish import previous, publish, staging
from pocketrec.package.sign.files import SIGNATURE_FILES
from pocketrec.recipe import check_type

T = TypeVar("T")
CONTRACT, RECIPE = "contract.json", "recipe.json"
_LARGEST = 1 << 28  # bytes of the evidence, which holds measurements

__all__ = [
    "Bundle",
    "is_bundle",
    "publish",
    "read_bundle",
    "read_contract",
    "require_bundle",
    "require_whole",
    "seal",
    "staging",
    "verify_files",
    "verify_names",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Bundle:
    """A bundle, or a part of one, whose manifests have been checked; its files have not, see `verify_files`.

    Attributes:
        path: of its folder.
        manifest: as it stands, but of a part's artifacts only those that are there.
        evidence: as it stands.
        left_out: what the manifests list and a part leaves out, see parts.py.
    """

    path: Path
    manifest: Manifest
    evidence: EvidenceManifest
    left_out: frozenset[str] = frozenset()

    @property
    def listed(self) -> Mapping[str, str]:
        """Every file that a manifest lists, those that a part leaves out among them: path to sha256."""
        return {**self.evidence.files, **self.manifest.files}

    def file(self, name: str) -> Path:
        """The path of a listed file; ArtifactError where the manifest does not list it."""
        if name in self.left_out:
            raise ArtifactError(f"{name}: left out of this part of the bundle; pull it without --only")
        if name not in self.manifest.files and name not in self.evidence.files:
            raise ArtifactError(f"{name}: not in {MANIFEST}; build the bundle again")
        return self.path / name

    def checked(self, name: str) -> Path:
        """The path of a listed file that is what the manifest says; ArtifactError where it is altered."""
        path = self.file(name)
        if file_sha256(path) != self.listed[name]:
            raise ArtifactError(f"{name}: altered, {MANIFEST} has another sha256; pull the bundle again")
        return path

    def artifact(self, target: str, function: str) -> Path:
        """The path of an artifact; UsageError with the known names where there is none."""
        functions = _pick(self.manifest.artifacts, target, "target")
        return self.path / _pick(functions, function, f"function of target {target!r}")


def _pick(table: Mapping[str, T], name: str, what: str) -> T:
    if name not in table:
        raise UsageError(
            f"{name!r} is no {what} of the bundle; expected one of {', '.join(sorted(table))}"
            f"{meant(name, table)}"
        )
    return table[name]


def is_bundle(path: Path) -> bool:
    """True where `path` looks like a bundle, damaged or not."""
    return path.is_dir() and (path / MANIFEST).exists()


def read_bundle(path: Path) -> Bundle:
    """The bundle at `path`; raises ArtifactError naming the manifest that is damaged."""
    if not path.is_dir() and previous(path).is_dir():
        raise UsageError(
            f"{path}: a build was killed while it replaced this bundle; build it again, or rename "
            f"{previous(path).name}, which is the earlier one"
        )
    require_bundle(path)
    check_sums(path)
    bundle = Bundle(path=path, manifest=read_manifest(path), evidence=read_evidence_manifest(path))
    only = read_part(path)
    return bundle if only is None else _part_of(bundle, only)


def _part_of(bundle: Bundle, only: tuple[str, ...]) -> Bundle:
    try:
        artifacts = kept_artifacts(bundle.manifest, only)
    except UsageError as error:
        raise ArtifactError(f"{PART}: {error}; pull it again") from None
    return replace(
        bundle,
        manifest=replace(bundle.manifest, artifacts=artifacts),
        left_out=left_out(bundle.manifest, bundle.evidence, only),
    )


def require_bundle(path: Path) -> Path:
    """The path of a folder, which a bundle is; UsageError for a file, or where there is nothing."""
    if not path.is_dir():
        what = "a file" if exists(path) else "no such folder"
        raise UsageError(f"{path}: {what}; pass the path of a bundle, which is a folder")
    return path


def require_whole(*bundles: Bundle) -> None:
    """Checks that bundles are no parts of one, which `pull --only` makes; ArtifactError names the part."""
    for each in bundles:
        if each.left_out:
            count = len(each.left_out)
            raise ArtifactError(
                f"{each.path}: a part of a bundle ({count} files are left out); pull the whole one"
            )


def read_contract(bundle: Bundle) -> Contract:
    """The bundle's contract; ArtifactError where it is altered, or is none."""
    bundle.checked(CONTRACT)
    return read_json(bundle.path, CONTRACT, Contract)


def table_of(bundle: Bundle, name: str) -> Mapping[str, Any]:
    """A table of the bundle, such as its recipe; ArtifactError where the file holds something else."""
    value = parse_json(read_file(bundle.file(name), largest=_LARGEST), name=name)
    if not isinstance(value, Mapping):
        raise ArtifactError(f"{name}: is no table; pull the bundle again")
    return value


def stated_type(bundle: Bundle) -> str:
    """What the recipe calls the class of generated packages; empty where it says nothing."""
    if RECIPE not in bundle.manifest.files:
        return ""
    bundle.checked(RECIPE)
    value = table_of(bundle, RECIPE).get("type_name", "")
    try:
        check_type(value)
    except RecipeError as error:
        raise ArtifactError(f"{RECIPE}: {error}") from None
    return str(value)


def verify_files(bundle: Bundle) -> tuple[str, ...]:
    """One sentence for each file that is altered, missing or surplus; empty where all is well."""
    try:
        present = _files_of(bundle)
    except ArtifactError as error:
        return (str(error),)
    problems = _name_problems(bundle, present)
    for name, digest in _held(bundle).items():
        if name in present and (found := file_sha256(bundle.path / name)) != digest:
            problems.append(f"{name}: altered, sha256 is {found[:12]}…, expected {digest[:12]}…")
    return tuple(sorted(problems))


def verify_names(bundle: Bundle) -> tuple[str, ...]:
    """One sentence for each file that is missing or surplus; none is opened, so it takes no time."""
    try:
        return tuple(sorted(_name_problems(bundle, _files_of(bundle))))
    except ArtifactError as error:
        return (str(error),)


def _files_of(bundle: Bundle) -> set[str]:
    """The files that a manifest must list."""
    return set(list_files(bundle.path)) - {*UNLISTED, *SIGNATURE_FILES}


def _held(bundle: Bundle) -> Mapping[str, str]:
    return {name: digest for name, digest in bundle.listed.items() if name not in bundle.left_out}


def _name_problems(bundle: Bundle, present: set[str]) -> list[str]:
    held = _held(bundle)
    return [
        *(f"{name}: surplus, no manifest lists it" for name in present - held.keys()),
        *(f"{name}: missing" for name in held.keys() - present),
    ]
