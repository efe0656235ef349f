"""What the files of a bundle say of each other: recipe, contract, evidence, vocabularies and artifacts agree.

Digests prove that a bundle is what was sealed; this asks whether what was sealed belongs together, and
whether its own evidence says that it passed.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pocketrec.contract import Contract, vocabulary_file
from pocketrec.convert.targets import TARGETS, Row, row_of_suffix
from pocketrec.errors import ArtifactError
from pocketrec.outside import parse_json, read_file
from pocketrec.package.bundle import CONTRACT, RECIPE, Bundle, table_of
from pocketrec.package.manifest import file_sha256
from pocketrec.package.parts import EVIDENCE
from pocketrec.pipeline.judged import contradictions
from pocketrec.report.reading import FORMAT

if TYPE_CHECKING:
    from pocketrec.validate.runtimes.runtime import Runtime

_ALL_UNITS = "all"


def disagreements(bundle: Bundle, contract: Contract) -> tuple[str, ...]:
    """One sentence for each thing that contradicts another, and for each gate that failed."""
    try:
        recipe, evidence = table_of(bundle, RECIPE), table_of(bundle, EVIDENCE)
    except ArtifactError as error:
        return (str(error),)
    if evidence.get("schema", FORMAT) != FORMAT:
        said = f"{EVIDENCE}: its format is {_shown(evidence.get('schema'))}; this pocketrec reads {FORMAT}"
        return (f"{said}: install the one that built the bundle, or build it again",)
    return (
        *_names(bundle, recipe, evidence),
        *_gates(evidence),
        *contradictions(recipe, evidence),
        *_vocabularies(bundle, contract),
        *_formats(bundle, recipe),
    )


def row_of_artifact(bundle: Bundle, target: str, suffix: str) -> Row | None:
    """The row of an artifact: that of the format which the recipe states, else the suffix's first one."""
    try:
        stated = TARGETS.get(_format(table_of(bundle, RECIPE), target) or "")
    except ArtifactError:  # which `disagreements` names
        stated = None
    return stated if stated is not None and stated.suffix == suffix else row_of_suffix(suffix)


def units_of(bundle: Bundle, target: str) -> str:
    """The compute units that the recipe states for a target; `all` where it states none.

    Raises:
        ArtifactError: the recipe is damaged.
    """
    if RECIPE not in bundle.manifest.files:
        return _ALL_UNITS
    bundle.checked(RECIPE)
    stated = _stated(table_of(bundle, RECIPE), target) or {}
    return str(stated.get("compute_units", _ALL_UNITS))


def artifacts_of(bundle: Bundle, form: str | None) -> list[Path]:
    """The artifacts of a bundle, each once, by their names; those of one format where it is named."""
    found = {
        bundle.path / name
        for target, functions in bundle.manifest.artifacts.items()
        for name in functions.values()
        if form is None or row_of_artifact(bundle, target, Path(name).suffix) is TARGETS[form]
    }
    return sorted(found)


def contract_sha256(bundle: Bundle) -> str:
    """The digest of the contract as it stands in the bundle, which its artifacts carry in their metadata."""
    table = parse_json(read_file(bundle.file(CONTRACT)), name=CONTRACT)
    if isinstance(table, dict):
        table.pop("targets", None)  # what stands beside the contract
    text = json.dumps(table, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def check_carried(runtime: Runtime, artifact: Path, digest: str) -> None:
    """Checks that an artifact carries the contract's digest, or none; ArtifactError where it has another."""
    if runtime.describe().metadata.get("pocketrec.contract_sha256", digest) != digest:
        raise ArtifactError(
            f"{artifact.name} carries the digest of another contract than {CONTRACT}; build the bundle again"
        )


def _names(bundle: Bundle, recipe: Mapping[str, Any], evidence: Mapping[str, Any]) -> Iterator[str]:
    manifest, digest = bundle.manifest, contract_sha256(bundle)
    for key, expected in (("name", manifest.name), ("version", manifest.version)):
        if recipe.get(key) != expected:
            yield f"{RECIPE}: {key} is {_shown(recipe.get(key))}; manifest.json has {expected!r}"
    if evidence.get("recipe") != manifest.name:
        yield f"{EVIDENCE}: is of {_shown(evidence.get('recipe'))}; manifest.json has {manifest.name!r}"
    if evidence.get("contract_sha256") != digest:
        yield f"{EVIDENCE}: is of another contract than {CONTRACT}; build the bundle again"
    if evidence.get("tree_sha256", manifest.tree_sha256) not in ("", manifest.tree_sha256):
        yield f"{EVIDENCE}: is of other files than manifest.json lists; build the bundle again"


def _gates(evidence: Mapping[str, Any]) -> Iterator[str]:
    gates = evidence.get("gates")
    if not isinstance(gates, list) or not all(isinstance(each, Mapping) for each in gates):
        yield f"{EVIDENCE}: holds no list of gates; build the bundle again"
        return
    statuses = [each.get("status") for each in gates]
    for gate, status in zip(gates, statuses, strict=True):
        if status not in ("passed", "skipped"):
            place = f"{_word(gate, 'target')} on {_word(gate, 'runtime')}"
            yield f"{EVIDENCE}: gate {_word(gate, 'gate')} of {place} {status}: {_word(gate, 'message')}"
    if "passed" not in statuses:
        yield f"{EVIDENCE}: no gate passed, so nothing was proved"


def _vocabularies(bundle: Bundle, contract: Contract) -> Iterator[str]:
    for name, spec in contract.vocabularies.items():
        for key, digest in spec.digests.items():
            file = vocabulary_file(name, key)
            if file not in bundle.manifest.files:
                yield f"{file}: missing; {CONTRACT} has its digest"
            elif (found := file_sha256(bundle.file(file))) != digest:
                yield f"{file}: sha256 is {found[:12]}…; {CONTRACT} has {digest[:12]}…"


def _formats(bundle: Bundle, recipe: Mapping[str, Any]) -> Iterator[str]:
    for name, artifacts in sorted(bundle.manifest.artifacts.items()):
        stated = _format(recipe, name)
        for path in artifacts.values():
            suffix = f".{path.rpartition('.')[2]}"
            found = [form for form, row in TARGETS.items() if row.suffix == suffix]
            if stated not in found:
                what = " or ".join(found) or "of no known format"
                yield f"{path}: is {what}; {RECIPE} has target {name} as {_shown(stated)}"


def _format(recipe: Mapping[str, Any], name: str) -> str | None:
    """The format that the recipe states for a target; None where it states none."""
    stated = _stated(recipe, name)
    return None if stated is None else str(stated.get("format") or name)


def _stated(recipe: Mapping[str, Any], target: str) -> Mapping[str, Any] | None:
    """The keys of a target in the recipe's table; None where it has none of that name."""
    targets = recipe.get("targets")
    found = targets.get(target) if isinstance(targets, Mapping) else None
    return found if isinstance(found, Mapping) else None


def _word(table: Mapping[str, Any], key: str) -> str:
    return str(table.get(key, "unknown"))[:200]


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) < 80 else f"{text[:76]}..."
