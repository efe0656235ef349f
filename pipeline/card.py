"""A release's model card and changelog entry, from what its bundle holds and the release before it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from math import isfinite
from pathlib import Path
from typing import Any

from pocketrec.about import describe_input, describe_output
from pocketrec.contract import Contract
from pocketrec.package.apps.methods import methods_of
from pocketrec.package.bundle import RECIPE, Bundle, read_contract, table_of
from pocketrec.package.card.licenses import license_of
from pocketrec.package.card.render import render
from pocketrec.pipeline.compare.diff import compared
from pocketrec.pipeline.releases import release_at
from pocketrec.pipeline.reports import evidence_of_bundle
from pocketrec.report import Evidence, Moved, ReleaseDiff
from pocketrec.validate.report.card import card_evidence, examined, measured
from pocketrec.validate.report.markdown import md_text
from pocketrec.validate.report.releases.parts import parts_of, shown

_NOT_RANKED = "not compared here: pocketrec diff with --recipe ranks both, a build with --baseline keeps it"
_LEVELS = {"breaking": "Breaking", "addition": "Added", "same": "Changed"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """What a release says of itself.

    Attributes:
        name: of the bundle.
        version: of the bundle.
        text: the card.
        entry: of a changelog.
        unknown: what the recipe does not say, by key.
        changes: since the release before; None where none was given.
    """

    name: str
    version: str
    text: str
    entry: str
    unknown: tuple[str, ...]
    changes: ReleaseDiff | None


def card_of(path: Path, previous: Path | None = None, *, date: str = "") -> Card:
    """The card and the changelog entry of the bundle at `path`.

    Args:
        path: of the bundle.
        previous: the release before; by default the one that its build was compared with, if any.
        date: of the release, for the changelog; empty for none.

    Raises:
        UsageError: there is no bundle.
        ArtifactError: a file of either is damaged.
    """
    bundle = release_at(path)
    evidence = evidence_of_bundle(bundle)
    recipe = table_of(bundle, RECIPE)
    found = _changes(bundle, evidence, None if previous is None else release_at(previous))
    context = {**_stated(bundle, recipe, evidence), "evidence": card_evidence(evidence)}
    context |= {"changes": _told(found), "date": date, "body": ""}
    if found is not None:
        context["body"] = render("changes.md", context, md_text).rstrip("\n")
    return Card(
        name=bundle.manifest.name,
        version=bundle.manifest.version,
        text=render("card.md", context, md_text),
        entry=render("entry.md", context, md_text),
        unknown=tuple(_unknown(context)),
        changes=found,
    )


def _changes(bundle: Bundle, evidence: Evidence, old: Bundle | None) -> ReleaseDiff | None:
    """What changed since the release before; as the build found it, with rankings, where it compared it."""
    kept = evidence.versus
    if old is None:
        return kept
    if kept is not None and kept.old.tree_sha256 == old.manifest.tree_sha256:
        return kept
    return replace(compared(old, bundle, None), ranking=Moved(reason=_NOT_RANKED))


def _told(found: ReleaseDiff | None) -> dict[str, Any]:
    """What templates know of the changes."""
    if found is None:
        said = "What changed is unknown: no earlier release was given."
        return {"known": False, "said": said, "since": "", "listed": [], "parts": []}
    listed = [
        (title, [each.message for each in found.changes if each.level == level])
        for level, title in _LEVELS.items()
    ]
    parts = [each for each in shown(parts_of(found)) if each.title not in ("contract", "version")]
    same = "Nothing changed for apps" if not found.changes else "What changed for apps is below"
    return {
        "known": True,
        "since": f"{found.old.name} {found.old.version}",
        "said": f"{same}; {found.bump.message}.",
        "listed": [(title, said) for title, said in listed if said],
        "parts": parts,
    }


def _stated(bundle: Bundle, recipe: Mapping[str, Any], evidence: Evidence) -> dict[str, Any]:
    """What recipe, contract and manifest state, as templates know it."""
    contract = read_contract(bundle)
    source = _table(recipe, "model")
    versions = [f"{name} {version}" for name, version in sorted(evidence.versions.items())]
    return {
        "name": bundle.manifest.name,
        "version": bundle.manifest.version,
        "tree": bundle.manifest.tree_sha256,
        "description": _text(recipe, "description"),
        "author": _text(recipe, "author"),
        "license": license_of(_text(recipe, "license")),
        "model": _text(source, "factory") or "unknown",
        "weights": _text(source, "weights") or "those that the model's factory brings",
        "tools": ", ".join(versions) or "unknown",
        "tags": list(_tags(bundle, contract)),
        "calls": list(_calls(contract)),
        "vocabularies": [{"name": name, "rows": each.size} for name, each in contract.vocabularies.items()],
        "data": _data(recipe, evidence),
        "metrics": [
            {"type": metric, "name": f"{metric}, {where}", "value": value}
            for metric, where, value in measured(evidence)
            if isfinite(value)
        ],
    }


def _tags(bundle: Bundle, contract: Contract) -> Iterator[str]:
    """Words to find the model by: what it is, its files' formats, what it does."""
    yield from ("recommendation",)
    paths = [path for functions in bundle.manifest.artifacts.values() for path in functions.values()]
    for suffix, tag in ((".onnx", "onnx"), (".mlpackage", "coreml")):
        if any(path.endswith(suffix) for path in paths):
            yield tag
    yield from sorted({each.call.role for each in methods_of(contract, members=())})


def _calls(contract: Contract) -> Iterator[dict[str, Any]]:
    """Every call in an app's words, and what its function takes and gives."""
    for method in methods_of(contract, members=()):
        signature = contract.functions[method.call.function]
        takes = [f"{each.name}: {describe_input(each, signature, contract)}" for each in signature.inputs]
        gives = [f"{each.name}: {describe_output(each, contract)}" for each in signature.outputs]
        said = f"({', '.join(method.call.names)}): {method.says}"
        yield {"name": method.call.method, "said": said, "parts": [*takes, *gives]}


def _data(recipe: Mapping[str, Any], evidence: Evidence) -> dict[str, str]:
    """What the model was evaluated on."""
    listed = recipe.get("evaluate")
    several = [each for each in listed if isinstance(each, Mapping)] if isinstance(listed, list) else []
    tables = several or [_table(recipe, "evaluate")]
    source, kind = (_text(tables[0], key) or "unknown" for key in ("data", "kind"))
    count = examined(evidence)
    said = ", and ".join(_evaluated(each, named=bool(several)) for each in tables)
    said += f"; {f'{count} examples' if count else 'nothing was evaluated'}"
    digests = dict.fromkeys(each for each in (evidence.data_sha256, *evidence.further_data.values()) if each)
    said += f"; sha256 of its content {', '.join(digests)}" if digests else ""
    return {"source": source, "kind": kind, "said": f"{said}."}


def _evaluated(stated: Mapping[str, Any], *, named: bool) -> str:
    """One evaluation: its data, as what, and of which of several it is."""
    source, kind = (_text(stated, key) or "unknown" for key in ("data", "kind"))
    called = _text(stated, "name") or _text(stated, "output")
    return f"{source}, as a {kind}" + (f" of {called}" if named else "")


def _unknown(context: Mapping[str, Any]) -> Iterator[str]:
    yield from (key for key in ("description", "author") if not context[key])
    if context["license"].id == "unknown":
        yield "license"
    yield from ("training_data", "intended_users")  # no recipe has a key for these


def _table(table: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    found = table.get(key)
    return found if isinstance(found, Mapping) else {}


def _text(table: Mapping[str, Any], key: str) -> str:
    """A text of a table; empty where there is none."""
    found = table.get(key)
    return found if isinstance(found, str) else ""
